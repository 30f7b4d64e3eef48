mod all;
mod damaged;
mod foreign;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use edge_filter::{Action, AddressRule, List, NEVER, Operation, Origin, Rule, Target};

use super::*;
use crate::model::{Follower, apply_next, rotate, state_at, write_next};
use crate::{Next, Record, Records};

fn rule(address: &str, list: &str) -> Rule {
    Rule {
        target: Target::Client(List::Block, address.parse().unwrap()),
        action: Action::Drop,
        expires_at_s: NEVER,
        origin: Origin::List(list.into()),
        reason: "".into(),
    }
}

fn addresses(list: &str, addresses: &[&str]) -> Record {
    let rules = addresses.iter().map(|address| AddressRule {
        list: List::Block,
        net: address.parse().unwrap(),
        action: Action::Drop,
        expires_at_s: NEVER,
    });
    Record::Addresses { list: list.into(), reason: "".into(), rules: rules.collect() }
}

fn put(address: &str) -> Operation {
    Operation::Put(rule(address, "manager"))
}

/// All records of a file but its seal.
fn records(dir: &Path, file: FileName) -> Vec<Record> {
    let dir = StateDir::open(dir).unwrap();
    let mut records = Records::open(&dir, &file).unwrap();
    let mut all = Vec::new();
    loop {
        match records.next().unwrap() {
            Next::Record(Record::Seal(_)) => {}
            Next::Record(record) => all.push(record),
            Next::End { torn_bytes } => {
                assert_eq!(torn_bytes, 0);
                return all;
            }
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 5000).unwrap();
    assert_eq!(writer.append(&put("192.0.2.1"), 5000).unwrap(), 1);
    assert_eq!(writer.replace_list("bad", [rule("192.0.2.2", "bad")], 1).unwrap(), 2);
    let change = Record::Change { revision: 1, stamp_us: 5001, operation: put("192.0.2.1") };
    let replace = Record::Replace { revision: 2, stamp_us: 5003, list: "bad".into() };
    assert_eq!(records(dir.path(), FileName::Journal(0))[1..], [change, replace]);
    let list = [addresses("bad", &["192.0.2.2"]), Record::End { rules: 1 }];
    assert_eq!(records(dir.path(), FileName::List(2))[1..], list);
    let all = [rule("192.0.2.1", "manager"), rule("192.0.2.2", "bad")];
    writer.rotate(all.clone(), &["manager".into(), "bad".into()], 77, 9000).unwrap();
    assert_eq!(records(dir.path(), FileName::Journal(0)).last(), Some(&Record::Next { revision: 2 }));
    let lists: Vec<Arc<str>> = vec!["manager".into(), "bad".into()];
    let snapshot = [
        Record::Head(Head { revision: 2, stamp_us: 9000, learned_until_us: 77, lists }),
        addresses("bad", &["192.0.2.2"]),
        addresses("manager", &["192.0.2.1"]),
        Record::End { rules: 2 },
    ];
    assert_eq!(records(dir.path(), FileName::Snapshot), snapshot);
    drop(writer);
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    assert_eq!(writer.revision(), 2);
    assert_eq!(writer.append(&put("192.0.2.3"), 1).unwrap(), 3);
    let change = Record::Change { revision: 3, stamp_us: 9001, operation: put("192.0.2.3") };
    assert_eq!(records(dir.path(), FileName::Journal(2))[1..], [change]);
}

/// What a reader and the next writer make of the directory as it is now. `acknowledged` is the last revision that
/// the writer has answered.
fn check(dir: &Path, acknowledged: u64) {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let found = Follower::load(copy.path());
    let revision = found.as_ref().map_or(0, |found| found.revision);
    assert!((acknowledged..=acknowledged + 1).contains(&revision), "{revision} after {acknowledged}");
    if let Some(found) = found {
        assert_eq!(found.state, state_at(revision));
    }
    let mut early = [Follower::load(copy.path()), Follower::of_oldest_journal(copy.path())];
    let mut follow = |revision| {
        for early in early.iter_mut().flatten() {
            early.follow();
            assert_eq!((early.revision, &early.state), (revision, &state_at(revision)));
        }
    };
    follow(revision);
    let mut writer = RulesWriter::open(copy.path(), 1).unwrap();
    assert_eq!((writer.revision(), writer.needs_rotation()), (revision, false));
    assert_eq!(write_next(&mut writer, 1).unwrap(), revision + 1);
    follow(revision + 1);
    rotate(&mut writer, &state_at(revision + 1), 1);
    write_next(&mut writer, 1).unwrap();
    let expected = (revision + 2, state_at(revision + 2));
    let late = Follower::load(copy.path()).unwrap();
    assert_eq!((late.revision, late.state), expected);
    follow(revision + 2);
    let temporary = fs::read_dir(copy.path())
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().ends_with(".new"));
    assert!(!temporary);
}

