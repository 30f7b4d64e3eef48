//! The rules of the manager are followed through everything that can happen to their files.

use std::fs;
use std::time::Duration;

use edge_journal::RulesWriter;

use super::*;

fn put(writer: &mut RulesWriter, net: &str) -> u64 {
    writer.append(&Operation::Put(listed(net)), START_US).unwrap()
}

/// A worker that has looked for a manager in vain, and the manager that comes then.
fn worker_before_manager(dir: &Path) -> (Worker, RulesWriter) {
    let mut worker = Worker::start(dir, START_US);
    worker.turn();
    (worker, RulesWriter::open(dir, START_US).unwrap())
}

#[test]
fn a_manager_may_come_after_the_worker() {
    let (_home, dir) = home();
    let (one, mut writer) = worker_before_manager(&dir);
    let revision = put(&mut writer, "192.0.2.1");
    assert_eq!(one.sync(Budget::UNLIMITED), (revision, false));
    assert!(one.blocks("192.0.2.1"));
    assert_eq!(one.lines, [""; 0]);
}

#[test]
fn a_turn_without_time_does_not_forget_to_look() {
    let (_home, dir) = home();
    let (mut one, mut writer) = worker_before_manager(&dir);
    put(&mut writer, "192.0.2.1");
    for _ in 0..5 {
        one.now_us += 1_000_000;
        one.state.turn(&one.filter, one.now_us, Budget::of(Duration::ZERO));
        for _ in 0..10 {
            one.now_us += 1000;
            one.state.turn(&one.filter, one.now_us, Budget::of(Duration::from_millis(100)));
        }
    }
    assert!(one.blocks("192.0.2.1"));
}

#[test]
fn a_manager_that_rotated_before_the_worker_looked_is_followed() {
    let (_home, dir) = home();
    let (mut one, mut writer) = worker_before_manager(&dir);
    for n in 0..3 {
        put(&mut writer, &format!("192.0.2.{n}"));
        let rules: Vec<Rule> = (0..=n).map(|n| listed(&format!("192.0.2.{n}"))).collect();
        writer.rotate(rules, &["ours".into()], 0, START_US).unwrap();
    }
    let revision = put(&mut writer, "192.0.2.3");
    one.turn();
    assert!((0..4).all(|n| one.blocks(&format!("192.0.2.{n}"))), "{:?}", one.lines);
    assert_eq!(one.state.revision(), revision);
}

#[test]
fn a_worker_that_was_left_behind_takes_the_snapshot() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1");
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 600);
    // The journal that it reads goes away without a word, as does the next one.
    fs::remove_file(dir.join("rules.journal.0")).unwrap();
    for n in 2..5 {
        put(&mut writer, &format!("192.0.2.{n}"));
        let rules: Vec<Rule> = (2..=n).map(|n| listed(&format!("192.0.2.{n}"))).collect();
        writer.rotate(rules, &["ours".into()], 0, START_US).unwrap();
    }
    one.turn().turn().turn();
    assert!((2..5).all(|n| one.blocks(&format!("192.0.2.{n}"))), "{:?}", one.lines);
    assert!(!one.blocks("192.0.2.1"), "the snapshot has it no more");
    assert!(one.refuses("/yeet"), "no rule of the manager");
    assert_eq!(one.state.revision(), writer.revision());
    assert_eq!(one.state.report().problems, [""; 0]);
}

#[test]
fn a_large_batch_is_seen_as_one_change() {
    let (_home, dir) = home();
    let (one, mut writer) = worker_before_manager(&dir);
    let batch = (0..2000).map(|n| Operation::Put(listed(&format!("10.0.{}.{}", n / 256, n % 256))));
    let revision = writer.append(&Operation::Batch(batch.collect()), START_US).unwrap();
    // The first slice is over before all of it is applied.
    let mut budget = Budget::of(std::time::Duration::ZERO);
    let mut slices = 0;
    // The last slice may be over before it has looked for more.
    while one.sync(budget).0 != revision {
        slices += 1;
        assert_eq!(one.filter.snapshot().counts().block, 0, "part of it is seen");
        assert!(slices < 100_000, "it does not end");
        budget = Budget::of(std::time::Duration::from_micros(500));
    }
    assert!(slices > 0, "sync said that more was waiting");
    assert_eq!(one.filter.snapshot().counts().block, 2000);
}

