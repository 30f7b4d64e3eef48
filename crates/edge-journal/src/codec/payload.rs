//! Records from and to the payloads of frames.

use std::sync::Arc;

use bincode::Options;
use edge_filter::{AddressRule, Operation, Rule};

use super::addresses::{Packed, pack, unpack};
use super::bounds::{self, Invalid, MAX_LISTS, at_most, list_name, stamp};
use super::frame::{MAX_FRAME_BYTES, append};
use super::operation::{operation_from_wire, operation_to_wire};
use super::preamble::preamble;
use super::rule::{chunk_from_wire, chunk_to_wire};
use super::seal::{NAME as SEAL, from_text, to_text};
use super::wire;
use crate::{Damage, FileKind, Head, Record, Seal};

/// Why something cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A content that would not be read.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Longer than a frame may be.
    #[error("a record of {bytes} bytes, {MAX_FRAME_BYTES} is the most")]
    TooLarge {
        /// What it would take, bytes.
        bytes: usize,
    },
    /// bincode refused it.
    #[error("not written: {0}")]
    Format(String),
}

/// Integers take as many bytes as they need; whatever is left over after a value is an error.
fn format() -> impl Options {
    bincode::DefaultOptions::new().with_limit(MAX_FRAME_BYTES as u64)
}

/// The record of a payload. O(its length); whatever it claims to hold, no more than some of its length is
/// allocated before it is found to be there.
pub(crate) fn decode(payload: &[u8]) -> Result<Record, Damage> {
    let wire =
        format().deserialize(payload).map_err(|error| Damage::Payload(one_line(&error.to_string())))?;
    Ok(match wire {
        wire::Record::Head(head) => Record::Head(head_from_wire(head)?),
        wire::Record::Rules(chunk) => Record::Rules(chunk_from_wire(chunk)?),
        wire::Record::Addresses { list: SEAL, reason, v4: [], v6: [] } => Record::Seal(from_text(reason)?),
        wire::Record::Addresses { list, reason, v4, v6 } => Record::Addresses {
            list: list_name(list)?.into(),
            reason: bounds::reason(reason)?.into(),
            rules: unpack(v4, v6)?,
        },
        wire::Record::End { rules } => Record::End { rules },
        wire::Record::Change { revision, stamp_us, change } => {
            Record::Change { revision, stamp_us: stamp(stamp_us)?, operation: operation_from_wire(change)? }
        }
        wire::Record::Replace { revision, stamp_us, list } => {
            Record::Replace { revision, stamp_us: stamp(stamp_us)?, list: list_name(list)?.into() }
        }
        wire::Record::Next { revision } => Record::Next { revision },
    })
}

/// Some texts of bincode have several.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn head_from_wire(head: wire::Head<'_>) -> Result<Head, Invalid> {
    let wire::Head { revision, stamp_us, learned_until_us, lists } = head;
    let lists = lists.into_iter().map(|name| list_name(name).map(Arc::from)).collect::<Result<_, _>>()?;
    let (stamp_us, learned_until_us) = (stamp(stamp_us)?, stamp(learned_until_us)?);
    Ok(Head { revision, stamp_us, learned_until_us, lists })
}

fn encode(out: &mut Vec<u8>, record: &wire::Record<'_>) -> Result<(), EncodeError> {
    append(out, |out| match format().serialize_into(out, record) {
        Ok(()) => Ok(()),
        Err(error) if matches!(*error, bincode::ErrorKind::SizeLimit) => {
            let bytes = bincode::DefaultOptions::new().serialized_size(record).unwrap_or(u64::MAX);
            Err(EncodeError::TooLarge { bytes: usize::try_from(bytes).unwrap_or(usize::MAX) })
        }
        Err(error) => Err(EncodeError::Format(error.to_string())),
    })
}

pub(crate) fn head(out: &mut Vec<u8>, head: &Head) -> Result<(), EncodeError> {
    let Head { revision, stamp_us, learned_until_us, ref lists } = *head;
    at_most(lists.len(), MAX_LISTS, "lists")?;
    let lists = lists.iter().map(|name| list_name(name)).collect::<Result<_, _>>()?;
    let (stamp_us, learned_until_us) = (stamp(stamp_us)?, stamp(learned_until_us)?);
    encode(out, &wire::Record::Head(wire::Head { revision, stamp_us, learned_until_us, lists }))
}

pub(crate) fn rules(out: &mut Vec<u8>, rules: &[Rule]) -> Result<(), EncodeError> {
    encode(out, &wire::Record::Rules(chunk_to_wire(rules)?))
}

