//! One cell for each rule: its hits, and whether its half-open request was let through. Cells are shared by all
//! snapshots, so counting needs no new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: usize = 4096;
type Page = [AtomicU64; PAGE];

/// Hits are counted above the window's bits, so that they wrap around without touching them.
const HITS_SHIFT: u32 = 16;
const HITS_MASK: u64 = u64::MAX >> HITS_SHIFT;
/// Set when the one request of the half-open window was let through.
const PROBED: u64 = 1 << 15;
/// Length of the half-open window, seconds; 0 for none.
const WINDOW_MASK: u64 = PROBED - 1;

/// Longest half-open window, seconds.
const WINDOW_MAX_S: u32 = 30;

/// Cells by slot. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    pages: Arc<Vec<Arc<Page>>>,
}

impl Cells {
    #[inline]
    fn get(&self, slot: u32) -> Option<&AtomicU64> {
        self.pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)
    }

    /// Make room for this slot.
    pub(crate) fn reserve(&mut self, slot: u32) {
        let pages = slot as usize / PAGE + 1;
        if self.pages.len() < pages {
            let page = || Arc::new([const { AtomicU64::new(0) }; PAGE]);
            Arc::make_mut(&mut self.pages).resize_with(pages, page);
        }
    }

    /// Begin anew for another rule. `pending` hits of the one before are still in tallies and will come: they
    /// are taken off beforehand.
    pub(crate) fn reset(&self, slot: u32, pending: u64) {
        if let Some(cell) = self.get(slot) {
            cell.store(pending.wrapping_neg() << HITS_SHIFT, Ordering::Relaxed);
        }
    }

    /// Open the window of a learned rule of this TTL: its last tenth, at most 30 s; none below 10 s. The hits
    /// stay.
    pub(crate) fn set_window(&self, slot: u32, ttl_s: u32) {
        let window_s = u64::from((ttl_s / 10).min(WINDOW_MAX_S));
        if let Some(cell) = self.get(slot) {
            // Readers hand on hits at the same time.
            let renewed = |state| Some(state >> HITS_SHIFT << HITS_SHIFT | window_s);
            let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, renewed);
        }
    }

    /// Whether a learned rule is near its end and its one request was not let through yet.
    pub(crate) fn awaits_probe(&self, slot: u32, expires_at_s: u32, now_s: u32) -> bool {
        let left_s = expires_at_s.saturating_sub(now_s);
        // The cell is a cache miss most often.
        if left_s > WINDOW_MAX_S {
            return false;
        }
        let Some(cell) = self.get(slot) else { return false };
        let state = cell.load(Ordering::Relaxed);
        state & PROBED == 0 && u64::from(left_s) <= state & WINDOW_MASK
    }

    /// Whether this request is the one that is let through near the end of a learned rule. True once for a
    /// window, whatever threads ask.
    pub(crate) fn take_probe(&self, slot: u32, expires_at_s: u32, now_s: u32) -> bool {
        self.awaits_probe(slot, expires_at_s, now_s)
            && self.get(slot).is_some_and(|cell| cell.fetch_or(PROBED, Ordering::Relaxed) & PROBED == 0)
    }

    /// What the cell of this slot is, for whoever will change it: it is in the cache then.
    pub(crate) fn load(&self, slot: u32) -> u64 {
        self.get(slot).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    pub(crate) fn add_hits(&self, slot: u32, hits: u64) {
        if let Some(cell) = self.get(slot) {
            cell.fetch_add(hits << HITS_SHIFT, Ordering::Relaxed);
        }
    }

    /// Hits of the rule in this slot, `pending` ones in tallies among them.
    pub(crate) fn hits(&self, slot: u32, pending: u64) -> u64 {
        let hits = self.get(slot).map_or(0, |cell| cell.load(Ordering::Relaxed) >> HITS_SHIFT);
        let sum = hits.wrapping_add(pending) & HITS_MASK;
        // Hits handed on while the slot changed hands leave a small negative number.
        if sum > HITS_MASK / 2 { 0 } else { sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_let_through_in_the_last_tenth() {
        let mut cells = Cells::default();
        cells.reserve(5000);
        cells.set_window(5000, 100);
        cells.add_hits(5000, 3);
        assert!(
            !cells.awaits_probe(5000, 200, 189) && !cells.take_probe(5000, 200, 189),
            "the window is ten seconds"
        );
        assert!(cells.awaits_probe(5000, 200, 190), "to ask takes nothing");
        assert!(cells.take_probe(5000, 200, 190));
        assert!(
            !cells.awaits_probe(5000, 200, 191) && !cells.take_probe(5000, 200, 191),
            "only one goes through"
        );
        cells.set_window(5000, 100);
        assert!(cells.take_probe(5000, 300, 299), "a renewed rule has a new window");
        assert_eq!(cells.hits(5000, 0), 3);
    }

    #[test]
    fn the_next_rule_of_a_slot_inherits_no_hits() {
        let mut cells = Cells::default();
        cells.reserve(0);
        cells.add_hits(0, 7);
        cells.reset(0, 5);
        assert_eq!(cells.hits(0, 5), 0);
        cells.add_hits(0, 5);
        assert_eq!(cells.hits(0, 0), 0);
        cells.add_hits(0, 2);
        assert_eq!(cells.hits(0, 1), 3);
        assert!(!cells.take_probe(0, 9, 8));
    }

    #[test]
    fn no_hit_is_lost_while_a_rule_is_renewed() {
        let mut cells = Cells::default();
        cells.reserve(0);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (0..200_000).for_each(|_| cells.add_hits(0, 1)));
            while !reader.is_finished() {
                cells.set_window(0, 100);
            }
        });
        assert_eq!(cells.hits(0, 0), 200_000);
    }

    #[test]
    fn short_and_permanent_rules_have_no_window() {
        let mut cells = Cells::default();
        cells.reserve(0);
        assert!(!cells.take_probe(0, 100, 99));
        cells.set_window(0, 9);
        assert!(!cells.take_probe(0, 100, 99));
    }
}
