mod caps;
mod changes;
mod journals;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge_filter::{
    Action, CanonicalPath, Conditions, Host, Operation, Origin, ParameterSegments, Provenance, Resource,
    Rule, Status, Target,
};
use edge_journal::{
    FileName, LearnedJournal, Next, Record, Records, StateDir, learned_at_us, remove_learned,
};

use super::*;
use crate::access::Caller;
use crate::publish::Publication;
use crate::rules::{Change, Effect, End, IfPresent, Input, Rules};
use crate::store::{LessonSelection, Store, StoreError, View};

const START_US: u64 = 1_700_000_000_000_000;
const START_S: u32 = 1_700_000_000;

/// A record and a state directory, with the time passed in.
struct Home {
    dir: tempfile::TempDir,
    learned: Option<Learned>,
    now_us: u64,
    lines: Vec<String>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        let mut home = Self { dir, learned: None, now_us: START_US, lines: Vec::new() };
        home.restart();
        home
    }

    /// As after the end of the manager, however it ended.
    fn restart(&mut self) {
        self.learned = None;
        let publication = Publication::open(&self.state(), self.now_us, Duration::ZERO).unwrap();
        let store = Arc::new(Store::open(&self.dir.path().join("rules.db")).unwrap());
        let rules = Arc::new(Rules::open(store, publication, self.now_us).unwrap());
        self.learned = Some(Learned::open(rules, &self.state(), Vec::new(), self.now_us).unwrap());
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn learned(&self) -> &Learned {
        self.learned.as_ref().unwrap()
    }

    /// Rounds until nothing is left to do, a tenth of a second later; how many lessons were given back.
    fn rounds(&mut self) -> usize {
        self.now_us += 100_000;
        let mut given_back = 0;
        loop {
            let round = self.learned.as_ref().unwrap().round(self.now_us).unwrap();
            self.lines.extend(round.lines);
            given_back += round.given_back;
            if !round.is_cut {
                return given_back;
            }
        }
    }

    /// The same when what no journal has counts as lost.
    fn rounds_much_later(&mut self) -> usize {
        self.now_us += 6_000_000;
        self.rounds()
    }

    fn lessons(&self) -> Vec<Lesson> {
        let now_s = (self.now_us / 1_000_000) as u32;
        self.selected(&LessonSelection { now_s, limit: 100_000, ..Default::default() })
    }

    fn selected(&self, selection: &LessonSelection) -> Vec<Lesson> {
        self.learned().rules().record().read::<_, StoreError>(|view| view.lessons(selection)).unwrap()
    }

    fn targets(&self) -> Vec<String> {
        self.lessons().iter().map(|lesson| lesson.rule.target.to_string()).collect()
    }

    fn worker(&self, name: &str) -> LearnedJournal {
        LearnedJournal::create(&StateDir::open(&self.state()).unwrap(), name, START_US).unwrap()
    }

    fn remove(&self, journal: LearnedJournal) {
        let name = journal.name().clone();
        drop(journal);
        remove_learned(&StateDir::open(&self.state()).unwrap(), &name).unwrap();
    }

    fn path(&self, worker: &str) -> PathBuf {
        self.state().join(format!("learned/{worker}.journal"))
    }

    fn delete(&self, id: i64) -> Result<Lesson, LearnedError> {
        let (lesson, effect) = self.learned().delete(&me(), id, self.now_us)?;
        assert!(matches!(effect, Effect::Published(_)));
        Ok(lesson)
    }

    /// The changes in the journal of the rules.
    fn published(&self) -> Vec<Operation> {
        let dir = StateDir::open(&self.state()).unwrap();
        let journals = dir.rules_files().unwrap().files.into_iter();
        let mut found = Vec::new();
        for journal in journals.filter(|name| matches!(name, FileName::Journal(_))) {
            let mut records = Records::open(&dir, &journal).unwrap();
            while let Next::Record(record) = records.next().unwrap() {
                match record {
                    Record::Change { operation: Operation::Batch(batch), .. } => found.extend(batch),
                    Record::Change { operation, .. } => found.push(operation),
                    _ => {}
                }
            }
        }
        found
    }

    /// The lessons in a snapshot that is written now.
    fn in_snapshot(&mut self) -> Vec<Rule> {
        // The record and the directory do not agree any more.
        self.learned = None;
        for entry in fs::read_dir(self.state()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("rules.") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        self.restart();
        let dir = StateDir::open(&self.state()).unwrap();
        let Ok(mut records) = Records::open(&dir, &FileName::Snapshot) else { return Vec::new() };
        let mut found = Vec::new();
        while let Next::Record(record) = records.next().unwrap() {
            if let Record::Rules(rules) = record {
                found.extend(rules.into_iter().filter(|rule| matches!(rule.origin, Origin::Learned(_))));
            }
        }
        found
    }
}

fn me() -> Caller {
    Caller { name: "me".into(), ..Caller::command_line() }
}

fn resource(path: &str) -> Resource {
    let path = CanonicalPath::parse(path, ParameterSegments::Keep, 1024).unwrap();
    Resource::exact(Some(Host::parse("shop.example").unwrap()), path)
}

fn lesson(path: &str, learned_at_us: u64, expires_at_s: u32) -> Rule {
    let from = Provenance {
        backend: "shop".into(),
        server: "s1".into(),
        unique_id: "id-7".into(),
        request: format!("GET shop.example{path}"),
        learned_at_us,
        client_network: "192.0.2.0/24".parse().ok(),
    };
    Rule {
        target: Target::Resource(resource(path), Conditions::default()),
        action: Action::Deny(Status::new(404).unwrap()),
        expires_at_s,
        origin: Origin::Learned(Arc::new(from)),
        reason: "gone".into(),
    }
}

/// A worker learns this for an hour.
fn teach(journal: &LearnedJournal, path: &str, stamp_us: u64) -> Rule {
    let rule = lesson(path, stamp_us, START_S + 3600);
    journal.append(stamp_us, &Operation::Put(rule.clone())).unwrap();
    rule
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn what_workers_learn_is_kept_with_what_taught_it() {
    let mut home = Home::new();
    let (one, other) = (home.worker("one"), home.worker("other"));
    let rule = teach(&one, "/yeet", START_US + 1);
    home.rounds();
    let found = home.lessons();
    assert_eq!(found, [Lesson { id: 1, rule, over: None, is_published: false }]);
    teach(&other, "/yolo", START_US + 2);
    home.rounds();
    assert_eq!(home.targets(), ["shop.example/yeet", "shop.example/yolo"]);
    let of = |host: Option<&str>, backend: Option<&str>| {
        let (host, backend) = (host.map(Into::into), backend.map(Into::into));
        let selection = LessonSelection { now_s: START_S, host, backend, after: 1, limit: 9 };
        home.selected(&selection).len()
    };
    assert_eq!([of(None, None), of(Some("shop.example"), Some("shop"))], [1, 1]);
    assert_eq!([of(Some("other.example"), None), of(None, Some("other"))], [0, 0]);
    assert_eq!(home.published(), [], "workers read each other's journals");
    home.now_us = START_US + 3_600_000_000;
    assert_eq!(home.lessons(), [], "it has ended");
}

#[test]
fn reading_again_changes_nothing() {
    let mut home = Home::new();
    let one = home.worker("one");
    teach(&one, "/yeet", START_US + 1);
    teach(&one, "/yeet", START_US + 2);
    teach(&one, "/gone", START_US + 3);
    one.append(START_US + 4, &Operation::ForgetResource(resource("/gone"))).unwrap();
    home.rounds();
    let before = home.lessons();
    assert_eq!((before.len(), before[0].learned_at_us()), (1, START_US + 2));
    for _ in 0..3 {
        home.restart();
        assert_eq!((home.rounds(), home.rounds_much_later()), (0, 0));
        assert_eq!(home.lessons(), before);
    }
    assert_eq!(home.published(), []);
}

#[test]
fn the_last_stamp_wins_whichever_journal_is_read_first() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        for by_resource in [false, true] {
            let mut home = Home::new();
            let (taught, took_back) = (home.worker(first), home.worker(second));
            for (path, stamp_us) in [("/before", 40), ("/same", 50), ("/after", 60)] {
                teach(&taught, path, START_US + stamp_us);
                let taken = match by_resource {
                    true => Operation::ForgetResource(resource(path)),
                    false => Operation::Forget(lesson(path, 0, 0).target),
                };
                took_back.append(START_US + 50, &taken).unwrap();
            }
            home.rounds();
            assert_eq!(home.targets(), ["shop.example/after"], "{first} is the one that was taught");
        }
    }
}

