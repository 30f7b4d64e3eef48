//! The state directory inside HAProxy: rules of the manager and lessons of all workers, read at the start and followed
//! from then on; what this worker learns is written at once.

mod budget;
mod bulk;
mod chain;
mod compaction;
mod desk;
mod health;
mod merge;
mod own;
mod report;
#[cfg(test)]
mod tests;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};
use edge_filter::{Filter, Operation};
use edge_journal::{LearnedJournal, MAX_TAKEN_BACK, Stamps, StateDir, Taken, shortened};
use parking_lot::Mutex;

pub(crate) use budget::Budget;
pub(crate) use report::Report;

use desk::{Desk, Place};
use own::OwnJournal;

/// What an operator sets about the state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateSettings {
    pub(crate) dir: PathBuf,
    /// Length at which a worker's journal is compacted, bytes.
    pub(crate) max_journal_bytes: u64,
}

/// The state of this process. Threads that learn use it without waiting for anybody; all else is done by whoever
/// has the desk.
pub(crate) struct State {
    dir: StateDir,
    stamps: Stamps,
    own: OwnJournal,
    lessons_written: AtomicU64,
    /// What threads took back, for the desk to remember: as many as it keeps. Beyond, the oldest give way as they do
    /// there.
    taken_back: Sender<(Taken, u64)>,
    to_remember: Receiver<(Taken, u64)>,
    desk: Mutex<Desk>,
    revision: AtomicU64,
    report: ArcSwap<Report>,
}

/// A longer lesson that a shorter one replaces.
pub(crate) struct TakesBack(Taken, u64);

/// What a slice of work came to.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// For the log.
    pub(crate) lines: Vec<String>,
    /// Whether work is left that could go on at once.
    pub(crate) is_cut: bool,
}

impl State {
    /// Reads all that the directory holds into the filter. Changes nothing in it: `haproxy -c` comes here too. Whatever
    /// cannot be read is a line for the log, and the rest holds.
    ///
    /// # Errors
    /// The path can be no directory.
    pub(crate) fn load(
        settings: &StateSettings,
        filter: &Filter,
        lists_of_settings: Vec<Arc<str>>,
        now_us: u64,
    ) -> std::io::Result<(Self, Vec<String>)> {
        let (taken_back, to_remember) = crossbeam_channel::unbounded();
        let state = Self {
            dir: StateDir::open(&settings.dir)?,
            stamps: Stamps::default(),
            own: OwnJournal::default(),
            lessons_written: AtomicU64::new(0),
            taken_back,
            to_remember,
            desk: Mutex::new(Desk::new(&settings.dir, settings.max_journal_bytes, lists_of_settings)),
            revision: AtomicU64::new(0),
            report: ArcSwap::default(),
        };
        let lines = state.desk.lock().load(&state.place(filter, now_us));
        Ok((state, lines))
    }

    /// The stamp of a lesson of now.
    pub(crate) fn stamp_us(&self, now_us: u64) -> u64 {
        self.stamps.next(now_us)
    }

    /// What a lesson takes back besides, from the rules before it is submitted.
    pub(crate) fn takes_back(filter: &Filter, operation: &Operation) -> Option<TakesBack> {
        let Operation::Put(rule) = operation else { return None };
        let before = filter.snapshot().rule(&rule.target)?;
        shortened(&before, rule).map(|(taken, stamp_us)| TakesBack(taken, stamp_us))
    }

    /// Writes a lesson that was submitted to the filter, before its response goes on. Never waits for another thread but
    /// for its write to the same file.
    pub(crate) fn learned(&self, stamp_us: u64, operation: &Operation, besides: Option<TakesBack>) {
        if let Some(TakesBack(taken, stamp_us)) = besides {
            self.took_back(taken, stamp_us);
        }
        // Told to the desk first: a compaction that waits for this append then remembers it, and writes it again.
        if let Some(taken) = Taken::of(operation) {
            self.took_back(taken, stamp_us);
        }
        self.own.begin(|| LearnedJournal::create(&self.dir, &compaction::new_name(stamp_us), stamp_us));
        if self.own.append(stamp_us, operation) {
            self.lessons_written.fetch_add(1, Relaxed);
        }
    }

    fn took_back(&self, taken: Taken, stamp_us: u64) {
        while self.to_remember.len() >= MAX_TAKEN_BACK && self.to_remember.try_recv().is_ok() {}
        // The other end is this one's own.
        let _ = self.taken_back.send((taken, stamp_us));
    }

    /// A slice of everything: reads on, writes what has to be. Does nothing while another thread is at it.
    pub(crate) fn turn(&self, filter: &Filter, now_us: u64, budget: Budget) -> Turn {
        let Some(mut desk) = self.desk.try_lock() else { return Turn::default() };
        desk.turn(&self.place(filter, now_us), budget)
    }

    /// Reads on now: how things are then, and whether more is waiting.
    pub(crate) fn sync(&self, filter: &Filter, now_us: u64, budget: Budget) -> (Arc<Report>, bool) {
        let more = match self.desk.try_lock() {
            Some(mut desk) => desk.catch_up(&self.place(filter, now_us), budget),
            None => true,
        };
        (self.report(), more)
    }

    /// Has all learned rules copied into a new journal soon: their ends have changed.
    pub(crate) fn write_anew(&self) {
        self.own.miss();
    }

    /// The manager's revision in force, 0 for none.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Relaxed)
    }

    /// How things are, as of the last turn.
    pub(crate) fn report(&self) -> Arc<Report> {
        self.report.load_full()
    }

    /// Lessons of this worker that were written since the process started.
    pub(crate) fn appended(&self) -> u64 {
        self.lessons_written.load(Relaxed)
    }

    fn place<'a>(&'a self, filter: &'a Filter, now_us: u64) -> Place<'a> {
        Place { state: self, filter, now_us }
    }
}
