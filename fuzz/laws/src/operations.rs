//! The whole filter: operations in, verdicts out, held against a slow model after every step.

mod model;
mod world;

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use edge_filter::{
    AddressRule, Counters, Edit, Filter, Kind, Lists, Operation, Origin, Reader, Replacement, Rule,
    RuleCounts, Target, VerdictCounts,
};

use self::model::{Model, When};
use self::world::{ADDRESSES, Asked, BASES, World};

/// Bytes, so the mutator has no words to write: these are steps that lead somewhere.
pub(crate) const WORDS: &[&str] = &["\0\0\0\0", "\0\u{1}\u{2}", "\u{4}\u{1}", "\u{5}", "\u{7}", "\u{3}\u{6}"];

/// Steps of one input at most.
const MAX_STEPS: usize = 64;

enum Step {
    Submit(Operation),
    Draft(Operation),
    /// Replace the rules of these lists, in slices of this many, as part of the draft.
    DraftReplacement(Lists, Vec<Rule>, usize),
    /// Addresses of one list at once, as part of the draft.
    DraftAddresses(Vec<Rule>),
    PublishDraft,
    Sweep(usize),
    Wait(u32),
    Address(usize),
    Resource(usize),
    Check(Asked),
}

/// Whatever is done to a filter, in whatever order: its rules, hits, counts and verdicts are those of a model
/// that searches a plain map; nothing of a draft is seen before it is published; a batch does what its operations do
/// in turn; an explanation ends with the verdict that the lookup gives.
pub fn operations(data: &[u8]) {
    run(&mut Unstructured::new(data)).expect("there is always something to choose from");
}

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let settings = world::settings(input)?;
    let filter = Filter::new(settings.clone());
    let in_turn = Filter::new(settings.clone());
    let mut readers = [filter.reader(), filter.reader()];
    let mut model = Model::new(settings);
    let mut world = World::default();
    for at in 0..MAX_STEPS {
        // A step that the input ends in goes on with zeros.
        if input.is_empty() {
            break;
        }
        let (step, now_s) = (step(input, &mut world)?, world.now_s());
        let reader = &mut readers[usize::from(input.arbitrary::<bool>()?)];
        match step {
            Step::Submit(operation) => {
                model.apply(&operation, When { now_s, is_draft: false });
                for_each_in_turn(&operation, &mut |one| {
                    in_turn.submit(one.clone(), now_s).expect("an empty queue has room");
                });
                filter.submit(operation, now_s).expect("an empty queue has room");
            }
            Step::Draft(operation) => {
                model.begin_draft();
                model.apply(&operation, When { now_s, is_draft: true });
                for_each_in_turn(&operation, &mut |one| edit(&in_turn, now_s).draft(one.clone()));
                edit(&filter, now_s).draft(operation);
            }
            Step::DraftReplacement(lists, rules, slice) => {
                let when = When { now_s, is_draft: true };
                model.begin_draft();
                model.replace(&lists, &rules, when);
                rules.iter().for_each(|rule| model.apply(&Operation::Put(rule.clone()), when));
                draft_replacement(&filter, now_s, lists.clone(), &rules, slice, false);
                draft_replacement(&in_turn, now_s, lists, &rules, usize::MAX, true);
            }
            Step::DraftAddresses(rules) => {
                model.begin_draft();
                for rule in &rules {
                    model.apply(&Operation::Put(rule.clone()), When { now_s, is_draft: true });
                    edit(&in_turn, now_s).draft(Operation::Put(rule.clone()));
                }
                draft_addresses(&filter, now_s, &rules);
            }
            Step::PublishDraft => {
                model.publish_draft();
                edit(&filter, now_s).publish_draft();
                edit(&in_turn, now_s).publish_draft();
            }
            Step::Sweep(max) => {
                model.sweep(max, now_s);
                filter.upkeep(now_s, max);
                in_turn.upkeep(now_s, max);
            }
            Step::Wait(seconds) => world.wait(seconds),
            Step::Address(at) => {
                let (addr, expected) = (ADDRESSES[at], model.address(ADDRESSES[at], now_s));
                assert_eq!(reader.address(addr.parse().unwrap(), now_s).code(), expected, "{addr}");
            }
            Step::Resource(at) => {
                let base = &BASES[at];
                let expected = model.resource(base.host, base.path, now_s);
                assert_eq!(reader.resource(base.raw.as_bytes(), now_s).code(), expected, "{}", base.raw);
            }
            Step::Check(asked) => {
                let (decision, expected) =
                    (reader.check(&asked.request(), now_s), model.check(&asked, now_s));
                assert_eq!((decision.verdict.code(), decision.rule), expected, "{asked:?}");
            }
        }
        assert_eq!(edit(&filter, world.now_s()).has_draft(), model.has_draft());
        rules_are_those_of(&model, &filter);
        explanations_agree(&model, &mut readers[0], at, world.now_s());
    }
    assert_eq!(without_hits(&filter), without_hits(&in_turn), "a batch is its operations in turn");
    assert_eq!(filter.counters().changes, in_turn.counters().changes);
    Ok(())
}