/// Calls `check` after each step that files are written in, and with each part of what a step has appended.
fn check_each_step(writer: &RulesWriter, dir: &Path, acknowledged: &Rc<Cell<u64>>) -> Rc<Cell<usize>> {
    let steps = Rc::new(Cell::new(0));
    let (dir, acknowledged, counted) = (dir.to_owned(), acknowledged.clone(), steps.clone());
    let lengths: RefCell<Vec<(PathBuf, u64)>> = RefCell::default();
    *writer.files.after_step.borrow_mut() = Some(Box::new(move || {
        counted.set(counted.get() + 1);
        check(&dir, acknowledged.get());
        for (path, before) in lengths.take() {
            let whole = fs::read(&path).unwrap_or_default();
            // Every part was tried against readers (tests/journal/damage.rs); each trial here writes and syncs files.
            for cut in (before..whole.len() as u64).step_by(5) {
                fs::write(&path, &whole[..cut as usize]).unwrap();
                check(&dir, acknowledged.get());
            }
            if before < whole.len() as u64 {
                fs::write(&path, &whole).unwrap();
            }
        }
        let journals = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        lengths.replace(
            journals
                .filter(|path| path.to_string_lossy().contains("rules.journal."))
                .filter(|path| !path.to_string_lossy().ends_with(".new"))
                .map(|path| (path.clone(), path.metadata().unwrap().len()))
                .collect(),
        );
    }));
    steps
}

#[test]
fn a_writer_may_be_killed_after_any_step() {
    let dir = tempfile::tempdir().unwrap();
    let acknowledged = Rc::new(Cell::new(0));
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    let mut live = Follower::load(dir.path()).unwrap();
    let steps = check_each_step(&writer, dir.path(), &acknowledged);
    let mut state = Default::default();
    for round in 1..=14 {
        let revision = write_next(&mut writer, 1).unwrap();
        acknowledged.set(revision);
        apply_next(&mut state, revision);
        if round % 5 == 0 {
            rotate(&mut writer, &state, 1);
            // Nothing has changed since.
            rotate(&mut writer, &state, 1);
        }
        live.follow();
        assert_eq!((live.revision, &live.state), (revision, &state));
    }
    assert!(steps.get() >= 50, "{} steps", steps.get());
}

#[test]
fn files_of_the_past_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    for revision in 1..=60 {
        write_next(&mut writer, 1).unwrap();
        if revision % 10 == 0 {
            rotate(&mut writer, &state_at(revision), 1);
        }
    }
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // The list file is named in the journal before this one, which a reader may still follow.
    let expected = [
        "rules.journal.50",
        "rules.journal.60",
        "rules.list.51",
        "rules.list.58",
        "rules.lock",
        "rules.snapshot",
    ];
    assert_eq!(names, expected);
}

