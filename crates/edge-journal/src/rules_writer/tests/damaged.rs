//! Files that are not what was written any more: found at the next start, and while the writer lives.

use super::*;
use crate::rules_writer::sealing::{End, end_of_chain};

type Harm = fn(&Path);

const SNAPSHOT: &str = "rules.snapshot";
const JOURNAL: &str = "rules.journal.3";

/// A snapshot at revision 3 with a journal of three changes behind it.
fn directory() -> (tempfile::TempDir, RulesWriter) {
    let dir = tempfile::tempdir().unwrap();
    let writer = fill(dir.path(), 0);
    (dir, writer)
}

fn fill(dir: &Path, from: u64) -> RulesWriter {
    let mut writer = RulesWriter::open(dir, 1).unwrap();
    let address = |n: u64| format!("192.0.2.{}", from + n);
    for n in 0..3 {
        writer.append(&put(&address(n)), 1).unwrap();
    }
    writer.rotate((0..3).map(|n| rule(&address(n), "manager")), &["manager".into()], 0, 1).unwrap();
    for n in 3..6 {
        writer.append(&put(&address(n)), 1).unwrap();
    }
    writer
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    // In place: it stays the same file.
    fs::write(path, bytes).unwrap();
}

const HARMS: [(&str, Harm); 10] = [
    ("a snapshot cut by half", |dir| edit(&dir.join(SNAPSHOT), |bytes| bytes.truncate(bytes.len() / 2))),
    ("an empty snapshot", |dir| edit(&dir.join(SNAPSHOT), Vec::clear)),
    ("no snapshot", |dir| {
        fs::remove_file(dir.join(SNAPSHOT)).unwrap();
        // With it, all rules would still be there.
        fs::remove_file(dir.join("rules.journal.0")).unwrap();
    }),
    ("another snapshot", |dir| {
        let other = tempfile::tempdir().unwrap();
        fill(other.path(), 100);
        fs::copy(other.path().join(SNAPSHOT), dir.join(SNAPSHOT)).unwrap();
    }),
    ("a text in place of the snapshot", |dir| fs::write(dir.join(SNAPSHOT), "something else").unwrap()),
    ("a journal without its last byte", |dir| edit(&dir.join(JOURNAL), |bytes| _ = bytes.pop())),
    ("an empty journal", |dir| edit(&dir.join(JOURNAL), Vec::clear)),
    ("no journal", |dir| fs::remove_file(dir.join(JOURNAL)).unwrap()),
    ("another journal", |dir| {
        let other = tempfile::tempdir().unwrap();
        fill(other.path(), 100);
        fs::copy(other.path().join(JOURNAL), dir.join(JOURNAL)).unwrap();
    }),
    ("a text in place of the journal", |dir| fs::write(dir.join(JOURNAL), "something else").unwrap()),
];

/// Whether a writer that opens the directory sees that it does not lead to this mark.
fn is_seen_at_the_start(dir: &Path, mark: Mark) -> bool {
    let writer = RulesWriter::open(dir, 1).unwrap();
    writer.needs_rotation() || writer.mark() != Some(mark)
}

fn mend(writer: &mut RulesWriter, known: u64) {
    let rules = [rule("192.0.2.1", "manager")].map(Ok::<_, WriteError>);
    writer.replace_all(rules, &["manager".into()], known, 1).unwrap();
}

#[test]
fn every_harm_is_seen_while_the_writer_lives_and_mended() {
    for (name, harm) in HARMS {
        let (dir, mut writer) = directory();
        assert_eq!(writer.check(true), None, "{name}");
        harm(dir.path());
        assert!(writer.check(false).is_some(), "{name}");
        assert!(matches!(writer.append(&put("192.0.2.9"), 1), Err(WriteError::NeedsRotation)), "{name}");
        mend(&mut writer, 6);
        assert_eq!(writer.check(true), None, "{name}");
        assert_eq!(writer.revision(), 7, "{name}");
        writer.append(&put("192.0.2.9"), 1).unwrap();
        let (mark, found) = (writer.mark().unwrap(), Follower::load(dir.path()).unwrap());
        assert_eq!((mark.revision, mark.taken, found.revision, found.state.len()), (8, 2, 8, 2), "{name}");
        drop(writer);
        assert!(!is_seen_at_the_start(dir.path(), mark), "{name}");
    }
}

#[test]
fn every_harm_is_seen_at_the_start_and_mended() {
    for (name, harm) in HARMS {
        let (dir, writer) = directory();
        let mark = writer.mark().unwrap();
        drop(writer);
        harm(dir.path());
        assert!(is_seen_at_the_start(dir.path(), mark), "{name}");
        let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
        mend(&mut writer, 6);
        assert_eq!(writer.check(true), None, "{name}");
        let mark = writer.mark().unwrap();
        drop(writer);
        assert!(!is_seen_at_the_start(dir.path(), mark), "{name}");
    }
}

