//! The whole filter: operations in, verdicts out, held against a slow model after every step.

mod model;
mod world;

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use edge_filter::{Counters, Filter, Kind, Operation, Reader, Rule, RuleCounts, Target, VerdictCounts};

use self::model::Model;
use self::world::{ADDRESSES, Asked, BASES, World};

/// Bytes, so the mutator has no words to write: these are steps that lead somewhere.
pub(crate) const WORDS: &[&str] = &["\0\0\0\0", "\0\u{1}\u{2}", "\u{4}\u{1}", "\u{5}", "\u{7}", "\u{3}\u{6}"];

/// Steps of one input at most.
const MAX_STEPS: usize = 64;

enum Step {
    Submit(Operation),
    Sweep(usize),
    Wait(u32),
    Address(usize),
    Resource(usize),
    Check(Asked),
}

/// Whatever is done to a filter, in whatever order: its rules, hits, counts and verdicts are those of a model
/// that searches a plain map; a batch does what its operations do in turn; an explanation ends with the verdict
/// that the lookup gives.
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
                model.apply(&operation, now_s);
                submit_in_turn(&in_turn, &operation, now_s);
                filter.submit(operation, now_s).expect("an empty queue has room");
            }
            Step::Sweep(max) => {
                model.sweep(now_s, max);
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
        rules_are_those_of(&model, &filter);
        explanations_agree(&model, &mut readers[0], at, world.now_s());
    }
    assert_eq!(without_hits(&filter), without_hits(&in_turn), "a batch is its operations in turn");
    assert_eq!(filter.counters().changes, in_turn.counters().changes);
    Ok(())
}

fn step(input: &mut Unstructured<'_>, world: &mut World) -> Result<Step> {
    Ok(match input.int_in_range(0..=9u8)? {
        0..=3 => Step::Submit(world.operation(input, 0)?),
        4 => Step::Sweep(input.int_in_range(0..=20)?),
        5 => Step::Wait(*input.choose(&[1, 5, 30, 100, 500])?),
        6 => Step::Address(input.choose_index(ADDRESSES.len())?),
        7 => Step::Resource(input.choose_index(BASES.len())?),
        _ => Step::Check(world::asked(input)?),
    })
}

/// Each operation of a batch on its own.
fn submit_in_turn(filter: &Filter, operation: &Operation, now_s: u32) {
    match operation {
        Operation::Batch(operations) => operations.iter().for_each(|one| submit_in_turn(filter, one, now_s)),
        one => filter.submit(one.clone(), now_s).expect("an empty queue has room"),
    }
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
