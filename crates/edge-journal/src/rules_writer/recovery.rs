//! Finding out where the writer before has stopped.

use std::fs::File;

use super::files::Files;
use super::sealing::{End, end_of_chain};
use super::{Journal, WriteError};
use crate::appender::Appender;
use crate::{FileName, Mark, Next, ReadError, Record, Records, StateDir, codec};

/// The shortest frame: what was lost behind damage has this many bytes a record at least.
const MIN_FRAME_BYTES: u64 = codec::FRAME_HEAD_BYTES as u64 + 1;

/// Where to go on.
pub(super) struct Found {
    /// The last one; behind damage, one that is greater than any that was given.
    pub(super) revision: u64,
    pub(super) stamp_us: u64,
    /// `None` behind damage, and where an earlier version wrote the snapshot.
    pub(super) mark: Option<Mark>,
    pub(super) journal: Chain,
    /// The journal before, if it leads to this one.
    pub(super) previous: Option<u64>,
}

/// The journal that goes on from the snapshot.
pub(super) enum Chain {
    /// This one, cut to what is whole.
    Whole { base: u64, file: File, bytes: u64, torn_bytes: u64 },
    /// There is nothing yet.
    None,
    /// It is damaged, or gone.
    Broken,
}

/// What a journal holds.
struct Contents {
    base: u64,
    /// After its last change.
    revision: u64,
    stamp_us: u64,
    /// Up to here it is whole.
    bytes: u64,
    /// The journal that it names.
    next: Option<u64>,
    is_damaged: bool,
}

/// Reads first and changes nothing before it is clear that no file is of a later version.
pub(super) fn recover(dir: &StateDir, files: &Files) -> Result<Found, WriteError> {
    let names = files.list()?;
    let mut journals = Vec::new();
    let (mut revision, mut stamp_us) = (0, 0);
    let mut begins_at = Some(0);
    for name in &names {
        match name {
            FileName::Journal(base) => journals.push(contents(dir, *base)?),
            FileName::List(of) => {
                refuse_newer(Records::open(dir, name).map(drop))?;
                revision = revision.max(*of);
            }
            FileName::Snapshot => {
                let head = refuse_newer(head(dir, name))?;
                begins_at = head.map(|(at, stamped_us)| {
                    revision = revision.max(at);
                    stamp_us = stamp_us.max(stamped_us);
                    at
                });
            }
            FileName::Learned(_) => {}
        }
    }
    for journal in &journals {
        revision = revision.max(journal.revision);
        stamp_us = stamp_us.max(journal.stamp_us);
    }
    if !names.iter().any(|name| matches!(name, FileName::Snapshot | FileName::Journal(_))) {
        files.remove_temporaries()?;
        return Ok(Found { revision: 0, stamp_us, mark: None, journal: Chain::None, previous: None });
    }
    let broken = Found { revision, stamp_us, mark: None, journal: Chain::Broken, previous: None };
    let Some(last) = begins_at.and_then(|at| last_of_chain(&journals, at)) else { return Ok(broken) };
    // The heads fit together: now all that is between them.
    let mark = match end_of_chain(dir) {
        Ok(End { mark, base, .. }) if base == last.base => mark,
        Err(error @ ReadError::Io { .. }) => return Err(error.into()),
        Ok(_) | Err(_) => return Ok(broken),
    };
    files.remove_temporaries()?;
    // A journal that begins later was made by a rotation that did not come to its snapshot.
    for unborn in journals.iter().filter(|journal| journal.base > last.base) {
        files.remove(&FileName::Journal(unborn.base))?;
    }
    let previous =
        journals.iter().filter(|journal| journal.base < last.base).max_by_key(|journal| journal.base);
    let previous = match previous {
        Some(previous) => link(files, previous, last.base)?.then_some(previous.base),
        None => None,
    };
    let file = files.open_journal(last.base)?;
    let torn_bytes = files.cut(&file, last.base, last.bytes)?;
    let journal = Chain::Whole { base: last.base, file, bytes: last.bytes, torn_bytes };
    Ok(Found { revision: last.revision, stamp_us, mark, journal, previous })
}

/// The journal that the chain from this revision ends with, if it is whole.
fn last_of_chain(journals: &[Contents], begins_at: u64) -> Option<&Contents> {
    let mut at = begins_at;
    loop {
        let journal = journals.iter().find(|journal| journal.base == at)?;
        match journal.next {
            // A journal without a change would lead to itself.
            Some(next) if next > at => at = next,
            Some(_) => return None,
            None if journal.is_damaged => return None,
            None => return Some(journal),
        }
    }
}

/// Lets the journal before lead to this one, if it meets it. A rotation was interrupted where it does not say so.
fn link(files: &Files, previous: &Contents, base: u64) -> Result<bool, WriteError> {
    if previous.next == Some(base) {
        return Ok(true);
    }
    if previous.is_damaged || previous.next.is_some() || previous.revision != base {
        return Ok(false);
    }
    let file = files.open_journal(previous.base)?;
    files.cut(&file, previous.base, previous.bytes)?;
    let mut journal = Journal { base: previous.base, appender: Appender::new(file, previous.bytes) };
    let mut frame = Vec::new();
    codec::next(&mut frame, base)?;
    files.append(&mut journal, &frame)?;
    Ok(true)
}

/// Revision and stamp of a file; `None` if its head is damaged.
fn head(dir: &StateDir, file: &FileName) -> Result<Option<(u64, u64)>, ReadError> {
    match Records::open(dir, file)?.next()? {
        Next::Record(Record::Head(head)) => Ok(Some((head.revision, head.stamp_us))),
        _ => Ok(None),
    }
}

fn contents(dir: &StateDir, base: u64) -> Result<Contents, ReadError> {
    let mut found = Contents { base, revision: base, stamp_us: 0, bytes: 0, next: None, is_damaged: true };
    let name = FileName::Journal(base);
    let mut records = match Records::open(dir, &name) {
        Ok(records) => records,
        Err(ReadError::Damaged { .. } | ReadError::Foreign { .. }) => return Ok(found),
        Err(other) => return Err(other),
    };
    loop {
        match records.next() {
            Ok(Next::Record(record)) => match record {
                Record::Head(head) if head.revision == base => found.stamp_us = head.stamp_us,
                Record::Change { revision, stamp_us, .. } | Record::Replace { revision, stamp_us, .. } => {
                    (found.revision, found.stamp_us) = (revision, found.stamp_us.max(stamp_us));
                }
                Record::Next { revision } => found.next = Some(revision),
                _ => return Ok(found),
            },
            Ok(Next::End { .. }) => {
                found.bytes = records.offset();
                // It appears with its head, so it did not get here by itself.
                found.is_damaged = found.bytes <= codec::PREAMBLE_BYTES as u64;
                return Ok(found);
            }
            Err(ReadError::Damaged { offset, .. }) => {
                let bytes = records.len_now().map_err(|error| ReadError::io(&name, error))?;
                let lost = bytes.saturating_sub(offset) / MIN_FRAME_BYTES;
                found.revision = found.revision.saturating_add(lost);
                return Ok(found);
            }
            Err(other) => return Err(other),
        }
    }
}

/// Damage is mended by the next rotation, and so is a file that begins like none of ours, as one does of which the first byte was
/// flipped. What a later version has written is not touched.
fn refuse_newer<T: Default>(read: Result<T, ReadError>) -> Result<T, ReadError> {
    match read {
        Err(ReadError::Damaged { .. } | ReadError::Foreign { .. }) => Ok(T::default()),
        other => other,
    }
}
