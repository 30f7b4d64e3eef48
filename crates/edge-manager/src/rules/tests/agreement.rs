//! The record and the directory agree, whatever happens between the two.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge_filter::{Operation, Origin, Rule, Target};
use edge_journal::{FileName, Next, Record, Records, StateDir};

use super::me;
use crate::publish::Publication;
use crate::rules::{Change, Effect, End, IfPresent, Input, Refusal, Rules, RulesError, target};
use crate::store::{Selection, Store};

const NOW_US: u64 = 1_000_000_000;

pub(super) struct Home(tempfile::TempDir);

impl Home {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn try_open(&self, now_us: u64) -> Result<Rules, RulesError> {
        let publication = Publication::open(&self.state(), now_us, Duration::ZERO)?;
        Rules::open(Arc::new(Store::open(&self.0.path().join("rules.db"))?), publication, now_us)
    }

    pub(super) fn open(&self) -> Rules {
        self.try_open(NOW_US).unwrap()
    }

    /// What a worker that starts finds.
    pub(super) fn published(&self) -> BTreeMap<Target, Rule> {
        published(&self.state()).1
    }

    fn remove_rules(&self) {
        for file in fs::read_dir(self.state()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

/// Revision and rules of a directory.
fn published(path: &Path) -> (u64, BTreeMap<Target, Rule>) {
    let dir = StateDir::open(path).unwrap();
    let (mut revision, mut rules) = (0, BTreeMap::new());
    let mut file = FileName::Snapshot;
    loop {
        let mut next = None;
        let Ok(mut records) = Records::open(&dir, &file) else {
            assert_eq!(file, FileName::Snapshot);
            file = FileName::Journal(0);
            continue;
        };
        while let Next::Record(record) = records.next().unwrap() {
            match record {
                Record::Head(head) => revision = head.revision,
                Record::Rules(all) => rules.extend(all.into_iter().map(|rule| (rule.target.clone(), rule))),
                Record::Addresses { list, reason, rules: all } => rules.extend(all.iter().map(|rule| {
                    let (origin, reason) = (Origin::List(list.clone()), reason.clone());
                    let (action, expires_at_s) = (rule.action, rule.expires_at_s);
                    (rule.target(), Rule { target: rule.target(), action, expires_at_s, origin, reason })
                })),
                Record::Change { revision: at, operation, .. } => {
                    revision = at;
                    apply(&mut rules, operation);
                }
                Record::Next { revision } => next = Some(FileName::Journal(revision)),
                Record::Seal(_) => {}
                Record::End { .. } => next = Some(FileName::Journal(revision)),
                Record::Replace { .. } => panic!("no list is replaced here"),
            }
        }
        match next {
            Some(next) => file = next,
            None => return (revision, rules),
        }
    }
}

fn apply(rules: &mut BTreeMap<Target, Rule>, operation: Operation) {
    match operation {
        Operation::Put(rule) => drop(rules.insert(rule.target.clone(), rule)),
        Operation::Remove(target) => drop(rules.remove(&target)),
        Operation::Batch(all) => all.into_iter().for_each(|one| apply(rules, one)),
        other => panic!("{other:?}"),
    }
}

/// The rules in force of the record.
fn recorded(rules: &Rules, now_s: u32) -> BTreeMap<Target, Rule> {
    let selection = Selection { in_force_at_s: Some(now_s), ..Selection::default() };
    let read = rules.record().read::<_, RulesError>(|view| {
        let all = |entry: Result<crate::rules::Entry, _>| {
            Ok((entry.as_ref().unwrap().rule.target.clone(), entry?.rule))
        };
        view.with_entries(&selection, |entries| entries.map(all).collect())?
    });
    read.unwrap()
}

fn agree(home: &Home, rules: &Rules) -> usize {
    let recorded = recorded(rules, 1000);
    assert_eq!(home.published(), recorded);
    recorded.len()
}

fn block(target: &str) -> Change {
    let input = Input { target, reason: "why", by: "me", ..Input::default() };
    Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Refuse)
}

fn unblock(text: &str) -> Change {
    Change::Remove(target(text, "").unwrap())
}

fn revision(effect: Effect) -> u64 {
    match effect {
        Effect::Published(revision) => revision,
        Effect::StoredOnly(error) => panic!("{error}"),
    }
}

#[test]
fn each_change_is_in_the_record_and_in_the_directory() {
    let home = Home::new();
    let rules = home.open();
    let done = rules.apply(&me(), [block("192.0.2.1")], NOW_US).unwrap();
    assert_eq!((done.entries[0].id, revision(done.effect)), (1, 1));
    let done =
        rules.apply(&me(), [block("192.0.2.2"), block("/page/*"), unblock("192.0.2.1")], NOW_US).unwrap();
    assert_eq!((done.entries.len(), revision(done.effect)), (3, 2), "one revision for all");
    assert_eq!(agree(&home, &rules), 2);
    drop(rules);
    let rules = home.open();
    assert_eq!(agree(&home, &rules), 2);
    assert_eq!(revision(rules.apply(&me(), [], NOW_US).unwrap().effect), 2, "nothing was written");
}

#[test]
fn one_change_that_cannot_be_made_stops_all() {
    let home = Home::new();
    let rules = home.open();
    rules.apply(&me(), [block("192.0.2.1")], NOW_US).unwrap();
    let refused = |changes: [Change; 3]| match rules.apply(&me(), changes, NOW_US) {
        Err(RulesError::Refused { at, why }) => (at, why),
        other => panic!("{other:?}"),
    };
    let (at, why) = refused([block("192.0.2.2"), block("192.0.2.1"), block("192.0.2.3")]);
    assert_eq!((at, why.to_string().as_str()), (1, "block 192.0.2.1 is there already, as rule 1"));
    let (at, why) = refused([block("192.0.2.2"), block("192.0.2.3"), unblock("/page")]);
    assert_eq!((at, why), (2, Refusal::Absent(Box::new(target("/page", "").unwrap()))));
    assert_eq!(agree(&home, &rules), 1);
}

#[test]
fn a_rule_is_replaced_where_that_is_asked_for() {
    let home = Home::new();
    let rules = home.open();
    rules.apply(&me(), [block("192.0.2.1")], NOW_US).unwrap();
    let input =
        Input { target: "192.0.2.1", action: "drop", end: End::Ttl(10), list: "feed", ..Input::default() };
    let put = Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Replace);
    let done = rules.apply(&me(), [put], NOW_US).unwrap();
    let [entry] = &done.entries[..] else { panic!("{done:?}") };
    assert_eq!((entry.id, entry.created_by.as_str(), entry.expires_at_s()), (1, "me", Some(1010)));
    assert_eq!(agree(&home, &rules), 1);
}

#[test]
fn a_rule_that_has_ended_counts_as_absent() {
    let home = Home::new();
    let rules = home.open();
    let input = Input { target: "192.0.2.1", end: End::Ttl(10), ..Input::default() };
    let put = || Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Refuse);
    rules.apply(&me(), [put()], NOW_US).unwrap();
    let later_us = NOW_US + 10_000_000;
    assert!(matches!(rules.apply(&me(), [unblock("192.0.2.1")], later_us), Err(RulesError::Refused { .. })));
    assert_eq!(rules.clear_expired(&me(), NOW_US + 9_999_999).unwrap().rules, 0);
    let again = Input { end: End::Ttl(30), ..input }.parse(later_us).unwrap();
    let done = rules.apply(&me(), [Change::Put(again, IfPresent::Refuse)], later_us).unwrap();
    assert_eq!((done.entries[0].id, done.entries[0].expires_at_s()), (2, Some(1040)), "another rule");
    assert_eq!(rules.clear_expired(&me(), NOW_US + 40_000_000).unwrap().rules, 1);
    assert_eq!(recorded(&rules, 0).len(), 0);
}