pub(crate) fn addresses(
    out: &mut Vec<u8>,
    list: &str,
    reason: &str,
    rules: &[AddressRule],
) -> Result<(), EncodeError> {
    let (list, reason, Packed { v4, v6 }) = (list_name(list)?, bounds::reason(reason)?, pack(rules)?);
    encode(out, &wire::Record::Addresses { list, reason, v4: &v4, v6: &v6 })
}

pub(crate) fn seal(out: &mut Vec<u8>, seal: &Seal) -> Result<(), EncodeError> {
    let reason = &to_text(seal);
    encode(out, &wire::Record::Addresses { list: SEAL, reason, v4: &[], v6: &[] })
}

pub(crate) fn end(out: &mut Vec<u8>, rules: u64) -> Result<(), EncodeError> {
    encode(out, &wire::Record::End { rules })
}

pub(crate) fn change(
    out: &mut Vec<u8>,
    revision: u64,
    stamp_us: u64,
    operation: &Operation,
) -> Result<(), EncodeError> {
    let (stamp_us, change) = (stamp(stamp_us)?, operation_to_wire(operation)?);
    encode(out, &wire::Record::Change { revision, stamp_us, change })
}

pub(crate) fn replace(
    out: &mut Vec<u8>,
    revision: u64,
    stamp_us: u64,
    list: &str,
) -> Result<(), EncodeError> {
    encode(out, &wire::Record::Replace { revision, stamp_us: stamp(stamp_us)?, list: list_name(list)? })
}

pub(crate) fn next(out: &mut Vec<u8>, revision: u64) -> Result<(), EncodeError> {
    encode(out, &wire::Record::Next { revision })
}

/// The bytes of a file of this kind with these records, whether or not they belong into one.
///
/// # Errors
/// The first record that cannot be written.
pub fn encode_file<'a>(
    kind: FileKind,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = preamble(kind).to_vec();
    for record in records {
        match record {
            Record::Head(first) => head(&mut out, first),
            Record::Rules(some) => rules(&mut out, some),
            Record::Addresses { list, reason, rules } => addresses(&mut out, list, reason, rules),
            Record::Seal(found) => seal(&mut out, found),
            Record::End { rules } => end(&mut out, *rules),
            Record::Change { revision, stamp_us, operation } => {
                change(&mut out, *revision, *stamp_us, operation)
            }
            Record::Replace { revision, stamp_us, list } => replace(&mut out, *revision, *stamp_us, list),
            Record::Next { revision } => next(&mut out, *revision),
        }?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bounds::{MAX_OPERATIONS, MAX_RULES_PER_CHUNK, MAX_STAMP_US};

    #[test]
    fn a_stamp_of_a_far_future_is_neither_written_nor_read() {
        let written = |stamp_us| replace(&mut Vec::new(), 1, stamp_us, "list");
        assert_eq!(written(MAX_STAMP_US), Ok(()));
        assert_eq!(written(MAX_STAMP_US + 1), Err(EncodeError::Invalid(Invalid::Stamp)));
        let read = |stamp_us| {
            let record = wire::Record::Replace { revision: 1, stamp_us, list: "list" };
            decode(&format().serialize(&record).unwrap()).map_err(|e| e.to_string())
        };
        assert!(read(MAX_STAMP_US).is_ok());
        assert!(read(MAX_STAMP_US + 1).unwrap_err().contains("a stamp after the year 2199"));
    }

    #[test]
    fn a_claim_of_too_many_elements_is_refused_before_they_are_read() {
        let batch = wire::Change::Batch(Vec::new());
        let chunk = wire::Chunk { terms: Vec::new(), rules: Vec::new() };
        let head = wire::Head { revision: 0, stamp_us: 0, learned_until_us: 0, lists: Vec::new() };
        // Each ends with how many elements it has, which is one byte for none.
        for (record, max) in [
            (wire::Record::Change { revision: 0, stamp_us: 0, change: batch }, MAX_OPERATIONS),
            (wire::Record::Rules(chunk), MAX_RULES_PER_CHUNK),
            (wire::Record::Head(head), MAX_LISTS),
        ] {
            let mut payload = format().serialize(&record).unwrap();
            assert_eq!(payload.pop(), Some(0));
            payload.extend(format().serialize(&(max as u64 + 1)).unwrap());
            let refusal = decode(&payload).unwrap_err().to_string();
            let expected = format!("invalid length {}, expected at most {max} elements", max + 1);
            assert!(refusal.ends_with(&expected), "{refusal}");
        }
    }
}