#[test]
fn a_damaged_list_changes_nothing_until_it_is_replaced() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let before: Vec<Rule> = (0..300).map(|n| listed(&format!("10.0.{}.{}", n / 256, n % 256))).collect();
    let after: Vec<Rule> = (0..300).map(|n| listed(&format!("10.1.{}.{}", n / 256, n % 256))).collect();
    writer.replace_list("ours", before, START_US).unwrap();
    one.turn();
    assert!(one.blocks("10.0.0.0"));
    let revision = writer.replace_list("ours", after, START_US).unwrap();
    let file = dir.join(format!("rules.list.{revision}"));
    let good = fs::read(&file).unwrap();
    let mut bad = good.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    fs::write(&file, bad).unwrap();
    one.turn().turn();
    assert!(one.blocks("10.0.0.0") && !one.blocks("10.1.0.0"));
    assert_eq!(one.state.revision(), revision - 1);
    assert_eq!(one.said(&format!("rules.list.{revision}")), 1, "{:?}", one.lines);
    // By rename, as files of rules are always made.
    fs::write(dir.join("new"), good).unwrap();
    fs::rename(dir.join("new"), &file).unwrap();
    one.turn().turn();
    assert!(!one.blocks("10.0.0.0") && one.blocks("10.1.0.0"));
    assert_eq!((one.state.revision(), one.said("followed again")), (revision, 1), "{:?}", one.lines);
}

#[test]
fn a_journal_that_shrinks_is_told_and_goes_on_when_it_grows_again() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1");
    let journal = dir.join("rules.journal.0");
    let short = fs::read(&journal).unwrap();
    put(&mut writer, "192.0.2.2");
    let whole = fs::read(&journal).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    fs::write(&journal, short).unwrap();
    one.turn().turn();
    assert_eq!(one.said("rules.journal.0: was cut"), 1, "{:?}", one.lines);
    assert!(one.blocks("192.0.2.2"), "what is in force stays");
    fs::write(&journal, whole).unwrap();
    put(&mut writer, "192.0.2.3");
    one.turn().turn();
    assert!(one.blocks("192.0.2.3"));
    assert_eq!((one.state.revision(), one.said("followed again")), (3, 1), "{:?}", one.lines);
}

#[test]
fn damage_in_a_journal_ends_it_with_one_line_until_the_next_snapshot() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1");
    let journal = dir.join("rules.journal.0");
    let good = fs::read(&journal).unwrap().len();
    put(&mut writer, "192.0.2.2");
    put(&mut writer, "192.0.2.3");
    drop(writer);
    let mut bytes = fs::read(&journal).unwrap();
    bytes[good + 9] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn().turn();
    assert!(one.blocks("192.0.2.1") && !one.blocks("192.0.2.2"));
    assert_eq!(one.said("rules.journal.0: damaged at byte"), 1, "{:?}", one.lines);
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    assert!(writer.needs_rotation());
    writer.rotate([listed("192.0.2.1"), listed("192.0.2.9")], &["ours".into()], 0, START_US).unwrap();
    one.turn().turn();
    assert!(one.blocks("192.0.2.9"));
    assert_eq!(one.state.revision(), writer.revision());
    assert_eq!(one.said("followed again"), 1, "{:?}", one.lines);
}

#[test]
fn lessons_before_the_snapshot_says_are_settled() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/removed", 600);
    one.learn("/kept", 600);
    let until_us = one.state.stamp_us(one.now_us);
    one.now_us += 10_000;
    one.learn("/after", 600);
    drop(one);
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let kept = learned("/kept", until_us - 1, (START_US / 1_000_000) as u32 + 600);
    writer.rotate([kept], &[], until_us, START_US + 2_000_000).unwrap();
    let next = Worker::start(&dir, START_US + 3_000_000);
    assert!(!next.refuses("/removed") && next.refuses("/kept") && next.refuses("/after"));
}

#[test]
fn lessons_that_the_manager_removed_go_with_a_snapshot_taken_at_run_time() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1");
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/removed", 600);
    one.learn("/kept", 600);
    let until_us = one.state.stamp_us(one.now_us);
    one.now_us += 10_000;
    one.learn("/after", 600);
    fs::remove_file(dir.join("rules.journal.0")).unwrap();
    one.turn();
    put(&mut writer, "192.0.2.2");
    let end_s = (START_US / 1_000_000) as u32 + 600;
    let other = |n: u32| listed(&std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string());
    let rules = (0..30_000).map(other).chain([learned("/kept", until_us - 1, end_s)]);
    writer.rotate(rules, &["ours".into()], until_us, START_US + 3_000_000).unwrap();
    while !one.filter.edit(one.now_s()).unwrap().has_draft() {
        one.now_us += 1_000_000;
        one.state.turn(&one.filter, one.now_us, Budget::of(std::time::Duration::from_millis(1)));
        assert!(one.refuses("/removed") || one.blocks("10.0.0.1"), "gone before the snapshot is in force");
    }
    // The journal of another worker, read while the snapshot is taken.
    let state_dir = edge_journal::StateDir::open(&dir).unwrap();
    let journal = edge_journal::LearnedJournal::create(&state_dir, "other", until_us).unwrap();
    for (path, stamp_us) in [("/removed", until_us - 2), ("/later", until_us)] {
        journal.append(stamp_us, &Operation::Put(learned(path, stamp_us, end_s))).unwrap();
    }
    one.turn().turn();
    let next = Worker::start(&dir, one.now_us);
    for worker in [one, next] {
        assert!(worker.blocks("10.0.0.1") && !worker.refuses("/removed"), "{:?}", worker.lines);
        assert!(worker.refuses("/kept") && worker.refuses("/after") && worker.refuses("/later"));
    }
}

