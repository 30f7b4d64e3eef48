//! Replacing lists in slices: what comes of it, what readers see meanwhile, and what becomes of lessons.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{NOW_S, client, edit, in_force, learned, on_path, replace, rules, verdict};
use crate::*;

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

/// The rule number `at` of a list: of clients of all kinds, and of paths.
fn numbered(at: u32, list: &str, which: List, reason: &str, expires_at_s: u32) -> Rule {
    let v6 = |bits: u128, len| ClientNet::new(Ipv6Addr::from_bits(bits).into(), len).unwrap();
    let net = match at % 7 {
        0..=2 => ClientNet::host(Ipv4Addr::from_bits(at).into()),
        3 => v6(0x2001 << 112 | u128::from(at), 128),
        4 => ClientNet::new(Ipv4Addr::from_bits(at << 16).into(), 20).unwrap(),
        5 => v6(u128::from(at) << 80, 56),
        _ => return Rule { reason: reason.into(), ..on_path(at, list, expires_at_s) },
    };
    Rule { target: Target::Client(which, net), reason: reason.into(), ..client(0, list, expires_at_s) }
}

fn end() -> impl Strategy<Value = u32> {
    prop_oneof![Just(NEVER), (1..400u32).prop_map(|ttl_s| NOW_S + ttl_s)]
}

/// Rules of these lists, the same ones again among them.
fn of_lists(lists: &'static [&'static str]) -> impl Strategy<Value = Vec<Rule>> {
    let rule = (0..100u32, proptest::sample::select(lists), any::<bool>(), any::<bool>(), end());
    let rule = rule.prop_map(|(at, list, allow, has_reason, end)| {
        let which = if allow { List::Allow } else { List::Block };
        numbered(at, list, which, if has_reason { "why" } else { "" }, end)
    });
    proptest::collection::vec(rule, 0..120)
}

/// A replacement of these rules, in slices of this many.
struct InSlices {
    replacement: Replacement,
    rules: Vec<Rule>,
    slice: usize,
    told: usize,
    is_replaced: bool,
    put: usize,
    lessons: Vec<Target>,
}

impl InSlices {
    fn new(replacement: Replacement, rules: Vec<Rule>, slice: usize) -> Self {
        Self { replacement, rules, slice, told: 0, is_replaced: false, put: 0, lessons: Vec::new() }
    }

    /// Whether all is ready to be published.
    fn go_on(&mut self, edit: &mut Edit<'_>) -> bool {
        let end = |from: usize| self.rules.len().min(from + self.slice);
        if self.told < self.rules.len() {
            let end = end(self.told);
            for rule in &self.rules[self.told..end] {
                match (AddressRule::of(rule), &rule.origin) {
                    (Some(address), Origin::List(list)) => {
                        self.replacement.gather(edit, list, &rule.reason, &[address]);
                    }
                    _ => self.replacement.keep(edit, std::slice::from_ref(rule)),
                }
            }
            self.told = end;
        } else if !self.is_replaced {
            self.is_replaced = self.replacement.replace(edit, self.slice, &mut self.lessons);
        } else {
            let end = end(self.put);
            for rule in &self.rules[self.put..end] {
                if AddressRule::of(rule).is_none() || self.replacement.leaves_addresses() {
                    edit.draft(Operation::Put(rule.clone()));
                }
            }
            self.put = end;
        }
        self.is_replaced && self.put == self.rules.len()
    }
}

