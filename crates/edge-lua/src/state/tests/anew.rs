//! A manager that begins its rules anew under a running worker is followed all the same.

use std::fs;

use edge_journal::{RulesWriter, WriteError};

use super::*;

/// Like a manager whose clock goes on.
fn put(writer: &mut RulesWriter, net: &str, now_us: u64) -> u64 {
    writer.append(&Operation::Put(listed(net)), now_us).unwrap()
}

fn remove_rules(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
}

/// The rules go, and another manager begins with one of its own, five seconds later.
fn begin_anew(dir: &Path) -> RulesWriter {
    remove_rules(dir);
    let mut writer = RulesWriter::open(dir, START_US + 5_000_000).unwrap();
    put(&mut writer, "198.51.100.1", START_US + 5_000_000);
    writer
}

/// The next change of an older copy is followed, and with it the copy: it has `192.0.2.1` alone.
fn follows_copy(one: &mut Worker, dir: &Path) {
    let mut writer = RulesWriter::open(dir, START_US + 5_000_000).unwrap();
    let revision = put(&mut writer, "198.51.100.1", START_US + 5_000_000);
    one.turn().turn();
    assert!(one.blocks("198.51.100.1") && one.blocks("192.0.2.1"), "{:?}", one.lines);
    assert!(!one.blocks("192.0.2.2") && !one.blocks("192.0.2.3"));
    assert_eq!((revision, one.state.revision()), (2, 2));
}

/// A worker that follows revision 3 or later, has learned `/yeet`, and has a file of settings.
fn follower(dir: &Path, is_rotated: bool) -> Worker {
    let mut writer = RulesWriter::open(dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1", START_US);
    let mut one = Worker::start(dir, START_US);
    let of_file = Rule { origin: Origin::List("file".into()), ..listed("203.0.113.1") };
    one.filter.submit(Operation::Put(of_file), one.now_s()).unwrap();
    one.turn().learn("/yeet", 600);
    put(&mut writer, "192.0.2.2", START_US);
    if is_rotated {
        writer.rotate(["192.0.2.1", "192.0.2.2"].map(listed), &["ours".into()], 0, START_US).unwrap();
    }
    put(&mut writer, "192.0.2.3", START_US);
    one.turn();
    assert!(["192.0.2.1", "192.0.2.2", "192.0.2.3"].iter().all(|addr| one.blocks(addr)));
    assert_eq!(one.state.revision(), 3);
    one
}

#[test]
fn rules_begun_anew_take_the_place_of_those_before() {
    for (was_rotated, is_rotated) in [(false, false), (false, true), (true, false), (true, true)] {
        let (_home, dir) = home();
        let mut one = follower(&dir, was_rotated);
        let mut writer = begin_anew(&dir);
        if is_rotated {
            writer.rotate([listed("198.51.100.1")], &["ours".into()], 0, START_US + 5_000_000).unwrap();
        }
        one.turn().turn();
        let old = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        assert!(one.blocks("198.51.100.1") && !old.iter().any(|addr| one.blocks(addr)), "{:?}", one.lines);
        assert!(one.blocks("203.0.113.1") && one.refuses("/yeet"), "no rules of the manager");
        let revision = put(&mut writer, "198.51.100.2", START_US + 6_000_000);
        one.turn();
        assert!(one.blocks("198.51.100.2"));
        assert_eq!((revision, one.state.revision()), (2, 2));
        assert_eq!((one.said("begun its rules anew"), one.said("followed again")), (1, 1), "{:?}", one.lines);
        assert_eq!(one.state.report().problems, [""; 0]);
    }
}

/// As a manager does whose record has changes that the files lack.
#[test]
fn rules_that_are_all_replaced_are_taken_as_one_change() {
    for is_rotated in [false, true] {
        let (_home, dir) = home();
        let mut one = follower(&dir, is_rotated);
        let mut writer = RulesWriter::open(&dir, START_US).unwrap();
        let rules = ["192.0.2.1", "198.51.100.1"].map(|net| Ok::<_, WriteError>(listed(net)));
        let revision = writer.replace_all(rules, &["ours".into()], 0, START_US).unwrap();
        assert_eq!(one.sync(Budget::UNLIMITED).0, 3, "it finds the journal gone");
        assert_eq!(one.sync(Budget::UNLIMITED), (revision, false));
        assert!(one.blocks("192.0.2.1") && one.blocks("198.51.100.1"));
        assert!(!one.blocks("192.0.2.2") && !one.blocks("192.0.2.3"));
        assert!(one.blocks("203.0.113.1") && one.refuses("/yeet"), "no rules of the manager");
        let revision = put(&mut writer, "198.51.100.2", START_US);
        one.turn();
        assert!(one.blocks("198.51.100.2"));
        assert_eq!((one.state.revision(), one.state.report().problems.len()), (revision, 0));
        assert_eq!((one.said("was removed while it was read"), one.said("followed again")), (1, 1));
    }
}

#[test]
fn rules_begun_anew_are_told_when_they_are_in_force() {
    let (_home, dir) = home();
    let mut one = follower(&dir, false);
    let mut writer = begin_anew(&dir);
    let rotate = |writer: &mut RulesWriter| {
        writer.rotate([listed("198.51.100.1")], &["ours".into()], 0, START_US + 5_000_000).unwrap();
    };
    rotate(&mut writer);
    let snapshot = dir.join("rules.snapshot");
    let mut bytes = fs::read(&snapshot).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    one.turn().turn();
    assert!(one.blocks("192.0.2.1"));
    assert_eq!(one.said("begun its rules anew"), 0, "{:?}", one.lines);
    put(&mut writer, "198.51.100.1", START_US + 6_000_000);
    rotate(&mut writer);
    one.turn().turn();
    assert!(one.blocks("198.51.100.1") && !one.blocks("192.0.2.1"));
    assert_eq!(one.said("begun its rules anew"), 1, "{:?}", one.lines);
}

#[test]
fn rules_begun_anew_are_followed_when_they_come_later() {
    let (_home, dir) = home();
    let mut one = follower(&dir, false);
    remove_rules(&dir);
    one.turn().turn();
    assert!(one.blocks("192.0.2.1"), "what is in force stays");
    // As many changes as there were, and more.
    let mut writer = RulesWriter::open(&dir, START_US + 5_000_000).unwrap();
    for n in 1..6 {
        put(&mut writer, &format!("198.51.100.{n}"), START_US + 5_000_000);
    }
    one.turn().turn();
    assert!((1..6).all(|n| one.blocks(&format!("198.51.100.{n}"))) && !one.blocks("192.0.2.1"));
    assert_eq!(one.state.revision(), 5);
}

#[test]
fn rules_begun_anew_are_followed_by_who_waits_for_a_list() {
    let (_home, dir) = home();
    let mut one = follower(&dir, false);
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let revision = writer.replace_list("ours", [listed("192.0.2.9")], START_US).unwrap();
    fs::write(dir.join(format!("rules.list.{revision}")), "no list").unwrap();
    one.turn().turn();
    assert_eq!(one.state.revision(), revision - 1);
    drop(writer);
    begin_anew(&dir);
    one.turn().turn();
    assert!(one.blocks("198.51.100.1") && !one.blocks("192.0.2.1"), "{:?}", one.lines);
}

#[test]
fn an_older_copy_of_the_rules_is_followed_from_its_next_change_on() {
    for (is_rotated, waits) in [(false, false), (true, false), (false, true)] {
        let (_home, dir) = home();
        let mut writer = RulesWriter::open(&dir, START_US).unwrap();
        put(&mut writer, "192.0.2.1", START_US);
        if is_rotated {
            writer.rotate([listed("192.0.2.1")], &["ours".into()], 0, START_US).unwrap();
        }
        let journal = dir.join(format!("rules.journal.{}", u64::from(is_rotated)));
        fs::copy(&journal, dir.join("copy")).unwrap();
        put(&mut writer, "192.0.2.2", START_US);
        put(&mut writer, "192.0.2.3", START_US);
        if waits {
            let of_list = writer.replace_list("ours", [listed("192.0.2.4")], START_US).unwrap();
            fs::remove_file(dir.join(format!("rules.list.{of_list}"))).unwrap();
        }
        drop(writer);
        let mut one = Worker::start(&dir, START_US);
        one.turn();
        fs::rename(dir.join("copy"), &journal).unwrap();
        if !is_rotated {
            one.turn().turn();
            assert!(one.blocks("192.0.2.3"), "what is in force stays");
        }
        follows_copy(&mut one, &dir);
    }
}

#[test]
fn an_older_copy_whose_journal_has_another_name_is_followed_too() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1", START_US);
    writer.rotate([listed("192.0.2.1")], &["ours".into()], 0, START_US).unwrap();
    let copied = ["rules.snapshot", "rules.journal.1"].map(|name| (name, fs::read(dir.join(name)).unwrap()));
    let nets = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    nets[1..].iter().for_each(|net| _ = put(&mut writer, net, START_US));
    writer.rotate(nets.map(listed), &["ours".into()], 0, START_US).unwrap();
    drop(writer);
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    assert_eq!(one.state.report().follows.as_deref(), Some("rules.journal.3"));
    remove_rules(&dir);
    copied.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).unwrap());
    one.turn().turn();
    assert!(nets.iter().all(|net| one.blocks(net)), "what is in force stays");
    follows_copy(&mut one, &dir);
    assert_eq!(one.state.report().problems, [""; 0]);
}