#[test]
fn lists_of_settings_stay_when_a_snapshot_is_taken() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    let of_file = Rule { origin: Origin::List("file".into()), ..listed("203.0.113.1") };
    one.filter.submit(Operation::Put(of_file), one.now_s()).unwrap();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1");
    one.turn();
    fs::remove_file(dir.join("rules.journal.0")).unwrap();
    for _ in 0..3 {
        put(&mut writer, "192.0.2.2");
        writer.rotate([listed("192.0.2.2")], &["ours".into()], 0, START_US).unwrap();
    }
    one.turn().turn();
    assert!(
        one.blocks("203.0.113.1") && one.blocks("192.0.2.2") && !one.blocks("192.0.2.1"),
        "{:?}",
        one.lines
    );
}

#[test]
fn a_damaged_snapshot_is_no_full_revision_until_there_is_another() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1");
    writer.rotate([listed("192.0.2.1")], &["ours".into()], 0, START_US).unwrap();
    let snapshot = dir.join("rules.snapshot");
    let mut bytes = fs::read(&snapshot).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn().turn();
    assert!(one.state.report().incomplete);
    put(&mut writer, "192.0.2.2");
    one.turn().turn();
    assert!(one.blocks("192.0.2.2") && one.state.report().incomplete, "changes do not bring what is missing");
    let rules = [listed("192.0.2.1"), listed("192.0.2.2")];
    writer.rotate(rules, &["ours".into()], 0, START_US).unwrap();
    one.turn().turn();
    assert!(one.blocks("192.0.2.1") && !one.state.report().incomplete, "{:?}", one.lines);
    assert_eq!((one.said("rules.snapshot: "), one.said("followed again")), (1, 1), "{:?}", one.lines);
}

#[test]
fn rules_whose_beginning_was_removed_are_missed() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    writer.replace_list("ours", [listed("192.0.2.1")], START_US).unwrap();
    let journal = dir.join("rules.journal.0");
    let bytes = fs::read(&journal).unwrap();
    fs::remove_file(&journal).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn().turn();
    assert_eq!(one.said("rules of the manager are missing"), 1, "{:?}", one.lines);
    assert!(one.state.report().incomplete);
    fs::write(&journal, bytes).unwrap();
    one.turn().turn();
    assert!(one.blocks("192.0.2.1") && !one.state.report().incomplete);
    assert_eq!((one.said("followed again"), one.lines.len()), (1, 2), "{:?}", one.lines);
}

#[test]
fn half_a_snapshot_is_not_published_by_what_comes_after_it() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1");
    let mut one = Worker::start(&dir, START_US);
    let (journal, aside) = (dir.join("rules.journal.0"), dir.join("aside"));
    fs::rename(&journal, &aside).unwrap();
    one.turn();
    let batch = (0..100).map(|n| Operation::Put(listed(&format!("198.51.100.{n}"))));
    writer.append(&Operation::Batch(batch.collect()), START_US).unwrap();
    // Addresses are all read before the draft begins; these are read again.
    let other = |n: u32| Rule { target: learned(&format!("/{n}"), 0, 0).target, ..listed("192.0.2.1") };
    let others = (0..30_000).map(other).chain([listed("10.0.0.1")]);
    writer.rotate(others, &["ours".into()], 0, START_US).unwrap();
    while !one.filter.edit(one.now_s()).unwrap().has_draft() {
        one.now_us += 1_000_000;
        one.state.turn(&one.filter, one.now_us, Budget::of(std::time::Duration::from_millis(1)));
    }
    let snapshot = dir.join("rules.snapshot");
    let bytes = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &bytes[..bytes.len() / 2]).unwrap();
    fs::rename(&aside, &journal).unwrap();
    one.turn().turn().turn();
    assert!(one.blocks("192.0.2.1") && !one.blocks("10.0.0.1") && !one.refuses("/1"), "{:?}", one.lines);
    assert_eq!(one.state.revision(), 1);
    put(&mut writer, "192.0.2.3");
    writer.rotate([listed("192.0.2.3")], &["ours".into()], 0, START_US).unwrap();
    one.turn().turn();
    assert!(one.blocks("192.0.2.3") && !one.blocks("192.0.2.1") && !one.blocks("10.0.0.1"));
    assert!(!one.refuses("/1"));
    assert_eq!(one.state.revision(), writer.revision());
}
