//! Copies what this worker knows of lessons into a new journal of its own, in slices. So a journal is begun, kept short,
//! made complete after a failure of the disk, and made the heir of workers that died.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::vec;

use crossbeam_channel::Receiver;
use edge_filter::{Filter, Operation, Origin, Rule};
use edge_journal::{FileName, LearnedJournal, Lessons, Stamps, StateDir, Taken, remove_learned};
use serde::Serialize;

use super::budget::Budget;
use super::health::{Health, Part};
use super::merge::Merge;
use super::own::OwnJournal;
use super::workers::Workers;

/// Between two tries, and between two inheritances, microseconds.
const PAUSE_US: u64 = 1_000_000;

/// Journals whose copies failed that are kept, since lessons went to them: a disk that fails every second time would make
/// one a second.
const MAX_REPLACED: usize = 64;

/// Records that are copied between two looks at the time: some hundredths of a millisecond.
const PIECE_RECORDS: usize = 16;

/// Journals that this process has begun.
static MADE: AtomicU64 = AtomicU64::new(1);

/// The name of another journal of this process.
pub(crate) fn new_name(now_us: u64) -> String {
    // No two processes have the same number at the same time, where they see each other's.
    format!("{now_us}-{}-{}", std::process::id(), MADE.fetch_add(1, Relaxed))
}

/// Writes the journals of this worker.
pub(crate) struct Compactor {
    /// Length at which a journal is compacted, bytes, where it is more than twice what a copy needs.
    max_journal_bytes: u64,
    running: Option<Compaction>,
    /// Journals of this worker that the next complete copy replaces: the one before, and one whose copy failed half
    /// way while lessons went to it.
    replaced: Vec<Arc<LearnedJournal>>,
    ended_us: u64,
    last: Option<Copied>,
}

/// A finished copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Copied {
    pub(crate) at_s: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

struct Compaction {
    into: Arc<LearnedJournal>,
    /// What it replaces besides this worker's own.
    inherits: Vec<FileName>,
    /// Records that were appended before it began.
    appended: u64,
    copying: Option<Copying>,
    records: u64,
}

/// How far a copy has come.
enum Progress {
    Done,
    /// The time is over.
    Cut,
    /// For a thread that is writing: the disk may keep it long, so this is for a later turn, not for the next moment.
    Waits,
}

struct Copying {
    taken_back: vec::IntoIter<(u64, Arc<Taken>)>,
    rules: Box<dyn Iterator<Item = Option<Rule>> + Send>,
}

/// What a compaction works with.
pub(crate) struct Site<'a> {
    pub(crate) dir: &'a StateDir,
    pub(crate) own: &'a OwnJournal,
    pub(crate) filter: &'a Filter,
    pub(crate) lessons: &'a mut Lessons,
    pub(crate) to_remember: &'a Receiver<(Taken, u64)>,
    pub(crate) workers: &'a mut Workers,
    pub(crate) health: &'a mut Health,
    pub(crate) now_us: u64,
    pub(crate) stamps: &'a Stamps,
}

impl Compactor {
    pub(crate) fn new(max_journal_bytes: u64) -> Self {
        Self { max_journal_bytes, running: None, replaced: Vec::new(), ended_us: 0, last: None }
    }

    /// The copy that was finished last.
    pub(crate) fn last(&self) -> Option<&Copied> {
        self.last.as_ref()
    }

    /// Whether this is a journal of this worker.
    pub(crate) fn owns(&self, name: &FileName) -> bool {
        let running = self.running.iter().map(|compaction| &compaction.into);
        running.chain(&self.replaced).any(|journal| journal.name() == name)
    }

    /// Works on until the budget is spent, for one piece at least; whether the work has to go on.
    pub(crate) fn work(&mut self, site: &mut Site<'_>, budget: Budget) -> bool {
        if let Some(failure) = site.own.take_failure() {
            self.fail(site, failure);
        }
        if self.running.is_none() && !(self.is_due(site) && self.begin(site)) {
            return false;
        }
        match self.copy(site, budget) {
            Ok(Progress::Done) => {
                self.finish(site);
                false
            }
            Ok(Progress::Cut) => true,
            Ok(Progress::Waits) => false,
            Err(failure) => {
                self.fail(site, failure);
                false
            }
        }
    }

    fn is_due(&self, site: &Site<'_>) -> bool {
        if site.health.is_failing(&Part::OwnJournal) && !self.has_paused(site) {
            return false;
        }
        let Some(current) = site.own.current() else { return true };
        // A copy that needs more than the limit would be due again at once.
        let needed = self.last.as_ref().map_or(0, |last| last.bytes * 2);
        site.own.has_missed()
            || current.len() > self.max_journal_bytes.max(needed)
            || self.has_paused(site) && !site.workers.inheritance().is_empty()
    }

    fn has_paused(&self, site: &Site<'_>) -> bool {
        site.now_us.abs_diff(self.ended_us) >= PAUSE_US
    }

