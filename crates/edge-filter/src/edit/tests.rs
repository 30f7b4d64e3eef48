//! Edits as their users see them: what readers see of a draft, and what becomes of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proptest::prelude::*;

use crate::*;

mod addresses;

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
    filter.submit(Operation::Replace("list".into(), many(1 << 24)), NOW_S).unwrap();
    let held = filter.snapshot();
    filter.submit(Operation::Replace("list".into(), many(2 << 24)), NOW_S).unwrap();
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

/// What happens while a replacement is under way. Addresses below 100 are those of lists, the others are taught.
#[derive(Clone, Debug)]
enum Meanwhile {
    Teach(u32, u32),
    Forget(u32),
    PutElsewhere(u32, u32),
    Wait(u32),
    Sweep(usize),
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        (100..130u32, 1..300u32).prop_map(|(addr, ttl_s)| Meanwhile::Teach(addr, ttl_s)),
        (100..130u32).prop_map(Meanwhile::Forget),
        (200..230u32, 1..300u32).prop_map(|(addr, ttl_s)| Meanwhile::PutElsewhere(addr, ttl_s)),
        (1..60u32).prop_map(Meanwhile::Wait),
        (0..20usize).prop_map(Meanwhile::Sweep),
    ]
}

/// Addresses and paths of a list, each with when it ends.
fn list(at_most: u32) -> impl Strategy<Value = Vec<Rule>> {
    let end = prop_oneof![Just(NEVER), (1..400u32).prop_map(|ttl_s| NOW_S + ttl_s)];
    let rule = (0..at_most, end, any::<bool>()).prop_map(|(at, end, is_path)| {
        if is_path { on_path(at, "list", end) } else { client(at, "list", end) }
    });
    proptest::collection::vec(rule, 0..60)
}

fn go_on(filters: &[&Filter], step: &Meanwhile, now_s: &mut u32) {
    for filter in filters {
        let operation = match step {
            Meanwhile::Teach(addr, ttl_s) => Operation::Put(learned(*addr, *now_s + ttl_s)),
            Meanwhile::Forget(addr) => Operation::Forget(client(*addr, "", 0).target),
            Meanwhile::PutElsewhere(addr, ttl_s) => Operation::Put(client(*addr, "other", *now_s + ttl_s)),
            Meanwhile::Wait(_) => continue,
            Meanwhile::Sweep(max) => {
                filter.upkeep(*now_s, *max);
                continue;
            }
        };
        filter.submit(operation, *now_s).unwrap();
    }
    if let Meanwhile::Wait(seconds) = step {
        *now_s += seconds;
    }
}

/// Rules without hits that have not ended.
fn in_force(filter: &Filter, now_s: u32) -> BTreeMap<Target, Rule> {
    let rules = rules(filter).into_iter().map(|(target, (rule, _))| (target, rule));
    rules.filter(|(_, rule)| rule.expires_at_s > now_s).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn slices_come_to_the_same_as_one_replacement_and_nothing_is_seen_before(
        old in list(100),
        new in list(100),
        slice in 1..9usize,
        steps in proptest::collection::vec(meanwhile(), 0..80),
        all_but in any::<bool>(),
        as_addresses in any::<bool>(),
    ) {
        let filters = [(); 3].map(|_| Filter::new(Settings::default()));
        let [sliced, at_once, without] = [&filters[0], &filters[1], &filters[2]];
        let all = [sliced, at_once, without];
        let mut now_s = NOW_S;
        for filter in all {
            filter.submit(Operation::Replace("list".into(), old.clone()), now_s).unwrap();
        }
        let mut steps = steps.iter();
        let mut replacement =
            Replacement::new(if all_but { Lists::AllBut(vec!["other".into()]) } else { Lists::One("list".into()) });
        let (mut kept, mut is_removed, mut put) = (0, false, 0);
        while put < new.len() || !is_removed {
            let mut edit = sliced.edit(now_s).unwrap();
            if kept < new.len() {
                let end = new.len().min(kept + slice);
                replacement.keep(&mut edit, &new[kept..end]);
                kept = end;
            } else if !is_removed {
                is_removed = replacement.remove_others(&mut edit, slice);
            } else {
                let end = new.len().min(put + slice);
                for rule in &new[put..end] {
                    match AddressRule::of(rule).filter(|_| as_addresses) {
                        Some(address) => _ = edit.draft_addresses(&"list".into(), &rule.reason, [[address]]),
                        None => edit.draft(Operation::Put(rule.clone())),
                    }
                }
                put = end;
            }
            drop(edit);
            if let Some(step) = steps.next() {
                go_on(&all, step, &mut now_s);
            }
            prop_assert_eq!(in_force(sliced, now_s), in_force(without, now_s));
        }
        edit(sliced, now_s).publish_draft();
        at_once.submit(Operation::Replace("list".into(), new), now_s).unwrap();
        prop_assert_eq!(in_force(sliced, now_s), in_force(at_once, now_s));
        for filter in all {
            filter.upkeep(now_s, usize::MAX);
        }
        prop_assert_eq!(sliced.snapshot().counts(), at_once.snapshot().counts());
    }
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
    filter.submit(Operation::Replace("many".into(), rules), 1).unwrap();
    filter.submit(Operation::Replace("many".into(), Vec::new()), 1).unwrap();
    let before = unfreed(&reasons);
    assert!(before > 190 * 64, "left to later calls: {before}");
    filter.submit(Operation::Replace("other".into(), Vec::new()), 1).unwrap();
    let after = unfreed(&reasons);
    assert!(before - after <= 2 * 64, "{} at once", before - after);
    assert_eq!(filter.upkeep(1, 9), 9);
    assert!(after - unfreed(&reasons) <= 64, "a piece is no more than a resource");
    while filter.upkeep(1, 100) == 100 {}
    assert_eq!(unfreed(&reasons), 0);
}

