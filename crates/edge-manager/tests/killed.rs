//! The process that changes rules is killed with SIGKILL at random moments: what it has acknowledged is there, and the
//! record and the state directory agree after the next start.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use edge_filter::{Filter, Kind, Operation, Origin, Rule, Settings};
use edge_journal::{FileName, Next, Record, Records, StateDir};
use edge_manager::access::Caller;
use edge_manager::publish::Publication;
use edge_manager::rules::{Change, Effect, IfPresent, Input, Rules, RulesError, target};
use edge_manager::store::{Selection, Store, StoreError};

/// Where the child works; without it the test that is the child does nothing.
const DIRECTORY: &str = "EDGE_MANAGER_TEST_DIR";

const NOW_US: u64 = 1_000_000_000;

/// Targets and reasons.
type State = BTreeSet<(String, String)>;

fn open(home: &Path) -> Rules {
    let publication = Publication::open(&home.join("state"), NOW_US, Duration::ZERO).unwrap();
    Rules::open(Arc::new(Store::open(&home.join("rules.db")).unwrap()), publication, NOW_US).unwrap()
}

/// The changes of a step. Each names its step in a reason, so that the rules tell which step was the last.
fn changes(step: u64) -> Vec<Change> {
    let reason = format!("step {step}");
    let put = |target: String, reason: &str| {
        let input = Input { target: &target, reason, ..Input::default() };
        Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Replace)
    };
    let mut all = vec![put("192.0.2.1".into(), &reason)];
    match step % 4 {
        // More than one record of the journal holds, and enough for a snapshot.
        0 if step.is_multiple_of(20) => {
            let reason = reason.clone() + &" ".repeat(1000);
            all.extend((0..900).map(|n| put(format!("10.0.{}.{}", n / 250, n % 250), &reason)));
        }
        0 => all.extend((0..step % 7).map(|n| put(format!("a.example/{n}/*"), &reason))),
        1 => all.push(put(format!("198.51.100.{}", step % 250), &reason)),
        2 => all.push(Change::Remove(target(&format!("198.51.100.{}", (step - 1) % 250), "").unwrap())),
        _ => {}
    }
    all
}

fn apply(state: &mut State, step: u64) {
    for change in changes(step) {
        match change {
            Change::Put(new, _) => {
                let target = new.rule.target.to_string();
                state.retain(|(other, _)| *other != target);
                state.insert((target, new.rule.reason.to_string()));
            }
            Change::RemoveNumber(id) => panic!("no step removes rule {id}"),
            Change::Adopt { .. } => panic!("no step adopts a rule"),
            Change::Remove(target) => state.retain(|(other, _)| *other != target.to_string()),
        }
    }
}

fn recorded(rules: &Rules) -> State {
    let read = rules.record().read::<_, StoreError>(|view| {
        view.with_entries(&Selection::default(), |entries| {
            entries.map(|entry| Ok(shown(&entry?.rule))).collect::<Result<_, _>>()
        })?
    });
    read.unwrap()
}

fn shown(rule: &Rule) -> (String, String) {
    (rule.target.to_string(), rule.reason.to_string())
}

