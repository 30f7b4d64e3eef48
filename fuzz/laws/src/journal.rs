//! The files of the state directory.

use edge_filter::{Filter, Kind, Operation, Settings};
use edge_journal::{
    FileKind, FileName, MAX_FRAME_BYTES, MAX_LISTS, MAX_OPERATIONS, MAX_RULES_PER_CHUNK, Next, Record,
    Records, encode_file,
};

/// Bytes, so the mutator has few words to write: lengths, and what the payloads of the corpus hold.
pub(crate) const WORDS: &[&str] = &[
    "\u{1}\0\0\0",
    "\0\0\0\0",
    "\0",
    "\u{1}",
    "\u{2}",
    "\u{3}",
    "/",
    "/a",
    "shop.example",
    "[::1]",
    "GET",
    "spam",
];

/// The first 16 bytes of a file, and the head of a frame.
const PREAMBLE_BYTES: usize = 16;
const FRAME_HEAD_BYTES: usize = 8;

/// No file makes a reader panic, whichever reader it is; what is read keeps all bounds, is written again as
/// something that reads the same, and can be applied. The input is read as it is, and once more with its
/// checksums made right, which no mutation would ever find.
pub fn journal(data: &[u8]) {
    for name in [
        FileName::Snapshot,
        FileName::List(7),
        FileName::Journal(7),
        FileName::learned("1").expect("a good name"),
    ] {
        let mended = mended(data, name.kind());
        for bytes in [data, &mended] {
            let records = read(&name, bytes);
            assert_eq!(read(&name, &written(name.kind(), &records)), records);
            records.iter().for_each(is_within_bounds);
            if name.kind() == FileKind::Snapshot {
                load(&records);
            } else {
                apply(&records);
            }
        }
    }
}

/// The records up to the end or the damage; the same when it is asked again.
fn read(name: &FileName, bytes: &[u8]) -> Vec<Record> {
    let Ok(mut reader) = Records::over(name.clone(), bytes) else { return Vec::new() };
    let mut records = Vec::new();
    loop {
        let before = reader.offset();
        match reader.next() {
            Ok(Next::Record(record)) => {
                assert!(reader.offset() > before);
                records.push(record);
            }
            Ok(Next::End { torn_bytes }) => {
                assert_eq!(reader.offset() + torn_bytes, bytes.len() as u64);
                assert_eq!(reader.next().ok(), Some(Next::End { torn_bytes }));
                return records;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.chars().any(char::is_control), "{text}");
                assert_eq!(reader.next().expect_err("damage stays").to_string(), text);
                return records;
            }
        }
    }
}

fn written(kind: FileKind, records: &[Record]) -> Vec<u8> {
    encode_file(kind, records).expect("what was read can be written")
}

/// The input as the frames of a file of this kind, with right checksums.
fn mended(data: &[u8], kind: FileKind) -> Vec<u8> {
    let mut file = written(kind, &[]);
    let mut rest = data.get(PREAMBLE_BYTES..).unwrap_or_default();
    while let Some((length_field, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length_field) as usize;
        let Some(frame) = behind.get(FRAME_HEAD_BYTES - 4..).filter(|payload| !payload.is_empty()) else {
            break;
        };
        let payload = &frame[..length.clamp(1, MAX_FRAME_BYTES).min(frame.len())];
        let length_field = (payload.len() as u32).to_le_bytes();
        let mut crc = crc32fast::Hasher::new();
        crc.update(&length_field);
        crc.update(payload);
        file.extend(length_field);
        file.extend(crc.finalize().to_le_bytes());
        file.extend(payload);
        rest = &frame[payload.len()..];
    }
    file
}

fn is_within_bounds(record: &Record) {
    match record {
        Record::Head(head) => assert!(head.lists.len() <= MAX_LISTS),
        Record::Rules(rules) => assert!(rules.len() <= MAX_RULES_PER_CHUNK),
        Record::Addresses { rules, .. } => assert!(rules.len() <= MAX_RULES_PER_CHUNK),
        Record::Change { operation: Operation::Batch(operations), .. } => {
            assert!(operations.len() <= MAX_OPERATIONS);
            assert!(!operations.iter().any(|one| matches!(one, Operation::Batch(_))));
        }
        Record::Change { .. }
        | Record::Seal(_)
        | Record::End { .. }
        | Record::Replace { .. }
        | Record::Next { .. } => {}
    }
}

const MAX_RULES: u32 = 40;

/// Small caps, so that they are met.
fn filter() -> Filter {
    Filter::new(Settings {
        max_rules: MAX_RULES,
        max_learned: 8,
        max_learned_per_host: 4,
        ..Settings::default()
    })
}

const NOW_S: u32 = 1_700_000_000;

fn apply(records: &[Record]) {
    let filter = filter();
    for record in records {
        if let Record::Change { operation, .. } = record {
            let mut edit = filter.edit(NOW_S).expect("nobody else edits");
            edit.apply(operation.clone());
        }
    }
    let held = [Kind::Client, Kind::Resource].map(|kind| filter.rules(kind).count());
    assert!(held.iter().sum::<usize>() <= MAX_RULES as usize);
}

fn load(records: &[Record]) {
    let filter = filter();
    let mut edit = filter.edit(NOW_S).expect("nobody else edits");
    for record in records {
        match record {
            Record::Rules(rules) => rules.iter().for_each(|rule| edit.draft(Operation::Put(rule.clone()))),
            Record::Addresses { list, reason, rules } => _ = edit.draft_addresses(list, reason, [rules]),
            _ => {}
        }
    }
    edit.publish_draft();
}