#[test]
fn a_replacement_removes_the_lessons_before_its_stamp_that_are_not_kept() {
    let filter = Filter::new(Settings::default());
    let before_ms = u64::from(NOW_S) * 1_000_000;
    let lesson = |rule: Rule, stamp_us| {
        let from = Provenance { learned_at_us: stamp_us, ..Provenance::default() };
        Rule { origin: Origin::Learned(from.into()), ..rule }
    };
    let of =
        |at, stamp_us| [client(at, "", NEVER), on_path(at, "", NEVER)].map(|rule| lesson(rule, stamp_us));
    let all = [of(0, before_ms - 1), of(1, before_ms - 1), of(2, before_ms), of(3, before_ms - 1)];
    all.iter().flatten().for_each(|rule| filter.submit(Operation::Put(rule.clone()), NOW_S).unwrap());
    filter.submit(Operation::Put(client(9, "other", NEVER)), NOW_S).unwrap();
    let lists = Lists::AllBut(vec!["other".into()]);
    let mut replacement = Replacement::new(lists).with_lessons_before(before_ms);
    replacement.keep(&mut edit(&filter, NOW_S), &of(1, 0));
    while !replacement.remove_others(&mut edit(&filter, NOW_S), 1) {
        // Learned anew while it is walked over, with the same end.
        of(3, before_ms).into_iter().for_each(|rule| filter.submit(Operation::Put(rule), NOW_S).unwrap());
        assert_eq!(filter.snapshot().counts().learned, 8, "unseen before it is published");
    }
    edit(&filter, NOW_S).publish_draft();
    let mut left = vec![client(9, "", NEVER).target];
    left.extend([1, 2, 3].into_iter().flat_map(|at| of(at, 0)).map(|rule| rule.target));
    left.sort();
    assert_eq!(rules(&filter).into_keys().collect::<Vec<_>>(), left);
}

#[test]
fn a_lesson_is_not_kept_by_the_one_that_had_its_slot_before() {
    let filter = Filter::new(Settings::default());
    let ends_at_s = NOW_S + 10;
    let mut replacement = Replacement::new(Lists::AllBut(Vec::new())).with_lessons_before(u64::MAX);
    filter.submit(Operation::Put(learned(1, ends_at_s)), NOW_S).unwrap();
    let slot = |filter: &Filter| filter.snapshot().addresses().next().map(|(_, entry)| entry.slot);
    let before = slot(&filter);
    replacement.keep(&mut edit(&filter, NOW_S), &[learned(1, ends_at_s)]);
    filter.upkeep(ends_at_s, 100);
    filter.submit(Operation::Put(learned(2, ends_at_s + 10)), ends_at_s).unwrap();
    assert_eq!(slot(&filter), before);
    while !replacement.remove_others(&mut edit(&filter, ends_at_s), 1) {}
    edit(&filter, ends_at_s).publish_draft();
    assert_eq!(filter.snapshot().counts().learned, 0);
}

#[test]
fn the_end_of_a_walk_frees_nothing_by_itself() {
    let filter = Filter::new(Settings::default());
    let (rules, reasons) = many_on_resources(100);
    let mut edit = filter.edit(1).unwrap();
    rules.into_iter().for_each(|rule| edit.draft(Operation::Put(rule)));
    // The draft is given up, and begun again without them.
    let mut again = Replacement::new(Lists::One("many".into()));
    while !again.remove_others(&mut edit, 256) {}
    drop((again, edit));
    assert_eq!(unfreed(&reasons), reasons.len());
    while filter.upkeep(1, 100) == 100 {}
    assert_eq!(unfreed(&reasons), 0);
}