#[test]
fn ten_thousand_changes_are_one() {
    let home = Home::new();
    let rules = home.open();
    let many = || (0..10_000).map(|n| format!("10.1.{}.{}", n / 256, n % 256));
    let done = rules.apply(&me(), many().map(|net| block(&net)), NOW_US).unwrap();
    assert_eq!((done.entries.len(), agree(&home, &rules)), (10_000, 10_000));
    rules.apply(&me(), many().map(|net| unblock(&net)), NOW_US).unwrap();
    assert_eq!(agree(&home, &rules), 0);
    let too_many = std::iter::repeat_n(block("192.0.2.1"), crate::rules::MAX_CHANGES + 1);
    assert!(matches!(rules.apply(&me(), too_many, NOW_US), Err(RulesError::TooMany)));
    assert_eq!(agree(&home, &rules), 0);
}

#[test]
fn changes_and_readers_at_once_lose_nothing() {
    let home = Home::new();
    let rules = home.open();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let rules = &rules;
            scope.spawn(move || {
                for n in 0..10 {
                    let before = recorded(rules, 1000).len();
                    let both = [block(&format!("10.{thread}.{n}.1")), block(&format!("10.{thread}.{n}.2"))];
                    let done = rules.apply(&me(), both, NOW_US).unwrap();
                    assert!(revision(done.effect) > 0);
                    let after = recorded(rules, 1000).len();
                    assert!(after >= before + 2 && after.is_multiple_of(2), "{after} after {before}");
                }
            });
        }
    });
    assert_eq!(agree(&home, &rules), 160);
    drop(rules);
    assert_eq!(agree(&home, &home.open()), 160);
}

