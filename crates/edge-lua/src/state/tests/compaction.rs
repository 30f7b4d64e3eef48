//! A worker's own journal: begun, kept short, and made whole after a failure.

use std::fs;

use super::*;

#[test]
fn a_journal_is_copied_when_it_is_long() {
    let (_home, dir) = home();
    let mut one = Worker::with(&dir, Settings::default(), 20_000, START_US);
    one.turn();
    let first = journals(&dir);
    for n in 0..1000 {
        one.learn("/yeet", 600);
        one.learn(&format!("/once/{}", n % 10), 600);
    }
    assert!(fs::metadata(&first[0]).unwrap().len() > 20_000);
    one.turn();
    let second = journals(&dir);
    assert!(second.len() == 1 && second != first);
    let bytes = fs::metadata(&second[0]).unwrap().len();
    assert!(bytes < 5000, "{bytes} bytes for 11 rules");
    drop(one);
    assert_eq!(Worker::start(&dir, START_US + 9_000_000).filter.snapshot().counts().learned, 11);
}

#[test]
fn a_copy_longer_than_the_limit_is_not_copied_again_at_once() {
    let (_home, dir) = home();
    let mut one = Worker::with(&dir, Settings::default(), 1000, START_US);
    for n in 0..100 {
        one.learn(&format!("/yeet/{n}"), 600);
    }
    one.turn();
    let journal = journals(&dir);
    one.learn("/more", 600);
    one.turn().turn();
    assert_eq!(journals(&dir), journal);
}

#[test]
fn a_journal_of_the_dead_that_another_worker_looks_at_is_removed_later_without_a_word() {
    let (_home, dir) = home();
    let mut dead = Worker::start(&dir, START_US);
    dead.turn().learn("/yeet", 600);
    let of_dead = journals(&dir).remove(0);
    drop(dead);
    let look = fs::File::open(&of_dead).unwrap();
    look.lock_shared().unwrap();
    let mut one = Worker::start(&dir, START_US + 1_000_000);
    one.turn().turn();
    assert!(of_dead.exists());
    assert_eq!(one.lines, [""; 0]);
    drop(look);
    one.turn().turn();
    assert!(!of_dead.exists());
}

#[test]
fn at_no_moment_of_a_compaction_would_a_kill_lose_a_lesson() {
    let (_home, dir) = home();
    let mut one = Worker::with(&dir, Settings::default(), 1 << 20, START_US);
    for n in 0..50 {
        one.learn(&format!("/yeet/{n}"), 600);
    }
    one.turn();
    for n in 50..100 {
        one.learn(&format!("/yeet/{n}"), 600);
    }
    // Each slice ends at once, and then the next worker looks at what a kill would have left.
    one.state.own.miss();
    let mut slices = 0;
    for n in 100.. {
        one.learn(&format!("/yeet/{n}"), 600);
        let spent = Budget::of(std::time::Duration::ZERO);
        let is_cut = one.state.turn(&one.filter, one.now_us, spent).is_cut;
        let left = Worker::start(&dir, one.now_us);
        assert_eq!(left.filter.snapshot().counts().learned, n + 1);
        slices += 1;
        if !is_cut {
            break;
        }
    }
    assert!(slices > 5, "{slices} slices");
    assert_eq!(journals(&dir).len(), 1);
    let left = Worker::start(&dir, one.now_us);
    assert_eq!(left.filter.snapshot().counts().learned, 100 + slices);
}

#[test]
fn what_could_not_be_written_is_written_when_it_can() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/before", 600);
    // A file in the way of the directory of journals, after that was removed under the worker.
    fs::remove_dir_all(dir.join("learned")).unwrap();
    fs::write(dir.join("learned"), "in the way").unwrap();
    one.turn().turn();
    one.learn("/meanwhile", 600);
    assert_eq!(one.said("is in memory only"), 1, "{:?}", one.lines);
    assert!(one.state.report().journal.is_none());
    assert_ne!(one.state.report().problems, [""; 0]);
    fs::remove_file(dir.join("learned")).unwrap();
    one.turn().turn();
    assert_eq!(one.said("is written again"), 1, "{:?}", one.lines);
    assert_eq!(one.state.report().problems, [""; 0]);
    let next = Worker::start(&dir, one.now_us);
    assert!(next.refuses("/before") && next.refuses("/meanwhile"));
}