#[test]
fn a_journal_of_another_chain_with_a_bad_snapshot_is_read_once() {
    let (_home, dir) = home();
    let mut one = follower(&dir, false);
    drop(begin_anew(&dir));
    fs::write(dir.join("rules.snapshot"), "no snapshot").unwrap();
    one.turn().turn().turn();
    assert!(one.blocks("192.0.2.1") && !one.state.report().problems.is_empty());
    // A turn without time would still have it open.
    one.now_us += 1_000_000;
    one.state.turn(&one.filter, one.now_us, Budget::of(std::time::Duration::ZERO));
    assert_eq!(one.state.report().follows, None);
    fs::remove_file(dir.join("rules.snapshot")).unwrap();
    one.turn().turn();
    assert!(one.blocks("198.51.100.1") && !one.blocks("192.0.2.1"), "{:?}", one.lines);
}

#[test]
fn a_journal_under_the_name_of_another_is_not_followed() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    put(&mut writer, "192.0.2.1", START_US);
    writer.rotate([listed("192.0.2.1")], &["ours".into()], 0, START_US).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    // Its last record leads to itself.
    fs::rename(dir.join("rules.journal.0"), dir.join("rules.journal.1")).unwrap();
    for _ in 0..3 {
        one.now_us += 1_000_000;
        let budget = Budget::of(std::time::Duration::from_millis(100));
        one.lines.extend(one.state.turn(&one.filter, one.now_us, budget).lines);
    }
    assert!(one.blocks("192.0.2.1"));
    let problems = one.state.report().problems.clone();
    assert!(
        problems.len() == 1 && problems[0].contains("rules.journal.1: begins at revision 0"),
        "{problems:?}"
    );
}