#[test]
fn a_long_journal_gives_way_to_a_snapshot() {
    let home = Home::new();
    let rules = home.open();
    let reason = "r".repeat(1000);
    for n in 0..15 {
        let put = (0..100).map(|i| {
            let input = Input { target: &format!("10.0.{n}.{i}"), reason: &reason, ..Input::default() };
            Change::Put(input.parse(NOW_US).unwrap(), IfPresent::Refuse)
        });
        let done = rules.apply(&me(), put, NOW_US).unwrap();
        assert_eq!(revision(done.effect), n + 1);
    }
    assert!(home.state().join("rules.snapshot").exists());
    assert_eq!(agree(&home, &rules), 1500);
    drop(rules);
    assert_eq!(agree(&home, &home.open()), 1500);
}

#[test]
fn a_directory_that_lags_behind_is_made_anew() {
    type Harm = fn(&Home);
    let harms: [(&str, Harm); 3] = [
        // As a kill between the two leaves it.
        ("the last change is missing", |home| {
            let journal = home.state().join("rules.journal.0");
            let bytes = fs::read(&journal).unwrap();
            fs::write(&journal, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("the journal is damaged", |home| fs::write(home.state().join("rules.journal.0"), "").unwrap()),
        ("it is another one", Home::remove_rules),
    ];
    for (name, harm) in harms {
        let home = Home::new();
        let rules = home.open();
        for net in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            rules.apply(&me(), [block(net)], NOW_US).unwrap();
        }
        drop(rules);
        harm(&home);
        let rules = home.open();
        assert_eq!(agree(&home, &rules), 3, "{name}");
        let done = rules.apply(&me(), [block("192.0.2.4")], NOW_US).unwrap();
        assert!(revision(done.effect) > 4, "{name}: revisions do not go back");
        assert_eq!(agree(&home, &rules), 4, "{name}");
    }
}

#[test]
fn the_rules_of_another_record_are_not_overwritten() {
    let home = Home::new();
    drop(home.open().apply(&me(), [block("192.0.2.1")], NOW_US).unwrap());
    fs::remove_file(home.0.path().join("rules.db")).unwrap();
    let before = home.published();
    let error = home.try_open(NOW_US).unwrap_err();
    assert!(error.to_string().contains("holds rules of another record, at revision 1"), "{error}");
    assert!(home.try_open(NOW_US).is_err(), "nor the next time");
    assert_eq!(home.published(), before);
}

#[test]
fn what_cannot_be_published_is_stored_and_comes_with_the_next_change() {
    let home = Home::new();
    let rules = home.open();
    rules.apply(&me(), [block("192.0.2.1")], NOW_US).unwrap();
    // As after an append that failed; and no snapshot can be written.
    rules.record().write::<_, RulesError>(|record| Ok(record.set_revision(9, None)?)).unwrap();
    let obstacle = edge_e2e::obstruct_snapshot(&home.state());
    let done = rules.apply(&me(), [block("192.0.2.2")], NOW_US).unwrap();
    assert!(matches!(done.effect, Effect::StoredOnly(RulesError::Publication(_))), "{:?}", done.effect);
    assert_eq!((recorded(&rules, 1000).len(), home.published().len()), (2, 1));
    fs::remove_dir_all(&obstacle).unwrap();
    let done = rules.apply(&me(), [block("192.0.2.3")], NOW_US).unwrap();
    assert!(revision(done.effect) > 9);
    assert_eq!(agree(&home, &rules), 3);
}

#[test]
fn what_could_not_be_published_catches_up_without_another_change() {
    let home = Home::new();
    let rules = home.open();
    rules.record().write::<_, RulesError>(|record| Ok(record.set_revision(9, None)?)).unwrap();
    let obstacle = edge_e2e::obstruct_snapshot(&home.state());
    rules.apply(&me(), [block("192.0.2.1")], NOW_US).unwrap();
    assert!(matches!(rules.catch_up(NOW_US).unwrap(), Some(Effect::StoredOnly(_))));
    assert!(rules.lack().unwrap().contains("rules.snapshot.new"), "{:?}", rules.lack());
    assert_eq!(home.published().len(), 0);
    fs::remove_dir_all(&obstacle).unwrap();
    assert!(revision(rules.catch_up(NOW_US).unwrap().unwrap()) > 9);
    assert_eq!(rules.lack(), None);
    assert_eq!(agree(&home, &rules), 1);
    assert!(rules.catch_up(NOW_US).unwrap().is_none(), "there is no more to do");
}
