//! Edits as their users see them: what readers see of a draft, and what becomes of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::*;

mod addresses;
mod replacement;

const NOW_S: u32 = 1_000_000;

fn client(addr: u32, list: &str, expires_at_s: u32) -> Rule {
    let net = ClientNet::host(Ipv4Addr::from_bits(addr).into());
    Rule {
        target: Target::Client(List::Block, net),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s,
        origin: Origin::List(list.into()),
        reason: "".into(),
    }
}

fn learned(addr: u32, expires_at_s: u32) -> Rule {
    let from = Provenance { learned_at_us: u64::from(NOW_S) * 1_000_000, ..Provenance::default() };
    Rule { origin: Origin::Learned(from.into()), ..client(addr, "", expires_at_s) }
}

fn on_path(at: u32, list: &str, expires_at_s: u32) -> Rule {
    let path = CanonicalPath::parse(format!("/{at}"), ParameterSegments::Keep, 99).unwrap();
    let resource = Resource::exact(Host::parse("a.example").ok(), path);
    Rule { target: Target::Resource(resource, Conditions::default()), ..client(0, list, expires_at_s) }
}

fn edit(filter: &Filter, now_s: u32) -> Edit<'_> {
    filter.edit(now_s).unwrap()
}

/// Makes these the rules of the list.
pub(crate) fn replace(filter: &Filter, list: &str, rules: Vec<Rule>, now_s: u32) {
    let mut edit = edit(filter, now_s);
    let mut replacement = Replacement::new(Lists::One(list.into()));
    replacement.keep(&edit, &rules);
    while !replacement.replace(&mut edit, 100, &mut Vec::new()) {}
    for rule in rules {
        edit.draft(Operation::Put(Rule { origin: Origin::List(list.into()), ..rule }));
    }
    edit.publish_draft();
}

fn rules(filter: &Filter) -> BTreeMap<Target, (Rule, u64)> {
    let all = filter.rules(Kind::Client).chain(filter.rules(Kind::Resource));
    all.map(|(rule, hits)| (rule.target.clone(), (rule, hits))).collect()
}

fn verdict(filter: &Filter, addr: u32) -> i16 {
    filter.reader().address(IpAddr::V4(Ipv4Addr::from_bits(addr)), NOW_S).code()
}

#[test]
fn what_is_applied_is_seen_when_the_edit_ends() {
    let filter = Filter::new(Settings::default());
    let revision = filter.snapshot().revision();
    let mut edit = filter.edit(NOW_S).unwrap();
    edit.apply(Operation::Put(client(1, "list", NEVER)));
    edit.apply(Operation::Put(client(2, "list", NEVER)));
    assert_eq!(filter.snapshot().counts().block, 0);
    drop(edit);
    assert_eq!((filter.snapshot().counts().block, filter.snapshot().revision()), (2, revision + 1));
    drop(filter.edit(NOW_S));
    assert_eq!(filter.snapshot().revision(), revision + 1, "nothing changed, nothing is published");
}

#[test]
fn there_is_one_edit_at_a_time_and_it_works_off_what_others_submit_meanwhile() {
    let filter = Filter::new(Settings::default());
    let edit = filter.edit(NOW_S).unwrap();
    assert!(filter.edit(NOW_S).is_none());
    filter.submit(Operation::Put(client(1, "list", NEVER)), NOW_S).unwrap();
    assert_eq!(verdict(&filter, 1), 0);
    drop(edit);
    assert_eq!(verdict(&filter, 1), 403);
}

#[test]
fn a_draft_is_seen_all_at_once_and_keeps_hits() {
    let filter = Filter::new(Settings::default());
    for addr in [1, 2] {
        filter.submit(Operation::Put(client(addr, "old", NEVER)), NOW_S).unwrap();
    }
    assert_eq!((verdict(&filter, 1), verdict(&filter, 2)), (403, 403));
    edit(&filter, NOW_S).draft(Operation::Remove(client(1, "", 0).target));
    edit(&filter, NOW_S).draft(Operation::Put(client(2, "new", NEVER)));
    edit(&filter, NOW_S).draft(Operation::Put(client(3, "new", NEVER)));
    assert!(edit(&filter, NOW_S).has_draft());
    assert_eq!([1, 2, 3].map(|addr| verdict(&filter, addr)), [403, 403, 0]);
    edit(&filter, NOW_S).publish_draft();
    assert!(!edit(&filter, NOW_S).has_draft());
    assert_eq!([1, 2, 3].map(|addr| verdict(&filter, addr)), [0, 403, 403]);
    assert_eq!(rules(&filter)[&client(2, "", 0).target].1, 3);
}

#[test]
fn a_rule_that_the_draft_removed_keeps_its_slot_to_itself_until_readers_let_go() {
    let filter = Filter::new(Settings::default());
    filter.submit(Operation::Put(client(1, "old", NEVER)), NOW_S).unwrap();
    edit(&filter, NOW_S).draft(Operation::Remove(client(1, "", 0).target));
    filter.submit(Operation::Put(learned(2, NOW_S + 1000)), NOW_S).unwrap();
    assert_eq!((verdict(&filter, 1), verdict(&filter, 2), verdict(&filter, 2)), (403, 403, 403));
    let hits: Vec<_> = rules(&filter).into_values().map(|(_, hits)| hits).collect();
    assert_eq!(hits, [1, 2]);
}

