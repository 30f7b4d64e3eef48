//! A process that appends is killed with SIGKILL at random moments: what it has acknowledged is there, once.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use edge_filter::{List, Operation, Target};
use edge_journal::{LearnedJournal, Next, Record, Records, RulesWriter, StateDir, remove_learned};

use crate::model::{Follower, apply_next, rotate, state_at, write_next};
use crate::samples::learned;

/// Where the child of a test works; without it the tests of children do nothing.
const DIRECTORY: &str = "EDGE_JOURNAL_TEST_DIR";

/// Runs a test of this binary as a process of its own, kills it after a while, and returns what it has said.
fn killed_after(test: &str, directory: &Path, time: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It has begun when it says so, however long that takes.
    let begun = lines.by_ref().map(Result::unwrap).find(|line| line.ends_with("ready"));
    assert!(begun.is_some());
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said: Vec<_> = lines.map(Result::unwrap).collect();
    // The last line may lack its end, and then something else.
    said.pop();
    said
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Different in each round and each run.
fn some_time(round: u32) -> Duration {
    Duration::from_micros(u64::from(
        std::process::id().wrapping_mul(7919).wrapping_add(round * 104_729) % 9_000,
    ))
}

#[test]
fn child_that_writes_rules() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let mut writer = RulesWriter::open(Path::new(&directory), 1).unwrap();
    let mut state = state_at(writer.revision());
    say("ready");
    loop {
        let revision = write_next(&mut writer, 1).unwrap();
        say(&format!("{revision}"));
        apply_next(&mut state, revision);
        if revision.is_multiple_of(11) {
            rotate(&mut writer, &state, 1);
        }
    }
}

#[test]
fn rules_that_were_acknowledged_outlive_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut changes) = (0, 0);
    for round in 0..40 {
        let said = killed_after("killed::child_that_writes_rules", directory.path(), some_time(round));
        acknowledged = said.iter().map(|line| line.parse::<u64>().unwrap()).max().unwrap_or(acknowledged);
        let found = Follower::load(directory.path()).unwrap();
        assert!(found.revision >= acknowledged, "{} after {acknowledged}, round {round}", found.revision);
        assert_eq!(found.state, state_at(found.revision), "round {round}");
        changes = found.revision;
    }
    assert!(changes > 40, "{changes} changes in all");
}

fn lesson(n: u64) -> Operation {
    Operation::Put(learned(Target::Client(
        List::Block,
        format!("10.0.{}.{}", n / 256 % 256, n % 256).parse().unwrap(),
    )))
}

#[test]
fn child_that_learns() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let dir = StateDir::open(Path::new(&directory)).unwrap();
    let journal = LearnedJournal::create(&dir, &std::process::id().to_string(), 1).unwrap();
    say(&format!("{}", journal.name()));
    say("ready");
    std::thread::scope(|scope| {
        for thread in 0..2_u64 {
            let journal = &journal;
            scope.spawn(move || {
                for n in 0.. {
                    let stamp_us = 2 * n + thread;
                    journal.append(stamp_us, &lesson(stamp_us)).unwrap();
                    say(&format!("{stamp_us}"));
                }
            });
        }
    });
}

#[test]
fn lessons_that_were_acknowledged_outlive_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let dir = StateDir::open(directory.path()).unwrap();
    let mut lessons = 0;
    for round in 0..25 {
        let said = killed_after("killed::child_that_learns", directory.path(), some_time(round));
        let names = dir.journals().unwrap();
        let [name] = &names.files[..] else { panic!("{names:?}") };
        let mut records = Records::open(&dir, name).unwrap();
        assert!(!records.is_locked());
        let mut stamps = Vec::new();
        while let Next::Record(record) = records.next().unwrap() {
            if let Record::Change { stamp_us, operation, .. } = record {
                assert_eq!(operation, lesson(stamp_us));
                stamps.push(stamp_us);
            }
        }
        lessons += stamps.len();
        stamps.sort_unstable();
        assert!(stamps.windows(2).all(|two| two[0] < two[1]), "a lesson is there twice");
        for line in said {
            assert!(stamps.binary_search(&line.parse().unwrap()).is_ok(), "{line} is lost, round {round}");
        }
        remove_learned(&dir, name).unwrap();
        assert!(dir.identity(name).unwrap().is_none());
    }
    assert!(lessons > 25, "{lessons} lessons in all");
}
