//! Truncation at every byte, a flipped bit at every byte: never a panic, never a rule that was not written, never the
//! loss of one before the damage.

use edge_journal::{Damage, FileKind, FileName, Head, ReadError, Record, encode_file};
use proptest::prelude::*;

use crate::samples::{files, journal, read, snapshot};

/// A file and where each of its records ends; the preamble is the first.
fn with_ends(kind: FileKind, records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let ends = (0..=records.len()).map(|n| encode_file(kind, &records[..n]).unwrap().len()).collect();
    (encode_file(kind, records).unwrap(), ends)
}

/// The number of whole records before this byte.
fn whole_before(ends: &[usize], at: usize) -> usize {
    ends.iter().filter(|end| **end <= at).count().saturating_sub(1)
}

#[test]
fn a_truncated_file_holds_all_records_before_the_cut() {
    for (file, records) in files() {
        let (bytes, ends) = with_ends(file.kind(), &records);
        for cut in 0..bytes.len() {
            let (found, offset, end) = read(&file, &bytes[..cut]);
            let whole = whole_before(&ends, cut);
            assert_eq!(found, records[..whole], "{file} cut at {cut}");
            let is_complete_or_absent = matches!(file.kind(), FileKind::Snapshot | FileKind::List);
            match end {
                Ok(torn) => {
                    assert!(!is_complete_or_absent, "{file} cut at {cut}");
                    assert_eq!(offset + torn, cut as u64, "{file}");
                }
                Err(ReadError::Damaged { damage, offset: at, .. }) => {
                    assert!(is_complete_or_absent, "{file} cut at {cut}: {damage}");
                    assert_eq!((damage, at), (Damage::Unfinished, offset));
                }
                Err(other) => panic!("{file} cut at {cut}: {other}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_ends_a_file_where_it_is() {
    for (file, records) in files() {
        let (bytes, ends) = with_ends(file.kind(), &records);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (found, offset, end) = read(&file, &bad);
            let whole = whole_before(&ends, bit / 8);
            assert_eq!(found, records[..whole], "{file} bit {bit}");
            let start = if bit / 8 < ends[0] { 0 } else { ends[whole] };
            assert_eq!(offset, start as u64, "{file} bit {bit}");
            // In the last record it looks like one that is being written.
            match end {
                Ok(torn) => assert_eq!(torn, (bytes.len() - start) as u64, "{file} bit {bit}"),
                Err(ReadError::Damaged { offset: at, .. }) => assert_eq!(at, offset, "{file} bit {bit}"),
                Err(ReadError::Foreign { .. }) => assert!(bit < 64, "{file} bit {bit}"),
                Err(other) => panic!("{file} bit {bit}: {other}"),
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_file_and_place() {
    let file = FileName::Journal(7);
    let bytes = encode_file(FileKind::Journal, &journal()).unwrap();
    let text = |bytes: &[u8]| read(&file, bytes).2.unwrap_err().to_string();
    let mut flipped = bytes.clone();
    flipped[30] ^= 1;
    assert_eq!(text(&flipped), "rules.journal.7: damaged at byte 16: the checksum of a record is wrong");
    assert_eq!(
        text(&encode_file(FileKind::Learned, &[]).unwrap()),
        "rules.journal.7: damaged at byte 0: a learned journal under the name of a rules journal"
    );
    assert_eq!(text(b"#!/bin/sh\necho a foreign file"), "rules.journal.7: not a file of Edge Filter");
    assert_eq!(text(b"#"), "rules.journal.7: not a file of Edge Filter");
    let mut newer = bytes.clone();
    newer[8] = 2;
    let crc = crc32fast::hash(&newer[..12]).to_le_bytes();
    newer[12..16].copy_from_slice(&crc);
    assert_eq!(text(&newer), "rules.journal.7: format 2 is newer than 1, the newest that this version reads");
    let end = bytes.len();
    assert_eq!(
        text(&[&bytes[..], b"x"].concat()),
        format!("rules.journal.7: damaged at byte {end}: bytes behind the last record")
    );
    let zeros = [&encode_file(FileKind::Journal, &journal()[..1]).unwrap()[..], &[0; 4096]].concat();
    assert!(text(&zeros).ends_with(": a record of 0 bytes"), "{}", text(&zeros));
}

#[test]
fn records_that_do_not_belong_are_damage() {
    let head = |revision| Record::Head(Head { revision, ..Head::default() });
    let change = |revision| match &journal()[1] {
        Record::Change { operation, .. } => {
            Record::Change { revision, stamp_us: 1, operation: operation.clone() }
        }
        other => panic!("{other:?}"),
    };
    let rules = || snapshot()[1].clone();
    let (snapshot, journal) = (FileName::Snapshot, FileName::Journal(0));
    let learned = FileName::learned("1").unwrap();
    for (file, records, good, expected) in [
        (&journal, vec![change(1)], 0, "a file that does not begin with its head"),
        (&journal, vec![head(3), head(3)], 1, "a record of kind head in a rules journal"),
        (&journal, vec![head(3), change(5)], 1, "revision 5 after revision 3"),
        (&journal, vec![head(3), change(4), change(4)], 2, "revision 4 after revision 4"),
        (&journal, vec![head(u64::MAX), change(0)], 1, "revision 0 after revision 18446744073709551615"),
        (
            &journal,
            vec![head(3), Record::Next { revision: 4 }],
            1,
            "the next journal begins at 4, this one ends at 3",
        ),
        (&journal, vec![head(3), Record::Next { revision: 3 }, change(4)], 2, "bytes behind the last record"),
        (&journal, vec![head(3), rules()], 1, "a record of kind addresses in a rules journal"),
        (&learned, vec![head(0), change(1)], 1, "a record of kind change in a learned journal"),
        (
            &learned,
            vec![head(0), Record::Next { revision: 0 }],
            1,
            "a record of kind next in a learned journal",
        ),
        (&snapshot, vec![head(3), change(4)], 1, "a record of kind change in a snapshot"),
        (&snapshot, vec![head(3), rules(), Record::End { rules: 5 }], 2, "6 rules where 5 were written"),
        (&snapshot, vec![head(3), Record::End { rules: 0 }, rules()], 2, "bytes behind the last record"),
        (&snapshot, vec![head(3), rules()], 2, "the file ends before its last record"),
    ] {
        let (found, _, end) = read(file, &encode_file(file.kind(), &records).unwrap());
        assert_eq!(found, records[..good]);
        assert!(end.as_ref().is_err_and(|e| e.to_string().ends_with(expected)), "{end:?}, not {expected}");
    }
}

proptest! {
    /// Whatever is done to the bytes, the records found are those written, up to some point.
    #[test]
    fn splices_never_make_a_record(
        which in 0..5_usize,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        count in 0..300_usize,
        junk in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (file, records) = files().swap_remove(which);
        let bytes = encode_file(file.kind(), &records).unwrap();
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let moved = &bytes[from..bytes.len().min(from + count)];
        for spliced in [
            [&bytes[..to], moved, &bytes[to..]].concat(),
            [&bytes[..to], &junk, &bytes[to..]].concat(),
            [&bytes[..to], &junk, &bytes[bytes.len().min(to + count)..]].concat(),
        ] {
            let (found, offset, _) = read(&file, &spliced);
            // A whole record that was moved to where it may stand is one that was written.
            let is_prefix = records.starts_with(&found);
            prop_assert!(is_prefix || found.iter().all(|record| records.contains(record)), "{:?}", found);
            prop_assert!(offset <= spliced.len() as u64);
        }
    }
}