#[test]
fn a_lesson_made_shorter_stays_ended() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let mut home = Home::new();
        teach(&home.worker(first), "/yeet", START_US + 1);
        let short = lesson("/yeet", START_US + 2, START_S + 5);
        home.worker(second).append(START_US + 2, &Operation::Put(short)).unwrap();
        home.rounds();
        assert_eq!(home.lessons()[0].rule.expires_at_s, START_S + 5);
        home.now_us += 10_000_000;
        home.restart();
        home.rounds();
        assert_eq!(home.targets(), [""; 0], "{first} has the longer one");
    }
}

#[test]
fn a_journal_that_was_compacted_or_inherited_loses_nothing() {
    let mut home = Home::new();
    let old = home.worker("old");
    let rule = teach(&old, "/yeet", START_US + 1);
    home.rounds();
    let new = home.worker("new");
    new.append(START_US + 1, &Operation::Put(rule)).unwrap();
    home.remove(old);
    assert_eq!((home.rounds(), home.rounds_much_later()), (0, 0));
    let heir = home.worker("heir");
    teach(&heir, "/yeet", START_US + 2);
    home.rounds();
    // Read last, and gone: the other one has it still.
    home.remove(new);
    teach(&heir, "/yolo", START_US + 3);
    assert_eq!((home.rounds(), home.rounds_much_later()), (0, 0));
    assert_eq!(home.targets().len(), 2);
    assert_eq!(home.published(), []);
}

