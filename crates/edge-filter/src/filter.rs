//! The filter: rules that many threads read and any thread may change, without one waiting for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;

use crate::hand_off::work_off;
use crate::rules::{Context, Rules};
use crate::tally::{Table, Tally};
use crate::{ChangeCounts, Kind, Operation, Reader, Rule, Settings, Snapshot, VerdictCounts};

/// Operations that may wait for whoever is applying: one for each thread that HAProxy can have by default
/// (`MAX_THREADS`). Applying them all takes 2 ms at worst.
pub(crate) const QUEUE: usize = 64;

/// Operations that one call applies, so that no thread works for all the others without end. As many as may
/// wait: whoever gets the lock applies its own too, which is among them.
const APPLIED_AT_ONCE: usize = QUEUE;

/// Pieces of old snapshots that a publication frees for each change in it: about as many as a small one replaces. The
/// rest of larger ones is left to the upkeep, for a request may be waiting for this.
const FREED_PER_CHANGE: usize = 10;

/// However many changes there were.
const FREED_AT_ONCE: usize = 128;

/// The rules, their published snapshot and their counts.
///
/// Readers take the snapshot without a lock. Writers put operations in a bounded queue; whoever gets the
/// writer's lock without waiting applies them, all others go on with their work.
#[derive(Debug)]
pub struct Filter {
    settings: Settings,
    published: ArcSwap<Snapshot>,
    sender: Sender<Operation>,
    receiver: Receiver<Operation>,
    pub(crate) rules: Mutex<Rules>,
    tallies: ArcSwap<Vec<Arc<Tally>>>,
    changes: [AtomicU64; 3],
    queue_full: AtomicU64,
}

/// The queue of operations is full: nothing was changed. Try again after an upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{QUEUE} changes are waiting already")]
pub struct QueueFull;

/// What the filter has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of lookups of addresses.
    pub address: VerdictCounts,
    /// Of lookups of resources.
    pub resource: VerdictCounts,
    /// Requests let through near the end of a learned rule.
    pub half_open: u64,
    /// What happened to rules besides what was asked for.
    pub changes: ChangeCounts,
    /// Operations turned away because the queue was full.
    pub queue_full: u64,
}

impl Filter {
    /// A filter without rules.
    pub fn new(settings: Settings) -> Self {
        Self::with_hash_keys(settings, &RandomState::new())
    }

    /// A filter without rules whose hashes are known: for counts that have to be the same in every run. Attackers who
    /// knew them could aim at one bucket.
    #[doc(hidden)]
    pub fn with_hash_keys(settings: Settings, keys: &RandomState) -> Self {
        let mut rules = Rules::new(keys);
        let (sender, receiver) = crossbeam_channel::bounded(QUEUE);
        Self {
            settings,
            published: ArcSwap::new(rules.publish()),
            sender,
            receiver,
            rules: Mutex::new(rules),
            tallies: ArcSwap::default(),
            changes: Default::default(),
            queue_full: AtomicU64::new(0),
        }
    }

