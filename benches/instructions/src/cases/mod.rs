//! What is counted. A case's name is its row in `counts.csv`.

mod addresses;
mod requests;
mod resources;
mod texts;

use ahash::RandomState;
use edge_filter::{Action, Filter, NEVER, Origin, Rule, Settings, Status, Target};

use crate::counter::Counter;

/// The clock, seconds since the Unix epoch.
const NOW_S: u32 = 1_800_000_000;

/// Inputs of a case; half of them warm the caches.
const INPUTS: usize = 1 << 13;

/// The name of the list that rules belong to.
const LIST: &str = "counted";

/// Rules put at once, as the module loads them.
const CHUNK: usize = 1 << 14;

/// Counts every case that is asked for.
pub(crate) fn run(counter: &Counter) {
    texts::count(counter);
    for rules in [1_000, 100_000, 1_000_000] {
        addresses::count(counter, rules);
    }
    for rules in [10_000, 100_000] {
        resources::count(counter, rules);
    }
    requests::count(counter);
}

/// The same sequence in every run.
fn random() -> fastrand::Rng {
    fastrand::Rng::with_seed(0xED6E)
}

/// A filter whose hashes are the same in every run. It stays until the process ends: to free its rules would take as long
/// as making them.
fn filter() -> &'static Filter {
    let keys = RandomState::with_seeds(1, 2, 3, 4);
    Box::leak(Box::new(Filter::with_hash_keys(Settings::default(), &keys)))
}

/// A rule that refuses, without end.
fn deny(target: Target) -> Rule {
    Rule {
        target,
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NEVER,
        origin: Origin::List(LIST.into()),
        reason: "".into(),
    }
}