#[test]
fn no_flipped_bit_is_overlooked() {
    for file in [SNAPSHOT, JOURNAL] {
        let (dir, writer) = directory();
        let path = dir.path().join(file);
        let good = fs::read(&path).unwrap();
        let mark = writer.mark().unwrap();
        let whole = End { mark: Some(mark), base: 3, torn_bytes: 0 };
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            let found = end_of_chain(&writer.dir);
            assert!(!found.is_ok_and(|found| found == whole), "{file}, byte {at}");
        }
        fs::write(&path, &good).unwrap();
        assert_eq!(end_of_chain(&writer.dir).unwrap(), whole);
        drop(writer);
        for at in 0..good.len() {
            let copy = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(dir.path()).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            }
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(copy.path().join(file), &bad).unwrap();
            assert!(is_seen_at_the_start(copy.path(), mark), "{file}, byte {at}");
        }
    }
}

#[test]
fn files_that_changed_places_do_not_pass_for_those_that_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    // Two records of as many rules each.
    let rules = (0..4096).map(|n| rule(&format!("10.0.{}.{}", n / 256, n % 256), "manager"));
    writer.rotate(rules, &["manager".into()], 0, 1).unwrap();
    edit(&dir.path().join(SNAPSHOT), |bytes| {
        let mut ends = vec![codec::PREAMBLE_BYTES];
        while let Some(head) = bytes[*ends.last().unwrap()..].first_chunk::<4>() {
            ends.push(ends.last().unwrap() + codec::FRAME_HEAD_BYTES + u32::from_le_bytes(*head) as usize);
        }
        let (first, second) = (bytes[ends[1]..ends[2]].to_vec(), bytes[ends[2]..ends[3]].to_vec());
        assert_eq!(first.len(), second.len());
        bytes.splice(ends[1]..ends[3], [second, first].concat());
    });
    let expected = "the records before the seal are not those that were written";
    assert!(writer.check(false).is_some_and(|damage| damage.ends_with(expected)));
}

#[test]
fn whoever_follows_and_whoever_begins_with_the_snapshot_come_to_the_same_mark() {
    let (dir, mut writer) = directory();
    let followed = writer.mark().unwrap();
    let rules = (0..6).map(|n| rule(&format!("192.0.2.{n}"), "manager"));
    writer.rotate(rules, &["manager".into()], 0, 1).unwrap();
    assert_eq!(writer.mark(), Some(followed), "a rotation changes nothing");
    drop(writer);
    assert_eq!(RulesWriter::open(dir.path(), 1).unwrap().mark(), Some(followed));
}

#[test]
fn a_snapshot_of_an_earlier_version_is_read_and_has_no_mark() {
    let (dir, writer) = directory();
    drop(writer);
    let (path, unsealed) = (dir.path().join(SNAPSHOT), records(dir.path(), FileName::Snapshot));
    fs::write(&path, crate::encode_file(FileKind::Snapshot, &unsealed).unwrap()).unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    assert_eq!((writer.revision(), writer.mark(), writer.needs_rotation()), (6, None, false));
    writer.append(&put("192.0.2.9"), 1).unwrap();
    assert_eq!((writer.mark(), writer.check(true)), (None, None));
}

#[test]
fn a_directory_that_was_replaced_is_told() {
    let (dir, mut writer) = directory();
    let path = dir.path().join("in");
    fs::create_dir(&path).unwrap();
    let mut inner = fill(&path, 0);
    fs::rename(&path, dir.path().join("aside")).unwrap();
    assert!(inner.check(false).is_some_and(|damage| damage.contains("was removed or replaced")));
    assert_eq!(writer.check(false), None);
}

#[test]
fn a_stamp_is_later_than_those_of_a_foreign_file() {
    let (dir, mut writer) = directory();
    let other = tempfile::tempdir().unwrap();
    drop(fill(other.path(), 100));
    let mut theirs = RulesWriter::open(other.path(), 1).unwrap();
    let rules = [rule("192.0.2.1", "manager")].map(Ok::<_, WriteError>);
    theirs.replace_all(rules, &["manager".into()], 500, 9_000_000).unwrap();
    fs::copy(other.path().join(SNAPSHOT), dir.path().join(SNAPSHOT)).unwrap();
    assert!(writer.check(false).is_some());
    mend(&mut writer, 6);
    let Record::Head(head) = &records(dir.path(), FileName::Snapshot)[0] else { panic!("no head") };
    assert!(head.stamp_us > 9_000_000, "{}", head.stamp_us);
}
