//! Lessons of several workers meet: the last stamp wins, in whatever order they are read.

use super::*;

#[test]
fn a_lesson_reaches_another_worker_and_the_next_one() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    let mut other = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 600);
    other.turn();
    assert!(other.refuses("/yeet"));
    drop(one);
    other.turn().turn().turn();
    assert_eq!(journals(&dir).len(), 1, "the other one has taken it over");
    drop(other);
    assert!(Worker::start(&dir, START_US + 10_000_000).refuses("/yeet"));
    assert!(!Worker::start(&dir, START_US + 700_000_000).refuses("/yeet"));
}

#[test]
fn the_last_stamp_wins_whichever_journal_is_read_first() {
    for taken_back_by in [0, 1] {
        let (_home, dir) = home();
        let mut workers = [Worker::start(&dir, START_US), Worker::start(&dir, START_US)];
        for worker in &mut workers {
            worker.turn();
        }
        // Neither looks at the journal of the other one between the two.
        workers[1 - taken_back_by].learn("/yeet", 600);
        workers[taken_back_by].now_us += 1000;
        workers[taken_back_by].take_back("/yeet");
        let next = Worker::start(&dir, START_US + 5_000_000);
        assert!(!next.refuses("/yeet"), "a new worker, taken back by {taken_back_by}");
        for worker in &mut workers {
            worker.turn();
            assert!(!worker.refuses("/yeet"), "taken back by {taken_back_by}");
        }
        // Learned anew, it holds everywhere.
        workers[0].learn("/yeet", 600);
        workers[1].turn();
        assert!(workers[1].refuses("/yeet"));
        assert!(Worker::start(&dir, START_US + 5_000_000).refuses("/yeet"));
    }
}

#[test]
fn a_worker_that_learns_much_does_not_run_ahead_of_the_others() {
    let (_home, dir) = home();
    let mut busy = Worker::start(&dir, START_US);
    let mut other = Worker::start(&dir, START_US);
    busy.turn();
    other.turn();
    let begun_us = busy.now_us;
    // Four a millisecond.
    for n in 0..2000 {
        busy.now_us = begun_us + n * 250;
        busy.learn(&format!("/{n}"), 600);
    }
    other.now_us = busy.now_us + 250;
    other.take_back("/1999");
    for worker in [&mut busy, &mut other] {
        worker.turn();
        assert!(!worker.refuses("/1999"));
        assert!(worker.refuses("/1998"));
    }
}

#[test]
fn of_two_lessons_about_the_same_the_later_one_holds() {
    for later in [0, 1] {
        let (_home, dir) = home();
        let mut workers = [Worker::start(&dir, START_US), Worker::start(&dir, START_US)];
        for worker in &mut workers {
            worker.turn();
        }
        workers[1 - later].learn("/yeet", 100);
        workers[later].now_us += 10_000;
        workers[later].learn("/yeet", 900);
        let next = Worker::start(&dir, START_US + 5_000_000);
        for worker in workers.iter_mut().chain([&mut { next }]) {
            worker.turn();
            worker.now_us = START_US + 500_000_000;
            assert!(worker.refuses("/yeet"), "the later one is that of {later}");
        }
    }
}

#[test]
fn what_was_taken_back_outlives_the_journal_that_says_so() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 3600);
    let old = journals(&dir);
    let copy = std::fs::read(&old[0]).unwrap();
    one.take_back("/yeet");
    drop(one);
    // The next worker takes everything over, and the one after that as well.
    for n in 1..3 {
        let mut next = Worker::start(&dir, START_US + n * 10_000_000);
        next.turn().turn();
        assert_eq!(journals(&dir).len(), 1);
    }
    // An older journal turns up, say from a copy of the directory.
    std::fs::write(&old[0], copy).unwrap();
    assert!(!Worker::start(&dir, START_US + 40_000_000).refuses("/yeet"));
}