#[test]
fn a_rule_of_a_snapshot_is_found_by_its_target() {
    let filter = Filter::new(Settings::default());
    let all = [learned(1, NOW_S + 10), on_path(1, "list", NEVER)];
    for rule in &all {
        assert_eq!(filter.snapshot().rule(&rule.target), None);
        filter.submit(Operation::Put(rule.clone()), NOW_S).unwrap();
        assert_eq!(filter.snapshot().rule(&rule.target).as_ref(), Some(rule));
    }
}

#[test]
fn what_nobody_reads_any_more_is_freed_to_the_last_piece() {
    let filter = Filter::new(Settings::default());
    let many = |base: u32| {
        let clients = (0..5000).map(|at| client(base + at, "list", NEVER));
        let nets = (0..500).map(|at| {
            let net = ClientNet::new(Ipv4Addr::from_bits(base + (at << 8)).into(), 24).unwrap();
            Rule {
                target: Target::Client(List::Allow, net),
                reason: "why".into(),
                ..client(0, "list", NEVER)
            }
        });
        clients.chain(nets).chain((0..500).map(|at| on_path(base + at, "list", NEVER))).collect::<Vec<_>>()
    };
    replace(&filter, "list", many(1 << 24), NOW_S);
    let held = filter.snapshot();
    replace(&filter, "list", many(2 << 24), NOW_S);
    let weak = std::sync::Arc::downgrade(&held);
    while filter.upkeep(NOW_S, 100) == 100 {}
    assert_eq!(held.counts().block, 5000, "a reader keeps what it reads");
    drop(held);
    let mut pieces = 0;
    loop {
        let freed = filter.upkeep(NOW_S, 7);
        pieces += freed;
        if freed < 7 {
            break;
        }
    }
    assert!(weak.upgrade().is_none());
    assert!(pieces > 200, "{pieces} pieces: most of it was freed at once");
    assert_eq!(filter.upkeep(NOW_S, 7), 0);
    assert_eq!(filter.snapshot().counts(), RuleCounts { allow: 500, block: 5000, resource: 500, learned: 0 });
}

/// Rules without hits that have not ended.
fn in_force(filter: &Filter, now_s: u32) -> BTreeMap<Target, Rule> {
    let rules = rules(filter).into_iter().map(|(target, (rule, _))| (target, rule));
    rules.filter(|(_, rule)| rule.expires_at_s > now_s).collect()
}

/// Rules on so many resources, 64 on each, and what tells which of them are not freed yet.
fn many_on_resources(resources: u32) -> (Vec<Rule>, Vec<std::sync::Weak<str>>) {
    let rule = |n: u32| {
        let path = CanonicalPath::parse(format!("/{}", n / 64), ParameterSegments::Keep, 64).unwrap();
        let query = Some(format!("q={}", n % 64).into());
        Rule {
            target: Target::Resource(
                Resource::exact(None, path),
                Conditions { query, ..Conditions::default() },
            ),
            action: Action::Drop,
            expires_at_s: NEVER,
            origin: Origin::List("many".into()),
            reason: format!("reason {n}").into(),
        }
    };
    let rules: Vec<_> = (0..64 * resources).map(rule).collect();
    let reasons = rules.iter().map(|rule| Arc::downgrade(&rule.reason)).collect();
    (rules, reasons)
}

fn unfreed(reasons: &[std::sync::Weak<str>]) -> usize {
    reasons.iter().filter(|reason| reason.strong_count() > 0).count()
}

#[test]
fn a_submission_frees_little_of_what_a_large_change_has_replaced() {
    let filter = Filter::new(Settings::default());
    let (rules, reasons) = many_on_resources(200);
    replace(&filter, "many", rules, 1);
    replace(&filter, "many", Vec::new(), 1);
    let before = unfreed(&reasons);
    assert!(before > 190 * 64, "left to later calls: {before}");
    filter.submit(Operation::Put(client(1, "other", NEVER)), 1).unwrap();
    let after = unfreed(&reasons);
    assert!(before - after <= 2 * 64, "{} at once", before - after);
    assert_eq!(filter.upkeep(1, 9), 9);
    assert!(after - unfreed(&reasons) <= 64, "a piece is no more than a resource");
    while filter.upkeep(1, 100) == 100 {}
    assert_eq!(unfreed(&reasons), 0);
}

#[test]
fn the_end_of_a_walk_frees_nothing_by_itself() {
    let filter = Filter::new(Settings::default());
    let (rules, reasons) = many_on_resources(100);
    let mut edit = filter.edit(1).unwrap();
    rules.into_iter().for_each(|rule| edit.draft(Operation::Put(rule)));
    // The draft is given up, and begun again without them.
    let mut again = Replacement::new(Lists::One("many".into()));
    while !again.replace(&mut edit, 256, &mut Vec::new()) {}
    drop((again, edit));
    assert_eq!(unfreed(&reasons), reasons.len());
    while filter.upkeep(1, 100) == 100 {}
    assert_eq!(unfreed(&reasons), 0);
}