    /// The caps and defaults that it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The snapshot published last.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Lookups for one thread. Each reader adds some 8 KiB of counters that stay with the filter, so make
    /// one for each thread, not one for each request.
    pub fn reader(&self) -> Reader<'_> {
        let tally = Arc::new(Tally::new());
        self.tallies.rcu(|tallies| {
            let mut with = Vec::clone(tallies);
            with.push(tally.clone());
            with
        });
        Reader::new(self, &self.published, tally)
    }

    /// Hand an operation over; a small one, for it may be applied by a thread that has requests to serve: bulk changes
    /// go through [`Filter::edit`]. It is in force when this returns, unless another thread is applying operations
    /// at this moment: then that thread applies this one too, or, where it has applied 64 already, the next
    /// submission or upkeep does. Never waits.
    ///
    /// # Errors
    /// The queue is full; nothing was changed.
    pub fn submit(&self, operation: Operation, now_s: u32) -> Result<(), QueueFull> {
        let mut handed_over = self.sender.try_send(operation);
        if let Err(TrySendError::Full(operation)) = handed_over {
            self.apply_waiting(now_s);
            handed_over = self.sender.try_send(operation);
        }
        if handed_over.is_err() {
            self.queue_full.fetch_add(1, Ordering::Relaxed);
            return Err(QueueFull);
        }
        self.apply_waiting(now_s);
        Ok(())
    }

    /// Apply what waits; then remove rules whose end has come, and free pieces of what no reader holds any more, at
    /// most `max` together, each a few microseconds at most. Answers how many: with fewer than `max` nothing is
    /// left for now. Never waits; call it about ten times a second, from any thread.
    pub fn upkeep(&self, now_s: u32, max: usize) -> usize {
        self.apply_waiting(now_s);
        let mut done = 0;
        if let Some(mut rules) = self.rules.try_lock() {
            done = rules.sweep(max, self.context(now_s, &|slot| self.pending_hits(slot)));
            if done > 0 {
                self.publish(&mut rules, done);
            }
            done += rules.free_retired(max - done);
        }
        self.apply_waiting(now_s);
        done
    }

    fn context<'a>(&'a self, now_s: u32, pending: &'a dyn Fn(u32) -> u64) -> Context<'a> {
        Context { now_s, settings: &self.settings, pending, is_draft: false }
    }

    /// Whether a change was submitted and not applied yet.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.receiver.is_empty()
    }

    /// For whoever has the writer's lock.
    pub(crate) fn next_waiting(&self) -> Option<Operation> {
        self.receiver.try_recv().ok()
    }

    pub(crate) fn apply_waiting(&self, now_s: u32) {
        let apply = |most| {
            let mut rules = self.rules.try_lock()?;
            let mut applied = 0;
            for operation in self.receiver.try_iter().take(most) {
                rules.apply(operation, self.context(now_s, &|slot| self.pending_hits(slot)));
                applied += 1;
            }
            if applied > 0 {
                self.publish(&mut rules, applied);
            }
            Some(applied)
        };
        work_off(APPLIED_AT_ONCE, || self.has_waiting(), apply);
    }

    /// Show readers what so many changes have made of the rules.
    pub(crate) fn publish(&self, rules: &mut Rules, changes: usize) {
        let old = self.published.swap(rules.publish());
        rules.retire(old);
        rules.free_retired(changes.saturating_mul(FREED_PER_CHANGE).min(FREED_AT_ONCE));
        self.show_counts(rules);
    }

    /// Let others see what was counted so far.
    pub(crate) fn show_counts(&self, rules: &Rules) {
        let ChangeCounts { evicted, expired, refused } = rules.counts();
        for (counter, count) in self.changes.iter().zip([evicted, expired, refused]) {
            counter.store(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn pending_hits(&self, slot: u32) -> u64 {
        self.tallies.load().iter().map(|tally| tally.gathered_hits(slot)).sum()
    }

    pub(crate) fn hits(&self, snapshot: &Snapshot, slot: u32) -> u64 {
        snapshot.cells.hits(slot, self.pending_hits(slot))
    }

    /// What was counted so far; each number is exact, together they may be some lookups apart.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for tally in self.tallies.load().iter() {
            tally.add_to(Table::Address, &mut counters.address);
            tally.add_to(Table::Resource, &mut counters.resource);
            counters.half_open += tally.half_open();
        }
        let [evicted, expired, refused] = &self.changes;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        counters.changes =
            ChangeCounts { evicted: read(evicted), expired: read(expired), refused: read(refused) };
        counters.queue_full = read(&self.queue_full);
        counters
    }

    /// All rules of one kind as they are now, with their hits, in no promised order. The walk shares the
    /// snapshot, so it can be kept and continued in slices of work; hits are those of the moment.
    pub fn rules(&self, kind: Kind) -> impl Iterator<Item = (Rule, u64)> + Send + use<'_> {
        let snapshot = self.snapshot();
        snapshot.clone().rules(kind).map(move |(slot, rule)| (rule, self.hits(&snapshot, slot)))
    }
}

#[cfg(test)]
mod tests;
