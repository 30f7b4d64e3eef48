//! Lessons that the manager publishes: given back with their own stamps, or ended by later ones that end at once.

use edge_journal::RulesWriter;

use super::*;

/// As the manager takes a lesson back.
fn ended(path: &str, stamp_us: u64) -> Operation {
    Operation::Put(learned(path, stamp_us, 0))
}

fn rotate(writer: &mut RulesWriter, rules: Vec<Rule>, now_us: u64) {
    writer.rotate(rules, &[], 0, now_us).unwrap();
}

#[test]
fn a_lesson_that_was_ended_stays_away_whichever_file_is_read_first() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 3600);
    one.learn("/stays", 3600);
    let stamp_us = one.now_us + 1000;
    let path = journals(&dir).remove(0);
    let copy = std::fs::read(&path).unwrap();
    writer.append(&ended("/yeet", stamp_us), stamp_us).unwrap();
    one.state.sync(&one.filter, stamp_us + 1000, Budget::UNLIMITED);
    assert!(!one.refuses("/yeet") && one.refuses("/stays"));
    drop(one);
    // Both files, and then a snapshot in place of the journal, with a copy of the old journal put back.
    for is_rotated in [false, true] {
        if is_rotated {
            rotate(&mut writer, vec![learned("/yeet", stamp_us, 0)], stamp_us + 2000);
        }
        std::fs::write(&path, &copy).unwrap();
        let mut next = Worker::start(&dir, stamp_us + 10_000_000);
        for _ in 0..3 {
            assert!(!next.refuses("/yeet") && next.refuses("/stays"), "rotated: {is_rotated}");
            next.turn();
        }
    }
    // What it has written itself says so too, once the manager's files do not.
    rotate(&mut writer, Vec::new(), stamp_us + 3000);
    std::fs::write(&path, &copy).unwrap();
    assert!(!Worker::start(&dir, stamp_us + 30_000_000).refuses("/yeet"));
}

#[test]
fn what_is_taught_after_it_was_ended_holds() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 3600);
    let stamp_us = one.now_us + 1000;
    one.now_us += 2000;
    // Before the change arrives, and again as it arrives.
    one.learn("/yeet", 600);
    writer.append(&ended("/yeet", stamp_us), stamp_us + 5000).unwrap();
    one.turn();
    assert!(one.refuses("/yeet"));
    rotate(&mut writer, vec![learned("/yeet", stamp_us, 0)], stamp_us + 6000);
    drop(one);
    assert!(Worker::start(&dir, START_US + 60_000_000).refuses("/yeet"));
}

#[test]
fn a_listed_rule_is_not_ended() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let of_list = Rule { origin: Origin::List("ours".into()), expires_at_s: NEVER, ..learned("/yeet", 0, 0) };
    let pinned = Operation::Batch(vec![ended("/yeet", START_US + 2), Operation::Put(of_list)]);
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 3600);
    for stamp_us in [START_US + 2_000_000, START_US + 4_000_000] {
        writer.append(&pinned, stamp_us).unwrap();
        assert!(one.turn().refuses("/yeet"));
        writer.append(&ended("/yeet", stamp_us + 1), stamp_us + 1).unwrap();
        assert!(one.turn().refuses("/yeet"));
    }
    one.now_us += 7_200_000_000;
    assert!(one.refuses("/yeet"), "it has no end");
}

#[test]
fn a_lesson_that_is_given_back_is_one_that_was_never_lost() {
    let (_home, dir) = home();
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    let end_s = (START_US / 1_000_000) as u32 + 3600;
    writer.append(&Operation::Put(learned("/yeet", START_US, end_s)), START_US + 9_000_000).unwrap();
    let mut one = Worker::start(&dir, START_US + 10_000_000);
    assert!(one.refuses("/yeet"));
    // It is in the worker's own journal from the first turn on.
    one.turn();
    rotate(&mut writer, Vec::new(), START_US + 12_000_000);
    drop(one);
    let mut next = Worker::start(&dir, START_US + 20_000_000);
    assert!(next.refuses("/yeet"));
    next.turn().take_back("/yeet");
    // Given back once more, by a manager that did not know.
    writer.append(&Operation::Put(learned("/yeet", START_US, end_s)), START_US + 22_000_000).unwrap();
    assert!(!next.turn().refuses("/yeet"));
    drop(next);
    assert!(!Worker::start(&dir, START_US + 30_000_000).refuses("/yeet"));
}