#[test]
fn a_failed_journal_is_not_written_to_any_more() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    let current = one.state.own.current().unwrap();
    // No journal takes a path of this length.
    let long =
        Rule { target: Target::Resource(resource("/yeet"), Conditions::default()), ..learned("/yeet", 0, 0) };
    let long = Rule { reason: "x".repeat(5000).into(), ..long };
    one.state.own.append(START_US, &Operation::Put(long));
    assert!(one.state.own.current().is_none() && one.state.own.has_missed());
    drop(current);
    one.learn("/after", 600);
    one.turn().turn();
    assert_eq!((one.said("is in memory only"), one.said("is written again")), (1, 1), "{:?}", one.lines);
    assert_eq!(journals(&dir).len(), 1);
    assert!(Worker::start(&dir, one.now_us).refuses("/after"));
}

#[test]
fn failures_leave_no_heap_of_files() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 600);
    for _ in 0..10 {
        one.state.own.append(
            START_US,
            &Operation::Put(Rule { reason: "x".repeat(5000).into(), ..learned("/yeet", 0, 0) }),
        );
        one.turn();
        assert!(journals(&dir).len() <= 2, "{:?}", journals(&dir));
    }
    one.turn().turn();
    assert_eq!(journals(&dir).len(), 1);
}

#[test]
fn what_was_taken_back_while_a_copy_begins_is_copied() {
    let (_home, dir) = home();
    let mut other = Worker::start(&dir, START_US);
    other.turn().learn("/yeet", 600);
    let mut one = Worker::start(&dir, START_US + 100_000);
    one.turn().turn();
    assert!(one.refuses("/yeet"));
    // A thread that has taken back, and is still writing when the copy begins.
    let journal = one.state.own.current();
    one.take_back("/yeet");
    one.state.own.miss();
    one.now_us += 10_000;
    let turn = one.state.turn(&one.filter, one.now_us, Budget::UNLIMITED);
    assert!(!turn.is_cut, "it waits for the thread, and not by asking again and again");
    // Nothing but the copy is done: whatever else reads would remember it.
    let taken = Taken::Resource(resource("/yolo"));
    let stamp_us = one.state.stamp_us(one.now_us);
    one.state.took_back(taken.clone(), stamp_us);
    drop(journal);
    one.state.desk.lock().write(&one.state.place(&one.filter, one.now_us), Budget::UNLIMITED);
    let written = edge_journal::StateDir::open(&dir).unwrap();
    let name = one.state.own.current().unwrap().name().clone();
    let mut records = edge_journal::Records::open(&written, &name).unwrap();
    let mut forgotten = Vec::new();
    while let edge_journal::Next::Record(record) = records.next().unwrap() {
        if let edge_journal::Record::Change { operation, .. } = record {
            forgotten.extend(Taken::of(&operation));
        }
    }
    assert!(forgotten.contains(&Taken::Resource(resource("/yeet"))) && forgotten.contains(&taken));
    drop((one, other));
    assert!(!Worker::start(&dir, START_US + 5_000_000).refuses("/yeet"));
}

#[test]
fn a_lesson_that_a_draft_hides_is_copied() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    let origin = Origin::List("ours".into());
    let observed = Rule { action: Action::Observe, expires_at_s: NEVER, origin, ..learned("/yeet", 0, 0) };
    one.filter.submit(Operation::Put(observed.clone()), one.now_s()).unwrap();
    // A new list, which lacks it, is on its way in.
    one.filter.edit(one.now_s()).unwrap().draft(Operation::Remove(observed.target));
    one.learn("/yeet", 3600);
    one.state.own.miss();
    one.turn().turn();
    one.filter.edit(one.now_s()).unwrap().publish_draft();
    assert!(one.refuses("/yeet"));
    let now_us = one.now_us;
    drop(one);
    assert!(Worker::start(&dir, now_us + 1_000_000).refuses("/yeet"));
}

#[test]
fn a_journal_stays_in_use_while_no_other_one_can_be_made() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    let first = one.state.own.current().unwrap().name().clone();
    // No journal can be made under this name.
    fs::rename(dir.join("learned"), dir.join("moved")).unwrap();
    fs::write(dir.join("learned"), "in the way").unwrap();
    one.state.own.miss();
    let place = one.state.place(&one.filter, one.now_us + 100_000);
    one.state.desk.lock().write(&place, Budget::UNLIMITED);
    fs::remove_file(dir.join("learned")).unwrap();
    fs::rename(dir.join("moved"), dir.join("learned")).unwrap();
    assert_eq!(one.state.own.current().map(|journal| journal.name().clone()), Some(first));
    one.learn("/yeet", 600);
    assert!(Worker::start(&dir, one.now_us).refuses("/yeet"));
    one.turn().turn();
    assert_eq!((journals(&dir).len(), one.state.report().problems.len()), (1, 0), "{:?}", one.lines);
}
