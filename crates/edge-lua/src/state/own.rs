//! What this worker learns, on its way to the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use edge_filter::Operation;
use edge_journal::LearnedJournal;
use parking_lot::Mutex;

/// The journal that is written to at the moment, for every thread that learns.
///
/// **No acknowledged lesson is lost by a kill**:
/// - A lesson is submitted to the filter, then appended, then the response goes on. So it is in the journal that was
///   current when its thread looked, unless `missed` is set.
/// - A worker serves before its upkeep has had its first turn: its threads begin at the same time, and the one with the
///   upkeep may wait for a processor. The first thread that learns something then makes the first journal itself.
/// - A compaction makes the new journal current, then waits until no thread holds the old one, then waits for the
///   filter to have applied all that was submitted until then, and only then begins to copy the rules in force. A
///   lesson is therefore in the new journal by its own append, or its append to the old one was over before the
///   copying began; then so was its submission, and it is copied.
/// - The old journal is removed when the copy is complete, so at any moment the two together have everything.
/// - A thread that found no journal, or could not append, sets `missed`; a compaction clears it before it waits, so
///   that the lesson is either copied by this compaction or asks for the next one.
#[derive(Default)]
pub(crate) struct OwnJournal {
    current: ArcSwapOption<LearnedJournal>,
    /// Whether there was a journal, or one could not be made: from then on, compactions alone make them.
    is_begun: AtomicBool,
    /// Held while the first journal is made.
    beginning: Mutex<()>,
    missed: AtomicBool,
    failure: Mutex<Option<String>>,
    appended: AtomicU64,
}

impl OwnJournal {
    /// Makes the first journal by `create`, unless there was one. Another thread that does so just now is waited for, as
    /// for its write to the same file. Where it fails, the next turn of the upkeep tries again and says why.
    pub(crate) fn begin(&self, create: impl FnOnce() -> io::Result<LearnedJournal>) {
        if self.is_begun.load(Ordering::Acquire) {
            return;
        }
        let _beginning = self.beginning.lock();
        if !self.is_begun.load(Ordering::Acquire) {
            if let Ok(journal) = create() {
                self.current.store(Some(Arc::new(journal)));
            }
            self.is_begun.store(true, Ordering::Release);
        }
    }

    /// Writes a lesson that was submitted before. Never waits for another thread; whatever goes wrong, the rule stays in
    /// memory and the next compaction writes it. Whether it was written.
    pub(crate) fn append(&self, stamp_us: u64, operation: &Operation) -> bool {
        let current = self.current.load_full();
        let Some(journal) = &current else {
            self.missed.store(true, Ordering::Release);
            return false;
        };
        if let Err(e) = journal.append(stamp_us, operation) {
            self.give_up(journal, format!("cannot write to {}: {e}", journal.name()));
            return false;
        }
        self.appended.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Nothing more is written to this journal: what follows half a record could not be read.
    fn give_up(&self, journal: &Arc<LearnedJournal>, failure: String) {
        self.missed.store(true, Ordering::Release);
        self.current.compare_and_swap(journal, None);
        // Another thread that holds it has something to say too.
        if let Some(mut slot) = self.failure.try_lock() {
            *slot = Some(failure);
        }
    }

    /// The journal in use.
    pub(crate) fn current(&self) -> Option<Arc<LearnedJournal>> {
        self.current.load_full()
    }

    /// Makes another journal the current one; gives the one before.
    pub(crate) fn replace(&self, journal: Option<Arc<LearnedJournal>>) -> Option<Arc<LearnedJournal>> {
        // A thread that makes the first one would put it in the place of this one.
        let _beginning = self.beginning.lock();
        self.is_begun.store(true, Ordering::Release);
        self.current.swap(journal)
    }

    /// Whether something that was learned may be in memory only.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed.load(Ordering::Acquire)
    }

    /// Before the rules in force are copied.
    pub(crate) fn forget_missed(&self) {
        self.missed.swap(false, Ordering::AcqRel);
    }

    /// There is something to be written again.
    pub(crate) fn miss(&self) {
        self.missed.store(true, Ordering::Release);
    }

    /// What the last failed append said, once.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.failure.try_lock()?.take()
    }

    /// Records appended since the process started: lessons, and what lists took over.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }
}