#[test]
fn a_lesson_that_no_journal_has_any_more_is_given_back() {
    for while_it_runs in [false, true] {
        let mut home = Home::new();
        let one = home.worker("one");
        let rule = teach(&one, "/yeet", START_US + 1);
        teach(&one, "/gone", START_US + 2);
        one.append(START_US + 3, &Operation::ForgetResource(resource("/gone"))).unwrap();
        home.rounds();
        home.remove(one);
        if !while_it_runs {
            home.restart();
        }
        assert_eq!(home.rounds(), 0, "a worker may be about to write it again");
        assert_eq!(home.rounds_much_later(), 1);
        assert_eq!(home.published(), [Operation::Put(rule.clone())], "with its own stamp");
        assert_eq!(home.rounds_much_later(), 0, "once");
        assert_eq!(home.in_snapshot(), std::slice::from_ref(&rule));
        // A worker that has it from there.
        let next = home.worker("next");
        next.append(START_US + 1, &Operation::Put(rule)).unwrap();
        home.rounds();
        assert_eq!(home.in_snapshot(), []);
        assert_eq!(home.targets(), ["shop.example/yeet"]);
    }
}

#[test]
fn what_was_given_back_and_is_taken_back_does_not_come_back() {
    let mut home = Home::new();
    let one = home.worker("one");
    let rule = teach(&one, "/yeet", START_US + 1);
    home.rounds();
    home.remove(one);
    home.rounds();
    assert_eq!(home.rounds_much_later(), 1);
    let next = home.worker("next");
    next.append(START_US + 9, &Operation::ForgetResource(resource("/yeet"))).unwrap();
    home.rounds();
    assert_eq!(home.targets(), [""; 0]);
    let over = Over { at_us: START_US + 9, by: "backend".into() };
    let ended = Lesson { id: 1, rule, over: Some(over), is_published: true }.published();
    assert_eq!((ended.expires_at_s, learned_at_us(&ended)), (0, Some(START_US + 9)));
    assert_eq!(home.published().pop(), Some(Operation::Put(ended.clone())));
    // The journal that says so is lost too.
    home.remove(next);
    assert_eq!((home.rounds(), home.rounds_much_later()), (0, 0));
    assert_eq!(home.in_snapshot(), [ended]);
}

#[test]
fn nothing_counts_as_lost_while_not_all_can_be_read() {
    let mut home = Home::new();
    let one = home.worker("one");
    teach(&one, "/yeet", START_US + 1);
    home.rounds();
    home.remove(one);
    let newer = home.worker("newer");
    let of_today = fs::read(home.path("newer")).unwrap();
    drop(newer);
    fs::write(home.path("newer"), newer_format(of_today.clone())).unwrap();
    assert_eq!((home.rounds(), home.rounds_much_later()), (0, 0));
    assert_eq!(
        home.lines.iter().filter(|line| line.contains("is newer than")).count(),
        1,
        "{:?}",
        home.lines
    );
    fs::rename(home.state(), home.state().with_extension("away")).unwrap();
    assert_eq!((home.rounds(), home.rounds_much_later()), (0, 0));
    fs::rename(home.state().with_extension("away"), home.state()).unwrap();
    assert_eq!(home.targets(), ["shop.example/yeet"]);
    fs::write(home.path("newer"), of_today).unwrap();
    assert_eq!(home.rounds(), 1);
}

/// The same file as of format 2: the version is behind eight letters, its checksum behind four bytes more.
fn newer_format(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[8] = 2;
    // CRC-32 as in zlib, a bit at a time.
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let crc = bytes[..12].iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step));
    bytes[12..16].copy_from_slice(&(!crc).to_le_bytes());
    bytes
}