    fn begin(&mut self, site: &mut Site<'_>) -> bool {
        let appended = site.own.appended();
        let worker = new_name(site.now_us);
        match LearnedJournal::create(site.dir, &worker, site.stamps.next(site.now_us)) {
            Ok(journal) => {
                let into = Arc::new(journal);
                self.replaced.extend(site.own.replace(Some(into.clone())));
                site.own.forget_missed();
                let inherits = site.workers.inheritance();
                self.running = Some(Compaction { into, inherits, appended, copying: None, records: 0 });
                true
            }
            Err(e) => {
                let failure = format!("cannot make learned/{worker}.journal: {e}");
                match site.own.current() {
                    // As good as before.
                    Some(current) => {
                        self.ended_us = site.now_us;
                        let name = current.name();
                        site.health.fails(Part::OwnJournal, format!("{failure}; {name} is written to still"));
                    }
                    None => self.fail(site, failure),
                }
                false
            }
        }
    }

    fn copy(&mut self, site: &mut Site<'_>, budget: Budget) -> Result<Progress, String> {
        let Some(running) = &mut self.running else { return Ok(Progress::Done) };
        let copying = match &mut running.copying {
            Some(copying) => copying,
            none => {
                // See `OwnJournal`: threads that hold an old journal have submitted what they write to it.
                if !self.replaced.iter_mut().all(|journal| Arc::get_mut(journal).is_some()) {
                    return Ok(Progress::Waits);
                }
                let now_s = u32::try_from(site.now_us / 1_000_000).unwrap_or(u32::MAX);
                let Some(mut edit) = site.filter.edit(now_s) else { return Ok(Progress::Waits) };
                // What was submitted may wait for another thread still; and what they took back, to be remembered.
                edit.settle();
                let (max_ttl_s, now_us) = (site.filter.settings().max_ttl_s, site.now_us);
                let (lessons, own, stamps) = (&mut *site.lessons, site.own, site.stamps);
                let mut merge = Merge { edit, lessons, own, stamps, max_ttl_s, now_us };
                if !merge.remember(site.to_remember, budget) {
                    return Ok(Progress::Cut);
                }
                none.insert(Copying {
                    // A lesson may be in the draft alone: readers still see what keeps it from them.
                    rules: Box::new(merge.edit.learned()),
                    taken_back: merge.lessons.over().into_iter(),
                })
            }
        };
        let mut append = |stamp_us: u64, operation: &Operation| {
            running.records += 1;
            let name = running.into.name();
            running.into.append(stamp_us, operation).map_err(|e| format!("cannot write to {name}: {e}"))
        };
        for number in 1.. {
            if number % PIECE_RECORDS == 0 && budget.is_spent() {
                break;
            }
            if let Some((stamp_us, taken)) = copying.taken_back.next() {
                append(stamp_us, &taken.operation())?;
                continue;
            }
            match copying.rules.next() {
                Some(Some(rule)) => {
                    if let Origin::Learned(from) = &rule.origin {
                        append(from.learned_at_us, &Operation::Put(rule))?;
                    }
                }
                Some(None) => {}
                None => return Ok(Progress::Done),
            }
        }
        Ok(Progress::Cut)
    }

    fn finish(&mut self, site: &mut Site<'_>) {
        let Some(running) = self.running.take() else { return };
        if !site.own.current().is_some_and(|current| Arc::ptr_eq(&current, &running.into)) {
            // A thread could not write a lesson to it: the failure it left says why.
            self.running = Some(running);
            let failure =
                site.own.take_failure().unwrap_or_else(|| "a lesson could not be written".to_owned());
            return self.fail(site, failure);
        }
        self.ended_us = site.now_us;
        let Compaction { into, inherits, records, .. } = running;
        self.last = Some(Copied { at_s: site.now_us / 1_000_000, records, bytes: into.len() });
        for journal in std::mem::take(&mut self.replaced) {
            let name = journal.name().clone();
            // What another thread still holds is removed when it is found without a lock, like those of the dead.
            drop(journal);
            let _ = remove_learned(site.dir, &name);
        }
        site.workers.inherited(&inherits);
        site.workers.remove_inherited(site.dir, site.health);
        site.health.works(&Part::OwnJournal, || {
            let were = if records == 1 { "record was" } else { "records were" };
            format!("what is learned is written again; {records} {were} copied from memory")
        });
    }

    /// Nothing can be written: a new journal is tried after a pause.
    pub(crate) fn fail(&mut self, site: &mut Site<'_>, failure: String) {
        site.own.miss();
        self.ended_us = site.now_us;
        let current = site.own.replace(None);
        let unfinished = self.running.take();
        if let Some(Compaction { into, appended, .. }) = unfinished {
            drop(current);
            // What no other thread holds any more was counted.
            let is_needed = Arc::strong_count(&into) > 1 || site.own.appended() > appended;
            if is_needed && self.replaced.len() < MAX_REPLACED {
                self.replaced.push(into);
            } else {
                // Copies of what is in the journals before.
                let name = into.name().clone();
                drop(into);
                let _ = remove_learned(site.dir, &name);
            }
        } else {
            self.replaced.extend(current);
        }
        // The directory may be another by now.
        let _ = site.dir.reopen();
        site.health.fails(Part::OwnJournal, format!("what is learned is in memory only: {failure}"));
    }
}
