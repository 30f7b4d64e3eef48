//! Follows the wall clock, and keeps learned rules from ending by its steps.
//!
//! Rules of the manager and of lists end at a time of day. Learned rules end after a TTL, whatever becomes of the time of
//! day meanwhile. Both are kept as seconds since the epoch, and lookups compare both with the same number. So,
//! when the wall clock was set, the ends of the learned rules are moved by as much, and lookups go on by the new time:
//! first the one and then the other where the clock went forward, the other way round where it went back, so that no
//! learned rule has ended for a lookup meanwhile. What is learned goes by the old time until a step is seen, and by the new one
//! from then on: so those that are there when it is seen are the ones to move. For a rule that another thread
//! learns in the microseconds between, the step may count twice or not at all.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use edge_filter::{Filter, Rule};
use parking_lot::Mutex;

use super::{Clocks, LOOKUPS, Lookups, NS_PER_S, seconds};
use crate::state::Budget;

/// What the wall clock may be off between two looks without being told: slewing, and the small steps of a time service.
/// Learned rules end by as much earlier or later.
const SMALL_NS: i64 = 2 * NS_PER_S;

/// Rules that are looked at between two looks at the time: some hundredths of a millisecond.
const PIECE_RULES: usize = 16;

/// Looks after the time of day by which rules are looked up.
pub(crate) struct Keeper {
    followed: Mutex<Followed>,
    steps: AtomicU64,
}

/// What one thread at a time works with.
struct Followed {
    /// The time of day at which the machine started, as of the last look.
    booted_ns: i64,
    step: Option<Step>,
}

/// A step of the wall clock that learned rules are being moved by.
struct Step {
    by_s: i64,
    /// Where lookups are when it is done.
    offset_ns: i64,
    /// What was learned before.
    learned: Box<dyn Iterator<Item = Option<Rule>> + Send>,
    moved: u64,
}

/// What a slice of work came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Followup {
    /// For the log.
    pub(crate) line: Option<String>,
    /// Learned rules end at other times than the files of this worker say.
    pub(crate) has_moved: bool,
    /// Whether work is left that could go on at once.
    pub(crate) is_cut: bool,
}

impl Keeper {
    /// From now on.
    pub(crate) fn new(clocks: Clocks) -> Self {
        let followed = Mutex::new(Followed { booted_ns: booted_ns(clocks), step: None });
        Self { followed, steps: AtomicU64::new(0) }
    }

    /// How often the wall clock was set since then.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    /// A slice of work. Does nothing while another thread is at it.
    pub(crate) fn turn(&self, filter: &Filter, clocks: Clocks, budget: Budget) -> Followup {
        self.follow(filter, clocks, &LOOKUPS, budget)
    }

    fn follow(&self, filter: &Filter, clocks: Clocks, lookups: &Lookups, budget: Budget) -> Followup {
        let Some(mut followed) = self.followed.try_lock() else { return Followup::default() };
        let now_ns = || lookups.at_ns(clocks.wall_ns, clocks.monotonic_ns);
        if followed.step.is_none() {
            let by_ns = booted_ns(clocks).saturating_sub(followed.booted_ns);
            let offset_ns = clocks.wall_ns.saturating_sub(clocks.monotonic_ns);
            if by_ns.abs() < SMALL_NS {
                followed.booted_ns = booted_ns(clocks);
                // The sleep of the machine is no step: time has passed.
                lookups.are_at(offset_ns);
                lookups.believe(clocks);
                return Followup::default();
            }
            lookups.disbelieve();
            // While another thread changes the rules, it is a step that was not seen.
            let Some(mut edit) = filter.edit(seconds(now_ns())) else { return Followup::default() };
            let by_s = (by_ns + by_ns.signum() * NS_PER_S / 2) / NS_PER_S;
            if by_s < 0 {
                lookups.are_at(offset_ns);
            }
            // What waits for another thread was learned before.
            edit.settle();
            let learned = Box::new(edit.learned());
            lookups.learn_by(offset_ns);
            followed.booted_ns = booted_ns(clocks);
            followed.step = Some(Step { by_s, offset_ns, learned, moved: 0 });
            self.steps.fetch_add(1, Relaxed);
        }
        let now_s = seconds(now_ns());
        let Some(step) = &mut followed.step else { return Followup::default() };
        loop {
            match step.move_some(filter, now_s) {
                Progress::Done => break,
                Progress::Waits => return Followup::default(),
                Progress::Some if budget.is_spent() => {
                    return Followup { is_cut: true, ..Followup::default() };
                }
                Progress::Some => {}
            }
        }
        lookups.are_at(step.offset_ns);
        let followup = Followup { line: Some(step.line()), has_moved: step.moved > 0, is_cut: false };
        followed.step = None;
        followup
    }
}

enum Progress {
    Done,
    Some,
    /// Another thread changes the rules.
    Waits,
}

impl Step {
    fn move_some(&mut self, filter: &Filter, now_s: u32) -> Progress {
        let Some(mut edit) = filter.edit(now_s) else { return Progress::Waits };
        for _ in 0..PIECE_RULES {
            match self.learned.next() {
                Some(Some(rule)) => {
                    let end_s = i64::from(rule.expires_at_s).saturating_add(self.by_s);
                    let end_s = u32::try_from(end_s.max(0)).unwrap_or(u32::MAX);
                    self.moved += u64::from(edit.end_at(&rule, end_s));
                }
                Some(None) => {}
                None => return Progress::Done,
            }
        }
        Progress::Some
    }

    fn line(&self) -> String {
        let way = if self.by_s < 0 { "back" } else { "forward" };
        let (by_s, moved) = (self.by_s.unsigned_abs(), self.moved);
        format!(
            "the system clock was set {way} by {by_s} s: {moved} learned rules keep the time they have left"
        )
    }
}

fn booted_ns(clocks: Clocks) -> i64 {
    clocks.wall_ns.saturating_sub(clocks.boot_ns)
}

#[cfg(test)]
mod tests;