#[test]
fn a_lesson_is_clipped_to_the_longest_ttl_of_today() {
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 80_000);
    let settings = Settings { max_ttl_s: 60, learn_ttl_s: 60, ..Settings::default() };
    let with = |now_us| Worker::with(&dir, settings.clone(), 1 << 20, now_us);
    assert!(with(START_US + 50_000_000).refuses("/yeet"));
    assert!(!with(START_US + 70_000_000).refuses("/yeet"));
}

#[test]
fn a_listed_rule_stays_whatever_was_learned() {
    let (_home, dir) = home();
    let mut writer = edge_journal::RulesWriter::open(&dir, START_US).unwrap();
    let mut one = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 60);
    let listed = Rule { origin: Origin::List("ours".into()), expires_at_s: NEVER, ..learned("/yeet", 0, 0) };
    writer.append(&Operation::Put(listed), START_US + 1000).unwrap();
    let mut next = Worker::start(&dir, START_US + 3_000_000);
    assert!(next.refuses("/yeet"));
    next.now_us += 100_000_000;
    assert!(next.refuses("/yeet"), "it has no end");
    // Removed by the manager, the lesson from before does not come back.
    writer
        .append(
            &Operation::Remove(Target::Resource(resource("/yeet"), Conditions::default())),
            START_US + 4_000_000,
        )
        .unwrap();
    assert!(!next.turn().refuses("/yeet"));
    assert!(!Worker::start(&dir, START_US + 5_000_000).refuses("/yeet"));
}

#[test]
fn a_journal_that_another_worker_has_replaced_is_let_go() {
    let (_home, dir) = home();
    let mut one = Worker::with(&dir, Settings::default(), 1000, START_US);
    let mut other = Worker::start(&dir, START_US);
    one.turn().learn("/yeet", 600);
    other.turn().turn();
    let before = (journals(&dir).len(), other.state.report().last_compaction.clone());
    for n in 0..10 {
        for _ in 0..20 {
            one.learn(&format!("/yeet/{n}"), 600);
        }
        one.turn();
        other.turn().turn();
        assert!(other.refuses(&format!("/yeet/{n}")));
    }
    assert_eq!(other.state.report().other_journals.len(), 1);
    let after = (journals(&dir).len(), other.state.report().last_compaction.clone());
    assert_eq!(after, before, "nobody died, so nobody is inherited from");
}

#[test]
fn what_was_taken_back_stays_so_when_an_older_lesson_is_read_at_once() {
    let (_home, dir) = home();
    let mut other = Worker::start(&dir, START_US);
    other.turn();
    let mut one = Worker::start(&dir, START_US);
    one.turn().turn();
    other.learn("/yeet", 600);
    one.now_us = other.now_us + 50_000;
    one.take_back("/yeet");
    one.state.sync(&one.filter, one.now_us, Budget::UNLIMITED);
    assert!(!one.refuses("/yeet"));
    // The other way round: it was read between the submission and its being remembered.
    other.now_us = one.now_us;
    other.learn("/yolo", 600);
    let stamp_us = one.state.stamp_us(one.now_us + 50_000);
    let operation = Operation::ForgetResource(resource("/yolo"));
    one.filter.submit(operation.clone(), one.now_s()).unwrap();
    one.state.sync(&one.filter, one.now_us, Budget::UNLIMITED);
    assert!(one.refuses("/yolo"), "it is read now");
    one.state.learned(stamp_us, &operation, None);
    one.state.sync(&one.filter, one.now_us, Budget::UNLIMITED);
    assert!(!one.refuses("/yolo"));
}

#[test]
fn more_taken_back_than_is_remembered_keeps_the_latest() {
    let (_home, dir) = home();
    let one = Worker::start(&dir, START_US);
    for n in 0..=MAX_TAKEN_BACK as u64 {
        one.state.took_back(Taken::Resource(resource(&format!("/{n}"))), START_US + n);
    }
    let waiting: Vec<u64> = one.state.to_remember.try_iter().map(|(_, stamp_us)| stamp_us).collect();
    assert_eq!((waiting.len(), waiting[0]), (MAX_TAKEN_BACK, START_US + 1));
}

