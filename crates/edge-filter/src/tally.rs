//! Counting without a cache line that threads fight over.
//!
//! Each [`crate::Reader`] has a tally that only it writes. Hits of a rule are gathered there and handed to the
//! rule's shared cell in bulk, so a rule that all threads hit at once costs each of them a line of its own. Cells of
//! several rules are handed their hits at once: where rules are many each of them is a cache miss, and all of these
//! are waited for at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::Verdict;
use crate::cells::Cells;

/// Rules whose hits a tally gathers at a time; chosen by the low bits of the slot.
const GATHERED: usize = 1024;

/// Hits gathered before they are handed on.
const BULK: u64 = 1 << 12;

/// Rules whose hits are handed on at once.
const LEAVING: usize = 8;

/// What a lookup was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Address = 0,
    Resource = 1,
}

/// How often each verdict was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Lookups, whatever the verdict.
    pub lookups: u64,
    /// [`Verdict::Observe`]
    pub observe: u64,
    /// [`Verdict::Tarpit`]
    pub tarpit: u64,
    /// [`Verdict::Drop`]
    pub drop: u64,
    /// [`Verdict::Deny`]
    pub deny: u64,
    /// [`Verdict::Ask`]
    pub ask: u64,
}

/// A counter that one thread writes and any thread reads: an addition without a locked instruction.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    #[inline]
    fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of one reader.
#[derive(Debug)]
pub(crate) struct Tally(CachePadded<Counts>);

#[derive(Debug)]
struct Counts {
    lookups: [Counter; 2],
    /// Observe, tarpit, drop, deny, ask.
    verdicts: [[Counter; 5]; 2],
    half_open: Counter,
    /// Slot in the upper half, hits in the lower; no hits, no slot.
    gathered: [AtomicU64; GATHERED],
    /// The same of rules that had to give way; how often one did.
    leaving: [AtomicU64; LEAVING],
    left: Counter,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self(CachePadded::new(Counts {
            lookups: Default::default(),
            verdicts: Default::default(),
            half_open: Counter::default(),
            gathered: [const { AtomicU64::new(0) }; GATHERED],
            leaving: [const { AtomicU64::new(0) }; LEAVING],
            left: Counter::default(),
        }))
    }

    #[inline]
    pub(crate) fn count_lookup(&self, table: Table) {
        self.0.lookups[table as usize].add(1);
    }

    pub(crate) fn count_verdict(&self, table: Table, verdict: Verdict) {
        let at = match verdict {
            Verdict::Pass => return,
            Verdict::Observe => 0,
            Verdict::Tarpit => 1,
            Verdict::Drop => 2,
            Verdict::Deny(_) => 3,
            Verdict::Ask => 4,
        };
        self.0.verdicts[table as usize][at].add(1);
    }

    pub(crate) fn count_half_open(&self) {
        self.0.half_open.add(1);
    }

    /// Count a hit of the rule in this slot.
    #[inline]
    pub(crate) fn count_hit(&self, slot: u32, cells: &Cells) {
        let place = &self.0.gathered[slot as usize % GATHERED];
        let gathered = place.load(Ordering::Relaxed);
        if slot_of(gathered) == slot && hits_of(gathered) < BULK {
            place.store(gathered + 1, Ordering::Relaxed);
        } else {
            if hits_of(gathered) > 0 {
                self.leave(gathered, cells);
            }
            place.store(u64::from(slot) << 32 | 1, Ordering::Relaxed);
        }
    }

    fn leave(&self, gathered: u64, cells: &Cells) {
        let at = self.0.left.get() as usize % LEAVING;
        self.0.leaving[at].store(gathered, Ordering::Relaxed);
        self.0.left.add(1);
        if at == LEAVING - 1 {
            // An addition waits for its cell, and what follows for the addition. A plain load does not.
            let load = |leaving: &AtomicU64| cells.load(slot_of(leaving.load(Ordering::Relaxed)));
            std::hint::black_box(self.0.leaving.iter().map(load).fold(0, |all, state| all | state));
            for leaving in &self.0.leaving {
                let gathered = leaving.load(Ordering::Relaxed);
                cells.add_hits(slot_of(gathered), hits_of(gathered));
                leaving.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Hits of this rule that are not in its cell yet.
    pub(crate) fn gathered_hits(&self, slot: u32) -> u64 {
        let Counts { gathered, leaving, .. } = &*self.0;
        let places = std::iter::once(&gathered[slot as usize % GATHERED]).chain(leaving);
        let gathered = places.map(|place| place.load(Ordering::Relaxed));
        gathered.filter(|gathered| slot_of(*gathered) == slot).map(hits_of).sum()
    }

    pub(crate) fn half_open(&self) -> u64 {
        self.0.half_open.get()
    }

    /// Add this tally's counts of one table to `sum`.
    pub(crate) fn add_to(&self, table: Table, sum: &mut VerdictCounts) {
        let [observe, tarpit, drop, deny, ask] = &self.0.verdicts[table as usize];
        sum.lookups += self.0.lookups[table as usize].get();
        sum.observe += observe.get();
        sum.tarpit += tarpit.get();
        sum.drop += drop.get();
        sum.deny += deny.get();
        sum.ask += ask.get();
    }
}

#[inline]
fn slot_of(gathered: u64) -> u32 {
    (gathered >> 32) as u32
}

#[inline]
fn hits_of(gathered: u64) -> u64 {
    gathered & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hit_is_lost_between_the_tally_and_the_cell() {
        let (tally, mut cells) = (Tally::new(), Cells::default());
        let slots = GATHERED as u32;
        cells.reserve(20 * slots);
        // The first two share a place, the third has one to itself; of the others each makes the one before it leave.
        let others = (2..20).map(|n| n * slots + 3);
        for i in 0..30_000usize {
            tally.count_hit([1, slots + 1, 2, 2][i % 4], &cells);
            if i % 1000 == 0 {
                others.clone().for_each(|slot| tally.count_hit(slot, &cells));
            }
        }
        let hits = |slot| cells.hits(slot, tally.gathered_hits(slot));
        assert_eq!((hits(1), hits(slots + 1), hits(2)), (7_500, 7_500, 15_000));
        assert!(others.clone().all(|slot| hits(slot) == 30));
        assert!(cells.hits(2, 0) > 0, "a hot rule is handed on too");
        assert!(others.clone().any(|slot| tally.gathered_hits(slot) > 0) && cells.hits(2 * slots + 3, 0) > 0);
    }
}