/// The same, rule by rule and all at once.
fn replace_in_turn(filter: &Filter, lists: &Lists, learned_before_us: u64, new: &[Rule], now_s: u32) {
    let coming: BTreeSet<&Target> = new.iter().map(|rule| &rule.target).collect();
    let goes = |rule: &Rule| match (&rule.origin, lists) {
        (Origin::Learned(from), _) => from.learned_at_us < learned_before_us,
        (Origin::List(list), Lists::One(one)) => list == one,
        (Origin::List(list), Lists::AllBut(others)) => !others.contains(list),
    };
    let held = rules(filter).into_values().map(|(rule, _)| rule);
    let removed = held.filter(|rule| goes(rule) && !coming.contains(&rule.target));
    let mut operations: Vec<_> = removed.map(|rule| Operation::Remove(rule.target)).collect();
    operations.extend(new.iter().cloned().map(Operation::Put));
    edit(filter, now_s).apply(Operation::Batch(operations));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn slices_come_to_the_same_as_one_rule_after_the_other_and_nothing_is_seen_before(
        old in of_lists(&["list", "second", "other"]),
        new in prop_oneof![
            of_lists(&["list"]).prop_map(|new| (Lists::One("list".into()), new)),
            of_lists(&["list", "second", "third"]).prop_map(|new| (Lists::AllBut(vec!["other".into()]), new)),
        ],
        taught in proptest::collection::vec(0..130u32, 0..40),
        learned_before_us in prop_oneof![Just(0), Just(u64::MAX)],
        slice in 1..9usize,
        steps in proptest::collection::vec(meanwhile(), 0..80),
        max_rules in prop_oneof![Just(u32::MAX), Just(200u32)],
    ) {
        let filters = [(); 3].map(|_| Filter::new(Settings { max_rules, ..Settings::default() }));
        let [sliced, in_turn, without] = [&filters[0], &filters[1], &filters[2]];
        let all = [sliced, in_turn, without];
        let mut now_s = NOW_S;
        for filter in all {
            let first = old.iter().cloned().chain(taught.iter().map(|at| learned(*at, NOW_S + 350)));
            filter.submit(Operation::Batch(first.map(Operation::Put).collect()), now_s).unwrap();
            (0..50).for_each(|addr| _ = verdict(filter, addr));
        }
        let (lists, new) = new;
        // Lessons that come meanwhile would go too.
        let learned_before_us = if steps.is_empty() { learned_before_us } else { 0 };
        let replacement = Replacement::new(lists.clone()).with_lessons_before(learned_before_us);
        let had_lesson: BTreeSet<_> =
            new.iter().map(|rule| &rule.target).filter(|target| edit(sliced, now_s).has_lesson(target)).cloned().collect();
        let mut slices = InSlices::new(replacement, new.clone(), slice);
        let mut left = steps.iter();
        loop {
            let is_ready = slices.go_on(&mut edit(sliced, now_s));
            if let Some(step) = left.next() {
                go_on(&all, step, &mut now_s);
            }
            prop_assert_eq!(in_force(sliced, now_s), in_force(without, now_s));
            if is_ready {
                break;
            }
        }
        edit(sliced, now_s).publish_draft();
        replace_in_turn(in_turn, &lists, learned_before_us, &new, now_s);
        prop_assert_eq!(in_force(sliced, now_s), in_force(in_turn, now_s));
        prop_assert!(slices.lessons.iter().all(|target| had_lesson.contains(target)));
        if steps.is_empty() {
            prop_assert_eq!(rules(sliced), rules(in_turn), "hits stay with what stays");
            let of_addresses = had_lesson.iter().filter(|target| matches!(target, Target::Client(..))).count();
            let is_put = !slices.replacement.leaves_addresses();
            prop_assert_eq!(slices.lessons.len(), if is_put { of_addresses } else { 0 });
        }
        for filter in all {
            filter.upkeep(now_s, usize::MAX);
        }
        prop_assert_eq!(sliced.snapshot().counts(), in_turn.snapshot().counts());
        // What is left of ends, texts and slots goes with the rules.
        for filter in [sliced, in_turn] {
            while filter.upkeep(NEVER - 1, 100) == 100 {}
        }
        prop_assert_eq!(in_force(sliced, 0), in_force(in_turn, 0));
        prop_assert_eq!(sliced.snapshot().details.len(), in_turn.snapshot().details.len());
    }
}

#[test]
fn tens_of_thousands_of_addresses_are_replaced_as_each_in_turn() {
    let hosts = |numbers: std::ops::Range<u32>, list: &'static str| {
        numbers.map(move |n| {
            let spread = n.wrapping_mul(0x9E37_79B1);
            let addr: IpAddr = match n % 3 {
                0 => Ipv6Addr::from_bits(0x2001 << 112 | u128::from(spread)).into(),
                _ => Ipv4Addr::from_bits(spread).into(),
            };
            let end = if n % 5 == 0 { NOW_S + 1 + n } else { NEVER };
            Rule { target: Target::Client(List::Block, ClientNet::host(addr)), ..client(0, list, end) }
        })
    };
    let [sliced, in_turn] = [(); 2].map(|_| Filter::new(Settings::default()));
    let lists = Lists::One("list".into());
    // Into nothing, half of it by others, by few, and by many again; between rules of another list.
    let steps = [0..40_000, 20_000..60_000, 59_000..59_100, 0..70_000];
    for filter in [&sliced, &in_turn] {
        let others = hosts(100_000..105_000, "other").map(Operation::Put).collect();
        filter.submit(Operation::Batch(others), NOW_S).unwrap();
    }
    for numbers in steps {
        let new: Vec<_> = hosts(numbers, "list").collect();
        let mut slices = InSlices::new(Replacement::new(lists.clone()), new.clone(), 500);
        while !slices.go_on(&mut edit(&sliced, NOW_S)) {}
        edit(&sliced, NOW_S).publish_draft();
        replace_in_turn(&in_turn, &lists, 0, &new, NOW_S);
        assert!(in_force(&sliced, NOW_S) == in_force(&in_turn, NOW_S));
        assert_eq!(sliced.snapshot().counts(), in_turn.snapshot().counts());
        let mut reader = sliced.reader();
        let is_found = |rule: &Rule| match rule.target {
            Target::Client(_, ClientNet::V4(bits, _)) => reader.address(Ipv4Addr::from_bits(bits).into(), NOW_S),
            Target::Client(_, ClientNet::V6(bits, _)) => reader.address(Ipv6Addr::from_bits(bits).into(), NOW_S),
            Target::Resource(..) => Verdict::Pass,
        } != Verdict::Pass;
        assert!(new.iter().all(is_found));
    }
}