#[test]
fn a_lesson_made_shorter_stays_ended() {
    for is_copied in [false, true] {
        let (_home, dir) = home();
        let mut old = Worker::start(&dir, START_US);
        let mut new = Worker::start(&dir, START_US);
        for worker in [&mut old, &mut new] {
            worker.turn();
        }
        old.learn("/longer", 80_000);
        new.learn("/first", 5);
        new.turn().turn();
        new.learn("/longer", 5);
        old.now_us = new.now_us;
        old.turn().learn("/first", 80_000);
        old.learn("/first", 5);
        for worker in [&mut old, &mut new] {
            worker.turn().now_us = START_US + 60_000_000;
            worker.filter.upkeep(worker.now_s(), 100);
            worker.turn();
            assert!(!worker.refuses("/longer") && !worker.refuses("/first"));
        }
        if is_copied {
            // Only the last journal to be copied has a record of the end.
            new.state.own.miss();
            new.turn();
        }
        drop((old, new));
        for n in 1..3 {
            let mut next = Worker::start(&dir, START_US + 60_000_000 + n * 5000);
            assert!(!next.refuses("/longer") && !next.refuses("/first"), "copied: {is_copied}");
            next.turn().turn();
        }
    }
}

#[test]
fn a_lesson_that_ended_keeps_an_older_one_out_whichever_is_read_first() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let (_home, dir) = home();
        let state_dir = edge_journal::StateDir::open(&dir).unwrap();
        let start_s = (START_US / 1_000_000) as u32;
        for (name, stamp_us, ttl_s) in [(first, START_US, 80_000), (second, START_US + 5_000_000, 5)] {
            let journal = edge_journal::LearnedJournal::create(&state_dir, name, stamp_us).unwrap();
            let rule = learned("/yeet", stamp_us, start_s + 5 + ttl_s);
            journal.append(stamp_us, &Operation::Put(rule)).unwrap();
        }
        let mut one = Worker::start(&dir, START_US + 60_000_000);
        assert!(!one.refuses("/yeet"), "{first} is the older one");
        one.turn().turn();
        assert!(!one.refuses("/yeet"));
    }
}

#[test]
fn what_is_appended_behind_damage_is_neither_given_up_nor_removed() {
    use std::os::unix::fs::FileExt;
    let (_home, dir) = home();
    let mut old = Worker::start(&dir, START_US);
    old.turn().learn("/a", 600);
    let path = journals(&dir).remove(0);
    let before = std::fs::metadata(&path).unwrap().len();
    let mut new = Worker::start(&dir, START_US + 1000);
    new.turn().turn();
    // A bit that the disk gives wrong once.
    old.learn("/b", 600);
    old.learn("/c", 600);
    let at = before + 40;
    let good = std::fs::read(&path).unwrap()[at as usize];
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_at(&[good ^ 1], at).unwrap();
    new.turn().turn();
    assert_eq!((new.said("damaged at byte"), new.refuses("/b")), (1, false), "{:?}", new.lines);
    file.write_at(&[good], at).unwrap();
    new.turn();
    assert!(new.refuses("/b") && new.refuses("/c"));
    assert_eq!(new.said("can be read now"), 1, "{:?}", new.lines);
    // And one that stays wrong, in the journal of a worker that then dies.
    let before = std::fs::metadata(&path).unwrap().len();
    old.learn("/d", 600);
    old.learn("/e", 600);
    file.write_at(&[0xff], before + 40).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    drop(old);
    new.turn().turn().turn();
    assert!(!path.exists());
    let aside = format!("{}.damaged", path.display());
    assert_eq!(std::fs::read(aside).unwrap(), bytes, "somebody may look at it");
    assert!(Worker::start(&dir, new.now_us).refuses("/c"));
}

/// Files of other workers that this process has open.
fn open_journals(dir: &Path) -> usize {
    let learned = dir.join("learned");
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).filter(|to| to.starts_with(&learned)).count()
}