#[test]
fn two_writers_are_one_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let first = RulesWriter::open(dir.path(), 1).unwrap();
    let error = RulesWriter::open(dir.path(), 1).unwrap_err();
    assert_eq!(error.to_string(), "rules.lock: another process writes the rules of this directory");
    drop(first);
    assert!(RulesWriter::open(dir.path(), 1).is_ok());
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_writer_touches_nothing_where_a_file_is_newer() {
    let mut newer = codec::preamble(FileKind::Snapshot);
    newer[8] = 9;
    let crc = crc32fast::hash(&newer[..12]).to_le_bytes();
    newer[12..].copy_from_slice(&crc);
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    write_next(&mut writer, 1).unwrap();
    drop(writer);
    fs::write(dir.path().join("rules.journal.new"), "left").unwrap();
    fs::write(dir.path().join("rules.snapshot"), newer).unwrap();
    let before = contents(dir.path());
    let error = RulesWriter::open(dir.path(), 1).unwrap_err();
    assert!(error.to_string().starts_with("rules.snapshot: format 9 is newer than 1"), "{error}");
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn damage_is_mended_by_a_snapshot_at_a_revision_beyond_all() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("a flipped bit", |dir| {
            let path = dir.join("rules.journal.9");
            let mut bytes = fs::read(&path).unwrap();
            bytes[70] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("no journal", |dir| fs::remove_file(dir.join("rules.journal.9")).unwrap()),
        ("an empty journal", |dir| fs::write(dir.join("rules.journal.9"), "").unwrap()),
        ("half a head", |dir| {
            let path = dir.join("rules.snapshot");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..20]).unwrap();
        }),
    ];
    for (name, harm) in harms {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
        for revision in 1..=16 {
            write_next(&mut writer, 1).unwrap();
            if revision == 9 {
                rotate(&mut writer, &state_at(9), 1);
            }
        }
        drop(writer);
        harm(dir.path());
        let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
        assert!(writer.needs_rotation(), "{name}");
        assert!(matches!(writer.append(&put("192.0.2.1"), 1), Err(WriteError::NeedsRotation)), "{name}");
        assert!(matches!(writer.replace_list("spam", [], 1), Err(WriteError::NeedsRotation)), "{name}");
        rotate(&mut writer, &state_at(16), 1);
        // Nothing that was acknowledged can be greater, except what was in a file that is gone.
        let least = if ["no journal", "an empty journal"].contains(&name) { 16 } else { 17 };
        assert!(writer.revision() >= least, "{name}: {}", writer.revision());
        let revision = writer.append(&put("192.0.2.1"), 1).unwrap();
        let found = Follower::load(dir.path()).unwrap();
        assert_eq!(found.revision, revision, "{name}");
        drop(writer);
        assert!(!RulesWriter::open(dir.path(), 1).unwrap().needs_rotation(), "{name}");
    }
}

#[test]
fn a_rule_of_another_list_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    let error = writer.replace_list("bad", [rule("192.0.2.1", "good")], 1).unwrap_err();
    assert_eq!(error.to_string(), "a rule of good among those of the list bad");
    assert_eq!((writer.revision(), writer.append(&put("192.0.2.1"), 1).unwrap()), (0, 1));
}

#[test]
fn stamps_only_grow_whatever_the_clock_does() {
    let dir = tempfile::tempdir().unwrap();
    for now_us in [5000, 4000, 9000, 1] {
        let mut writer = RulesWriter::open(dir.path(), now_us).unwrap();
        writer.append(&put("192.0.2.1"), now_us).unwrap();
    }
    let stamps: Vec<_> = records(dir.path(), FileName::Journal(0))
        .into_iter()
        .filter_map(|record| match record {
            Record::Change { stamp_us, .. } => Some(stamp_us),
            _ => None,
        })
        .collect();
    assert_eq!(stamps, [5001, 5002, 9000, 9001]);
}

#[test]
fn rules_too_large_for_one_record_take_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    let path = |n| {
        let text = format!("/{n}/{}", "a".repeat(16_000));
        let path = edge_filter::CanonicalPath::parse(text, Default::default(), 17_000).unwrap();
        Target::Resource(edge_filter::Resource::exact(None, path), Default::default())
    };
    let rules: Vec<_> = (0..100).map(|n| Rule { target: path(n), ..rule("192.0.2.1", "big") }).collect();
    writer.replace_list("big", rules.clone(), 1).unwrap();
    let read = records(dir.path(), FileName::List(1)).into_iter().flat_map(|record| match record {
        Record::Rules(rules) => rules,
        _ => Vec::new(),
    });
    assert_eq!(read.collect::<Vec<_>>(), rules);
}

#[test]
fn what_was_cut_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    writer.append(&put("192.0.2.1"), 1).unwrap();
    drop(writer);
    let journal = dir.path().join("rules.journal.0");
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend([9, 0, 0]);
    fs::write(&journal, bytes).unwrap();
    let writer = RulesWriter::open(dir.path(), 1).unwrap();
    assert_eq!((writer.torn_bytes(), writer.revision()), (3, 1));
    drop(writer);
    assert_eq!(RulesWriter::open(dir.path(), 1).unwrap().torn_bytes(), 0);
}