fn step(input: &mut Unstructured<'_>, world: &mut World) -> Result<Step> {
    Ok(match input.int_in_range(0..=13u8)? {
        0..=3 => Step::Submit(world.operation(input, 0)?),
        4 => Step::Sweep(input.int_in_range(0..=20)?),
        5 => Step::Wait(*input.choose(&[1, 5, 30, 100, 500])?),
        6 => Step::Address(input.choose_index(ADDRESSES.len())?),
        7 => Step::Resource(input.choose_index(BASES.len())?),
        8 | 9 => Step::Check(world::asked(input)?),
        10 => Step::Draft(world.operation(input, 0)?),
        11 => {
            let (lists, rules) = world.replacement(input)?;
            Step::DraftReplacement(lists, rules, input.int_in_range(1..=3)?)
        }
        12 => Step::DraftAddresses(world.addresses(input)?),
        _ => Step::PublishDraft,
    })
}

/// Each operation of a batch on its own.
fn for_each_in_turn(operation: &Operation, each: &mut dyn FnMut(&Operation)) {
    match operation {
        Operation::Batch(operations) => operations.iter().for_each(|one| for_each_in_turn(one, each)),
        one => each(one),
    }
}

fn edit(filter: &Filter, now_s: u32) -> Edit<'_> {
    filter.edit(now_s).expect("nobody else writes")
}

/// Each slice in an edit of its own. One by one, no addresses are gathered.
fn draft_replacement(
    filter: &Filter,
    now_s: u32,
    lists: Lists,
    rules: &[Rule],
    slice: usize,
    one_by_one: bool,
) {
    let mut replacement = Replacement::new(lists);
    let gathered = |rule: &Rule| AddressRule::of(rule).filter(|_| !one_by_one);
    for rules in rules.chunks(slice) {
        let edit = edit(filter, now_s);
        for rule in rules {
            match (gathered(rule), &rule.origin) {
                (Some(address), Origin::List(list)) => {
                    replacement.gather(&edit, list, &rule.reason, &[address])
                }
                _ => replacement.keep(&edit, std::slice::from_ref(rule)),
            }
        }
    }
    while !replacement.replace(&mut edit(filter, now_s), slice, &mut Vec::new()) {}
    for rules in rules.chunks(slice) {
        let mut edit = edit(filter, now_s);
        for rule in rules {
            if gathered(rule).is_none() || replacement.leaves_addresses() {
                edit.draft(Operation::Put(rule.clone()));
            }
        }
    }
}

fn draft_addresses(filter: &Filter, now_s: u32, rules: &[Rule]) {
    let Some(Rule { origin: Origin::List(list), reason, .. }) = rules.first() else {
        edit(filter, now_s).draft(Operation::Batch(Vec::new()));
        return;
    };
    let rules: Vec<_> = rules.iter().filter_map(AddressRule::of).collect();
    edit(filter, now_s).draft_addresses(list, reason, [rules]);
}

fn all_rules(filter: &Filter) -> impl Iterator<Item = (Rule, u64)> {
    filter.rules(Kind::Client).chain(filter.rules(Kind::Resource))
}

fn without_hits(filter: &Filter) -> BTreeMap<Target, Rule> {
    all_rules(filter).map(|(rule, _)| (rule.target.clone(), rule)).collect()
}

fn rules_are_those_of(model: &Model, filter: &Filter) {
    let rules: Vec<_> = all_rules(filter).collect();
    let RuleCounts { allow, block, resource, learned } = filter.snapshot().counts();
    assert_eq!(allow + block + resource, rules.len(), "each rule is walked over once");
    let by_target: BTreeMap<_, _> = rules.into_iter().map(|rule| (rule.0.target.clone(), rule)).collect();
    assert_eq!(by_target, model.rules_with_hits());
    assert_eq!((allow, block, resource, learned), model.rule_counts());
    let Counters { address, resource, half_open, changes, queue_full } = filter.counters();
    assert_eq!((changes, half_open, queue_full), (model.changes, model.half_open, 0));
    let lookups = |counts: VerdictCounts| {
        let VerdictCounts { lookups, observe, tarpit, drop, deny, ask } = counts;
        [lookups, observe, tarpit, drop, deny, ask]
    };
    assert_eq!([address, resource].map(lookups), model.lookups);
}

/// What is explained is what a lookup would answer, half-open requests apart, and it counts nothing. One address
/// and one resource at each step, by turns.
fn explanations_agree(model: &Model, reader: &mut Reader<'_>, at: usize, now_s: u32) {
    let addr = ADDRESSES[at % ADDRESSES.len()];
    let explanation = reader.explain_address(addr.parse().unwrap(), now_s);
    assert_eq!(explanation.verdict.code(), model.explain_address(addr, now_s), "{explanation}");
    let parts: Vec<_> = explanation.rules.iter().map(|explained| explained.part).collect();
    model.parts_of_address(addr, &parts, now_s);

    let base = &BASES[at % BASES.len()];
    let explanation = reader.explain_resource(base.raw.as_bytes(), now_s);
    assert_eq!(explanation.verdict.code(), model.explain_resource(base, now_s), "{explanation}");
    let explained = explanation.rules.iter().map(|explained| &explained.rule);
    assert!(explained.eq(model.explained(base, now_s)), "{explanation}");
}