#[test]
fn many_journals_of_the_dead_are_opened_in_slices_too() {
    const DEAD: usize = 300;
    let (_home, dir) = home();
    let mut one = Worker::start(&dir, START_US);
    one.turn();
    let before = open_journals(&dir);
    let state_dir = edge_journal::StateDir::open(&dir).unwrap();
    let end_s = (START_US / 1_000_000) as u32 + 600;
    for n in 0..DEAD {
        let journal =
            edge_journal::LearnedJournal::create(&state_dir, &format!("dead-{n}"), START_US).unwrap();
        let lesson = learned(&format!("/{n}"), START_US, end_s);
        journal.append(START_US, &Operation::Put(lesson)).unwrap();
    }
    one.now_us += 1_000_000;
    let turn = one.state.turn(&one.filter, one.now_us, Budget::of(std::time::Duration::ZERO));
    assert!(turn.is_cut && one.filter.snapshot().counts().learned <= 1);
    assert!(open_journals(&dir) <= before + 1, "there was no time to open more");
    assert!(Worker::start(&dir, START_US).refuses(&format!("/{}", DEAD - 1)), "all are read at the start");
    while one.state.turn(&one.filter, one.now_us, Budget::of(std::time::Duration::from_millis(1))).is_cut {}
    one.turn();
    assert!((0..DEAD).all(|n| one.refuses(&format!("/{n}"))));
    for _ in 0..2 * DEAD {
        one.turn();
    }
    assert_eq!((journals(&dir).len(), one.lines.len()), (1, 0), "all are taken over: {:?}", one.lines);
}

#[test]
fn a_lesson_that_a_list_took_over_does_not_come_back_when_the_list_drops_it() {
    let target = |addr: &str| Target::Client(List::Block, addr.parse().unwrap());
    let listed_path =
        || Rule { origin: Origin::List("ours".into()), expires_at_s: NEVER, ..learned("/yeet", 0, 0) };
    for (as_list, is_started_between) in [(false, false), (true, false), (false, true), (true, true)] {
        let (_home, dir) = home();
        let mut writer = edge_journal::RulesWriter::open(&dir, START_US).unwrap();
        let mut one = Worker::start(&dir, START_US);
        one.turn().learn("/yeet", 600);
        let stamp_us = one.state.stamp_us(one.now_us);
        let client = Rule { target: target("192.0.2.1"), ..learned("/", stamp_us, one.now_s() + 600) };
        one.submit(stamp_us, Operation::Put(client));
        let now_us = START_US + 2_000_000;
        let rules = [listed_path(), listed("192.0.2.1")];
        if as_list {
            writer.replace_list("ours", rules, now_us).unwrap();
        } else {
            rules.into_iter().for_each(|rule| _ = writer.append(&Operation::Put(rule), now_us).unwrap());
        }
        // Or it lives on, and takes no turn any more.
        let (_idle, mut one) =
            if is_started_between { (Some(one), Worker::start(&dir, now_us)) } else { (None, one) };
        one.turn();
        assert!(one.refuses("/yeet") && one.blocks("192.0.2.1"));
        writer.replace_list("ours", [], now_us).unwrap();
        one.turn();
        let next = Worker::start(&dir, now_us + 5_000_000);
        for worker in [one, next] {
            assert!(!worker.refuses("/yeet") && !worker.blocks("192.0.2.1"), "as a list: {as_list}");
        }
    }
}

#[test]
fn a_listed_rule_that_has_ended_keeps_no_lesson_out() {
    let (_home, dir) = home();
    let mut writer = edge_journal::RulesWriter::open(&dir, START_US).unwrap();
    let end_s = (START_US / 1_000_000) as u32 + 5;
    let listed = Rule { origin: Origin::List("ours".into()), ..learned("/yeet", 0, end_s) };
    writer.append(&Operation::Put(listed), START_US).unwrap();
    let mut one = Worker::start(&dir, START_US);
    let mut other = Worker::start(&dir, START_US);
    one.turn();
    one.now_us += 9_000_000;
    one.learn("/yeet", 600);
    // It has not swept yet what has ended.
    other.now_us = one.now_us;
    assert!(other.turn().refuses("/yeet"));
}
