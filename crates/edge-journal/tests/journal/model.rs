//! A manager's changes, made up from their revision, and a reader that remembers what it read.

use std::collections::BTreeMap;
use std::path::Path;

use edge_filter::{Action, List, NEVER, Operation, Origin, Rule, Target};
use edge_journal::{FileName, Next, ReadError, Record, Records, RulesWriter, StateDir, WriteError};

/// The lists of the manager in this model.
pub(crate) const LISTS: [&str; 2] = ["spam", "manager"];

/// Rules by their target.
pub(crate) type State = BTreeMap<Target, Rule>;

/// What the change of this revision is.
pub(crate) enum Change {
    Append(Operation),
    ReplaceList(Vec<Rule>),
}

pub(crate) fn change(revision: u64) -> Change {
    let rule = |address: u64, list: &str| Rule {
        target: Target::Client(List::Block, format!("192.0.2.{}", address % 32).parse().unwrap()),
        action: Action::Drop,
        expires_at_s: NEVER,
        origin: Origin::List(list.into()),
        reason: format!("revision {revision}").into(),
    };
    let put = |n| Operation::Put(rule(n, "manager"));
    match revision % 7 {
        0 => Change::Append(Operation::Remove(rule(revision / 3, "manager").target)),
        1 => Change::Append(Operation::Batch((0..revision % 5).map(|n| put(revision + n)).collect())),
        2 => Change::ReplaceList((0..revision % 40).map(|n| rule(3 * n, LISTS[0])).collect()),
        _ => Change::Append(put(revision)),
    }
}

/// Writes the next change.
pub(crate) fn write_next(writer: &mut RulesWriter, now_us: u64) -> Result<u64, WriteError> {
    match change(writer.revision() + 1) {
        Change::Append(operation) => writer.append(&operation, now_us),
        Change::ReplaceList(rules) => writer.replace_list(LISTS[0], rules, now_us),
    }
}

pub(crate) fn rotate(writer: &mut RulesWriter, state: &State, now_us: u64) {
    writer.rotate(state.values().cloned(), &LISTS.map(Into::into), 0, now_us).unwrap();
}

/// The rules after the change of this revision, of those before it.
pub(crate) fn apply_next(state: &mut State, revision: u64) {
    match change(revision) {
        Change::Append(operation) => apply(state, &operation),
        Change::ReplaceList(rules) => replace(state, LISTS[0], rules),
    }
}

/// The rules after the change of this revision.
pub(crate) fn state_at(revision: u64) -> State {
    let mut state = State::new();
    (1..=revision).for_each(|revision| apply_next(&mut state, revision));
    state
}

fn apply(state: &mut State, operation: &Operation) {
    match operation {
        Operation::Put(rule) => drop(state.insert(rule.target.clone(), rule.clone())),
        Operation::Remove(target) => drop(state.remove(target)),
        Operation::Batch(operations) => operations.iter().for_each(|one| apply(state, one)),
        other => panic!("{other:?} is not made up here"),
    }
}

fn replace(state: &mut State, list: &str, rules: Vec<Rule>) {
    state.retain(|_, rule| rule.origin != Origin::List(list.into()));
    state.extend(rules.into_iter().map(|rule| (rule.target.clone(), rule)));
}

/// All rules of a snapshot or a list file.
fn rules(dir: &StateDir, file: &FileName) -> Result<(u64, Vec<Rule>), ReadError> {
    let mut records = Records::open(dir, file)?;
    let (mut revision, mut all) = (0, Vec::new());
    while let Next::Record(record) = records.next()? {
        match record {
            Record::Head(head) => revision = head.revision,
            Record::Rules(rules) => all.extend(rules),
            Record::Addresses { list, reason, rules } => all.extend(rules.into_iter().map(|rule| Rule {
                target: rule.target(),
                action: rule.action,
                expires_at_s: rule.expires_at_s,
                origin: Origin::List(list.clone()),
                reason: reason.clone(),
            })),
            Record::Seal(_) | Record::End { .. } => {}
            other => panic!("{other:?} in {file}"),
        }
    }
    Ok((revision, all))
}

/// Reads the rules of a directory and follows their changes from journal to journal.
pub(crate) struct Follower {
    dir: StateDir,
    records: Records,
    pub(crate) revision: u64,
    pub(crate) state: State,
}

impl Follower {
    /// As a reader that starts; `None` as long as there is nothing.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let dir = StateDir::open(path).unwrap();
        let (revision, all) = match rules(&dir, &FileName::Snapshot) {
            Err(ReadError::NotFound { .. }) => (0, Vec::new()),
            other => other.unwrap(),
        };
        let records = match Records::open(&dir, &FileName::Journal(revision)) {
            Err(ReadError::NotFound { .. }) if revision == 0 => return None,
            other => other.unwrap(),
        };
        let state = all.into_iter().map(|rule| (rule.target.clone(), rule)).collect();
        let mut follower = Self { dir, records, revision, state };
        follower.follow();
        Some(follower)
    }

    /// As one that has read everything up to the oldest journal, and goes on there.
    #[allow(dead_code, reason = "the tests that kill a process have no use for it")]
    pub(crate) fn of_oldest_journal(path: &Path) -> Option<Self> {
        let dir = StateDir::open(path).unwrap();
        let journals = dir.rules_files().unwrap().files.into_iter().filter_map(|file| match file {
            FileName::Journal(base) => Some(base),
            _ => None,
        });
        let revision = journals.min()?;
        let records = Records::open(&dir, &FileName::Journal(revision)).unwrap();
        Some(Self { dir, records, revision, state: state_at(revision) })
    }

    /// Reads what has come since. A record that is not finished is left for later.
    pub(crate) fn follow(&mut self) {
        while let Next::Record(record) = self.records.next().unwrap() {
            match record {
                Record::Head(head) => assert_eq!(head.revision, self.revision),
                Record::Change { revision, operation, .. } => {
                    assert_eq!(revision, self.revision + 1);
                    apply(&mut self.state, &operation);
                    self.revision = revision;
                }
                Record::Replace { revision, list, .. } => {
                    assert_eq!(revision, self.revision + 1);
                    let (of, rules) = rules(&self.dir, &FileName::List(revision)).unwrap();
                    assert_eq!(of, revision);
                    replace(&mut self.state, &list, rules);
                    self.revision = revision;
                }
                Record::Next { revision } => {
                    assert_eq!(revision, self.revision);
                    self.records = Records::open(&self.dir, &FileName::Journal(revision)).unwrap();
                }
                other => panic!("{other:?} in a journal"),
            }
        }
    }
}