/// What a filter that starts has of the directory.
fn published(path: &Path) -> State {
    let dir = StateDir::open(path).unwrap();
    let filter = Filter::new(Settings { max_reason_bytes: 2048, ..Settings::default() });
    let submit = |operation| filter.submit(operation, 1000).unwrap();
    let (mut revision, mut waiting) = (0, vec![FileName::Snapshot]);
    if dir.identity(&FileName::Snapshot).unwrap().is_none() {
        waiting = vec![FileName::Journal(0)];
    }
    while let Some(file) = waiting.pop() {
        let mut records = Records::open(&dir, &file).unwrap();
        while let Next::Record(record) = records.next().unwrap() {
            match record {
                Record::Head(head) => revision = head.revision,
                Record::Rules(rules) => rules.into_iter().map(Operation::Put).for_each(submit),
                Record::Addresses { list, reason, rules } => {
                    rules.into_iter().for_each(|rule| {
                        submit(Operation::Put(Rule {
                            target: rule.target(),
                            action: rule.action,
                            expires_at_s: rule.expires_at_s,
                            origin: Origin::List(list.clone()),
                            reason: reason.clone(),
                        }));
                    });
                }
                Record::Change { operation, .. } => submit(operation),
                Record::Next { revision } => waiting.push(FileName::Journal(revision)),
                Record::Seal(_) => {}
                Record::End { .. } => waiting.push(FileName::Journal(revision)),
                Record::Replace { .. } => panic!("no list is replaced here"),
            }
        }
    }
    [Kind::Client, Kind::Resource]
        .into_iter()
        .flat_map(|kind| filter.rules(kind).map(|(rule, _)| shown(&rule)).collect::<Vec<_>>())
        .collect()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The step that the rules are of.
fn step_of(state: &State) -> u64 {
    let marker = state.iter().find(|(target, _)| target == "block 192.0.2.1");
    marker.map_or(0, |(_, reason)| reason.strip_prefix("step ").unwrap().parse().unwrap())
}

#[test]
fn child_that_changes_rules() {
    let Some(home) = std::env::var_os(DIRECTORY) else { return };
    say("begun");
    // A kill may come here too, while the two are made to agree.
    let rules = open(Path::new(&home));
    let last = step_of(&recorded(&rules));
    say("ready");
    for step in last + 1.. {
        let done: Result<_, RulesError> = rules.apply(&Caller::command_line(), changes(step), NOW_US);
        match done.unwrap().effect {
            Effect::Published(_) => say(&step.to_string()),
            Effect::StoredOnly(error) => panic!("{error}"),
        }
    }
}

/// Runs the child, kills it after a while, and returns the last step that it has acknowledged.
fn acknowledged_before_kill(home: &Path, time: Duration, waits_for: &str) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_changes_rules", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, home)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with(waits_for)));
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said: Vec<_> = lines.filter(|line| line != "ready").collect();
    // The last line may lack its end, and then something else.
    said.pop();
    said.last().map(|line| line.parse().unwrap())
}

#[test]
fn what_was_acknowledged_outlives_sigkill_and_the_two_agree_again() {
    let home = tempfile::tempdir().unwrap();
    let (mut state, mut step, mut lagged) = (State::new(), 0, 0);
    for round in 0..30_u64 {
        // Different in each round and each run. Now and then long enough for the longest step.
        let longest_us = if round % 5 == 4 { 1_000_000 } else { 40_000 };
        let time = (u64::from(std::process::id()) * 7919 + round * 104_729) % longest_us;
        let waits_for = if round % 3 == 0 { "begun" } else { "ready" };
        let acknowledged =
            acknowledged_before_kill(home.path(), Duration::from_micros(time), waits_for).unwrap_or(step);
        let store = Store::open(&home.path().join("rules.db")).unwrap();
        let known = store.read::<_, StoreError>(|view| view.revision()).unwrap();
        drop(store);
        let publication = Publication::open(&home.path().join("state"), NOW_US, Duration::ZERO).unwrap();
        lagged += u64::from(known.is_some_and(|known| known != publication.revision()));
        drop(publication);

        let rules = open(home.path());
        let found = recorded(&rules);
        let last = step_of(&found);
        assert!(last >= acknowledged, "step {acknowledged} was acknowledged, {last} is there, round {round}");
        (step + 1..=last).for_each(|step| apply(&mut state, step));
        step = last;
        assert!(found == state, "the record is not that of step {step}, round {round}");
        assert!(published(&home.path().join("state")) == state, "the directory is not, round {round}");
    }
    assert!(step > 10, "{step} steps in all");
    // Not every run has a kill between the two; most have.
    println!("{step} steps, the directory lagged behind {lagged} times");
}
