//! Counting without a cache line that threads fight over.
//!
//! Each [`crate::Reader`] has a tally that only it writes. Hits of a rule are gathered there and handed to the
//! rule's shared cell in bulk, so a rule that all threads hit at once costs each of them a line of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::Verdict;
use crate::cells::Cells;

/// Rules whose hits a tally gathers at a time; chosen by the low bits of the slot.
const GATHERED: usize = 64;

/// Hits gathered before they are handed on.
const BULK: u64 = 1 << 12;

/// Rules whose hits are handed on together.
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

    fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
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
    /// The same of rules that had to give way to others.
    leaving: [AtomicU64; LEAVING],
    /// How many of these are in use.
    left: Counter,
}

/// Slot and hits.
fn unpack(gathered: u64) -> (u32, u64) {
    ((gathered >> 32) as u32, gathered & u64::from(u32::MAX))
}

fn pack(slot: u32, hits: u64) -> u64 {
    u64::from(slot) << 32 | hits
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
        let (other, hits) = unpack(gathered);
        if hits > 0 && (other != slot || hits >= BULK) {
            self.leave(gathered, cells);
            place.store(pack(slot, 1), Ordering::Relaxed);
        } else {
            place.store(pack(slot, hits + 1), Ordering::Relaxed);
        }
    }

    fn leave(&self, gathered: u64, cells: &Cells) {
        let Counts { leaving, left, .. } = &*self.0;
        let at = left.get() as usize;
        leaving[at % LEAVING].store(gathered, Ordering::Relaxed);
        left.add(1);
        if at + 1 == LEAVING {
            self.hand_on(cells);
        }
    }

    /// Of a million rules each cell is a cache miss, and a locked addition lets nothing pass that comes after it: so all
    /// cells are read first, which the processor does at the same time.
    #[cold]
    fn hand_on(&self, cells: &Cells) {
        let Counts { leaving, left, .. } = &*self.0;
        let leaving_now = leaving.each_ref().map(|place| unpack(place.load(Ordering::Relaxed)));
        let read = leaving_now.iter().fold(0, |read, (slot, _)| read | cells.hits(*slot, 0));
        std::hint::black_box(read);
        for (place, (slot, hits)) in leaving.iter().zip(leaving_now) {
            cells.add_hits(slot, hits);
            place.store(0, Ordering::Relaxed);
        }
        left.set(0);
    }

    /// Hits of this rule that are not in its cell yet.
    pub(crate) fn gathered_hits(&self, slot: u32) -> u64 {
        let Counts { gathered, leaving, .. } = &*self.0;
        let places = std::iter::once(&gathered[slot as usize % GATHERED]).chain(leaving);
        let gathered = places.map(|place| unpack(place.load(Ordering::Relaxed)));
        gathered.filter(|(other, _)| *other == slot).map(|(_, hits)| hits).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hit_is_lost_between_the_tally_and_the_cell() {
        let (tally, mut cells) = (Tally::new(), Cells::default());
        cells.reserve(200);
        for i in 0..30_000u32 {
            // Slots 1 and 65 share a place, 2 has one to itself.
            tally.count_hit([1, 65, 2, 2][i as usize % 4], &cells);
        }
        let hits = |slot| cells.hits(slot, tally.gathered_hits(slot));
        assert_eq!((hits(1), hits(65), hits(2)), (7_500, 7_500, 15_000));
        for more in 1..=2 * LEAVING as u64 {
            tally.count_hit(1, &cells);
            tally.count_hit(65, &cells);
            assert_eq!(hits(1) + hits(65), 15_000 + 2 * more, "whether they wait or were handed on");
        }
        assert!(cells.hits(2, 0) > 0, "a hot rule is handed on too");
    }
}