#[test]
fn a_lesson_on_what_the_list_drops_holds_with_the_new_list() {
    let filter = Filter::new(Settings::default());
    replace(&filter, "list", vec![client(1, "list", NEVER)], NOW_S);
    let mut replacement = Replacement::new(Lists::One("list".into()));
    while !replacement.replace(&mut edit(&filter, NOW_S), 1, &mut Vec::new()) {}
    filter.submit(Operation::Put(learned(1, NOW_S + 10)), NOW_S).unwrap();
    assert_eq!(filter.snapshot().counts().learned, 0, "readers see the list");
    edit(&filter, NOW_S).publish_draft();
    assert_eq!((filter.snapshot().counts().learned, verdict(&filter, 1)), (1, 403));
}

#[test]
fn a_list_whose_addresses_are_not_put_takes_no_number() {
    let filter = Filter::new(Settings::default());
    let ended = AddressRule { expires_at_s: NOW_S, ..AddressRule::of(&client(1, "", NEVER)).unwrap() };
    for at in 0..300 {
        let name: std::sync::Arc<str> = format!("list {at}").into();
        let mut replacement = Replacement::new(Lists::One(name.clone()));
        replacement.gather(&edit(&filter, NOW_S), &name, &"".into(), &[ended]);
        while !replacement.replace(&mut edit(&filter, NOW_S), 1, &mut Vec::new()) {}
    }
    edit(&filter, NOW_S).publish_draft();
    filter.submit(Operation::Put(client(1, "one more", NEVER)), NOW_S).unwrap();
    assert_eq!(verdict(&filter, 1), 403);
}

#[test]
fn a_replacement_removes_the_lessons_before_its_stamp_that_are_not_kept() {
    let filter = Filter::new(Settings::default());
    let before_us = u64::from(NOW_S) * 1_000_000;
    let lesson = |rule: Rule, stamp_us| {
        let from = Provenance { learned_at_us: stamp_us, ..Provenance::default() };
        Rule { origin: Origin::Learned(from.into()), ..rule }
    };
    let of =
        |at, stamp_us| [client(at, "", NEVER), on_path(at, "", NEVER)].map(|rule| lesson(rule, stamp_us));
    let all = [of(0, before_us - 1), of(1, before_us - 1), of(2, before_us), of(3, before_us - 1)];
    all.iter().flatten().for_each(|rule| filter.submit(Operation::Put(rule.clone()), NOW_S).unwrap());
    filter.submit(Operation::Put(client(9, "other", NEVER)), NOW_S).unwrap();
    let lists = Lists::AllBut(vec!["other".into()]);
    let mut replacement = Replacement::new(lists).with_lessons_before(before_us);
    replacement.keep(&edit(&filter, NOW_S), &of(1, 0));
    while !replacement.replace(&mut edit(&filter, NOW_S), 1, &mut Vec::new()) {
        // Learned anew while it is walked over, with the same end.
        of(3, before_us).into_iter().for_each(|rule| filter.submit(Operation::Put(rule), NOW_S).unwrap());
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
    replacement.keep(&edit(&filter, NOW_S), &[learned(1, ends_at_s)]);
    filter.upkeep(ends_at_s, 100);
    filter.submit(Operation::Put(learned(2, ends_at_s + 10)), ends_at_s).unwrap();
    assert_eq!(slot(&filter), before);
    while !replacement.replace(&mut edit(&filter, ends_at_s), 1, &mut Vec::new()) {}
    edit(&filter, ends_at_s).publish_draft();
    assert_eq!(filter.snapshot().counts().learned, 0);
}
