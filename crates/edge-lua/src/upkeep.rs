//! What the upkeep task does: no thread of our own exists, HAProxy's Lua task calls this every 100 ms.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::engine::{self, Engine};
use crate::{clock, guard};

/// Work of one turn: HAProxy's thread serves nobody meanwhile.
const TURN: Duration = Duration::from_millis(1);

/// Rules swept between two looks at the time; some microseconds each.
const SLICE_RULES: usize = 32;

/// How long the turns of the upkeep took.
#[derive(Default)]
pub(crate) struct Upkeep {
    longest_ns: AtomicU64,
}

impl Upkeep {
    /// The longest turn since the process started, seconds.
    pub(crate) fn longest_s(&self) -> f64 {
        self.longest_ns.load(Relaxed) as f64 / 1e9
    }
}

/// One turn. Every thread lets go of the snapshot that its last lookup left behind; the one that `sweeps` also
/// applies what waits and removes what ended. A line for the log comes back after a panic.
pub(crate) fn tick(engine: &Engine, sweeps: bool) -> Option<String> {
    survive(|| {
        if sweeps {
            sweep(engine);
        }
        engine::with_reader(|reader| reader.refresh());
    })
}

/// The turn must not end the task that takes it: nobody would start it again.
fn survive(turn: impl FnOnce()) -> Option<String> {
    guard::catch(|| {
        turn();
        Some(())
    });
    guard::last_panic().map(|panic| format!("caught a panic, please report it: {panic}"))
}

fn sweep(engine: &Engine) {
    let started = Instant::now();
    while engine.filter.upkeep(clock::now_s(), SLICE_RULES) == SLICE_RULES && started.elapsed() < TURN {}
    let took_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    engine.upkeep.longest_ns.fetch_max(took_ns, Relaxed);
}

/// Applies what waits and answers with the revision then in force.
pub(crate) fn sync(engine: &Engine) -> String {
    engine.filter.upkeep(clock::now_s(), 0);
    format!("revision {}", engine.filter.snapshot().revision())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_end_the_task() {
        let before = guard::panics();
        survive(|| panic!("on purpose"));
        assert!(guard::panics() > before);
        let mut turned = false;
        survive(|| turned = true);
        assert!(turned);
    }
}
