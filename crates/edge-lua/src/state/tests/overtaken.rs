//! What a list takes over, next to what backends took back.

use edge_journal::{LearnedJournal, RulesWriter, StateDir};

use super::*;

/// Journals of two dead workers, and a list with one rule more than is remembered: one took `/yeet` back, and learned
/// about all that is listed; the other one learned about `/yeet` before.
fn many_overtaken(dir: &Path) {
    let state_dir = StateDir::open(dir).unwrap();
    let start_s = (START_US / 1_000_000) as u32;
    let many = 0..=MAX_TAKEN_BACK as u64;
    let as_listed = |n| {
        let origin = Origin::List("ours".into());
        Rule { origin, expires_at_s: NEVER, ..learned(&format!("/{n}"), 0, 0) }
    };
    RulesWriter::open(dir, START_US)
        .unwrap()
        .replace_list("ours", many.clone().map(as_listed).collect::<Vec<_>>(), START_US)
        .unwrap();
    let journal = LearnedJournal::create(&state_dir, "a", START_US).unwrap();
    journal.append(START_US + 50_000, &Operation::ForgetResource(resource("/yeet"))).unwrap();
    for n in many {
        let stamp_us = START_US + 100_000 + n;
        let lesson = learned(&format!("/{n}"), stamp_us, start_s + 3600);
        journal.append(stamp_us, &Operation::Put(lesson)).unwrap();
    }
    let journal = LearnedJournal::create(&state_dir, "b", START_US).unwrap();
    let lesson = learned("/yeet", START_US + 40_000, start_s + 3600);
    journal.append(START_US + 40_000, &Operation::Put(lesson)).unwrap();
}

#[test]
fn overtaken_lessons_do_not_push_out_what_was_taken_back() {
    let (_home, dir) = home();
    many_overtaken(&dir);
    let of_b = journals(&dir).pop().unwrap();
    let copy = std::fs::read(&of_b).unwrap();
    let mut one = Worker::start(&dir, START_US + 20_000_000);
    assert!(one.refuses("/0") && !one.refuses("/yeet"));
    one.turn().turn();
    assert_eq!(journals(&dir).len(), 1, "it has taken both over");
    drop(one);
    // Nor do those that another worker has written.
    std::fs::write(&of_b, copy).unwrap();
    assert!(!Worker::start(&dir, START_US + 30_000_000).refuses("/yeet"));
}

#[test]
fn an_overtaken_lesson_is_not_counted_as_one_that_was_written() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 600);
    let bytes = one.state.own.current().unwrap().len();
    let of_list = Rule { origin: Origin::List("ours".into()), expires_at_s: NEVER, ..learned("/yeet", 0, 0) };
    RulesWriter::open(&dir, START_US)
        .unwrap()
        .append(&Operation::Put(of_list), START_US + 2_000_000)
        .unwrap();
    one.turn();
    assert!(one.state.own.current().unwrap().len() > bytes, "that it is overtaken is written");
    assert_eq!(one.state.appended(), 1);
}

#[test]
fn a_listed_rule_that_found_no_place_leaves_the_lesson_in_force() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 600);
    let mut writer = RulesWriter::open(&dir, START_US).unwrap();
    // One list more than there may be.
    for n in 0..300 {
        let of_list = Rule {
            origin: Origin::List(format!("list-{n}").into()),
            ..listed(&format!("10.{}.{}.1", n / 256, n % 256))
        };
        writer.append(&Operation::Put(of_list), START_US + 2_000_000).unwrap();
    }
    let last = Rule { origin: Origin::List("last".into()), expires_at_s: NEVER, ..learned("/yeet", 0, 0) };
    writer.append(&Operation::Put(last), START_US + 2_000_000).unwrap();
    assert!(one.turn().refuses("/yeet"));
    drop((one, writer));
    for file in
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        std::fs::remove_file(file).unwrap();
    }
    assert!(Worker::start(&dir, START_US + 5_000_000).refuses("/yeet"));
}
