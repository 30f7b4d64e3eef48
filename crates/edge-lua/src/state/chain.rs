//! The rules of the manager: its snapshot, and the chain of journals after it.

mod broken;
mod snapshot;

use std::sync::Arc;

use edge_filter::Operation;
use edge_journal::{Digest, FileName, Head, Identity, Mark, Next, ReadError, Record, Records, StateDir};

use super::budget::Budget;
use super::bulk::{Bulk, PIECE_RULES};
use super::health::{Health, Part};
use super::merge::Merge;
use broken::{Broken, is_damage};

/// Operations of a batch that are applied in one piece; larger ones are drafted in slices.
const APPLIED_AT_ONCE: usize = 64;

/// What is in force of the manager's rules, and where it is read on.
#[derive(Default)]
pub(crate) struct Chain {
    revision: u64,
    /// Of the last change in force, or of the file that begins there. In one chain, what has a later revision has a
    /// later stamp: so another chain is told by its stamps, where a manager begins anew and revisions go back.
    stamp_us: u64,
    /// Rules and changes of the manager that came to that, and what they were: as [`Mark`] has them. No digest where that is not
    /// known: the snapshot was not read to its end, or an earlier version wrote it.
    taken: u64,
    digest: Option<Digest>,
    journal: Option<Records>,
    work: Option<Work>,
    broken: Option<Broken>,
    /// It is to look for files that appeared, or are gone. Kept until that is done: a slice may be over before.
    looks: bool,
    /// The snapshot could not be read at the start, or not all of it: any other one is better.
    is_incomplete: bool,
    /// The snapshot that was found bad.
    bad_snapshot: Option<Identity>,
    /// The draft has a part of a snapshot: only a whole one may publish it, nothing else is followed before that.
    is_half_drafted: bool,
    /// Lists that come from files of settings: no snapshot replaces them.
    lists_of_settings: Vec<Arc<str>>,
}

/// A change that takes more than one slice.
enum Work {
    /// The rest of a batch.
    Batch(std::vec::IntoIter<Operation>, Change),
    /// All rules of a list.
    List(Bulk, Change, Arc<str>),
    /// All rules of the manager.
    Snapshot(Bulk, Head),
}

/// The revision that a change makes.
#[derive(Clone, Copy)]
struct Change {
    revision: u64,
    stamp_us: u64,
    /// Of its record.
    fingerprint: u64,
    /// How many changes of rules it is.
    changes: u64,
}

/// What the chain is followed with.
pub(crate) struct Way<'a, 'f> {
    pub(crate) dir: &'a StateDir,
    pub(crate) merge: &'a mut Merge<'f>,
    pub(crate) health: &'a mut Health,
    pub(crate) budget: Budget,
}

impl Chain {
    pub(crate) fn new(lists_of_settings: Vec<Arc<str>>) -> Self {
        Self { lists_of_settings, ..Self::default() }
    }

    /// The revision of the manager's rules that is in force once the edit has ended.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Where the chain stands, as far as it is known.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let (revision, taken) = (self.revision, self.taken);
        self.digest.map(|digest| Mark { revision, taken, digest })
    }

    /// Rules and changes of the manager that were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether it does not go on before the manager has mended its files.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether rules of that revision are missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// The file that is read at the moment.
    pub(crate) fn file(&self) -> Option<&FileName> {
        self.journal.as_ref().map(Records::file)
    }

    /// It is to look for files that appeared, or are gone, as soon as it comes to that.
    pub(crate) fn look(&mut self) {
        self.looks = true;
    }

    /// Reads on; whether the work has to go on.
    pub(crate) fn follow(&mut self, way: &mut Way<'_, '_>) -> bool {
        if self.looks && self.work.is_none() && (self.broken.is_some() || self.is_incomplete) {
            self.mend(way);
            self.looks = self.broken.is_none();
        }
        // However little time there is, something is done: a machine that is always late must not stand still.
        loop {
            if self.work.is_some() {
                if !self.work_on(way) {
                    return true;
                }
            } else if self.broken.is_some() {
                return false;
            } else if self.journal.is_none() {
                if !std::mem::take(&mut self.looks) || !self.open_journal(way) {
                    return false;
                }
            } else if !self.read(way) {
                return false;
            }
            if way.merge.is_due(way.budget) {
                return true;
            }
        }
    }

    /// The next record; whether there was one.
    fn read(&mut self, way: &mut Way<'_, '_>) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        match journal.next() {
            Ok(Next::Record(Record::Head(head))) => {
                let fingerprint = journal.fingerprint();
                return self.begins(&head, fingerprint, way);
            }
            Ok(Next::Record(
                Record::Change { revision, stamp_us, .. } | Record::Replace { revision, stamp_us, .. },
            )) if revision <= self.revision && stamp_us > self.stamp_us => {
                let file = journal.file().clone();
                let problem = format!("{file}: has another revision {revision} than the one in force");
                self.breaks(file, None, problem, way);
                let has_begun = self.begin_anew(way);
                if has_begun {
                    self.try_again();
                }
                return has_begun;
            }
            Ok(Next::Record(Record::Change { revision, stamp_us, operation }))
                if revision > self.revision =>
            {
                let (fingerprint, changes) = (journal.fingerprint(), Mark::changes(&operation));
                let change = Change { revision, stamp_us, fingerprint, changes };
                match operation {
                    Operation::Batch(operations) if operations.len() > APPLIED_AT_ONCE => {
                        self.work = Some(Work::Batch(operations.into_iter(), change));
                    }
                    operation => {
                        way.merge.change(stamp_us, operation, false);
                        self.done(change, way);
                    }
                }
            }
            Ok(Next::Record(Record::Replace { revision, stamp_us, list })) if revision > self.revision => {
                let fingerprint = journal.fingerprint();
                self.open_list(list, Change { revision, stamp_us, fingerprint, changes: 1 }, way);
            }
            Ok(Next::Record(Record::Next { .. })) => {
                self.journal = None;
                // There at once: it was made before this record was written.
                self.looks = true;
            }
            Ok(Next::Record(_)) => {}
            Ok(Next::End { .. }) => {
                self.mended(way);
                if !std::mem::take(&mut self.looks) {
                    return false;
                }
                return self.is_intact(way);
            }
            Err(e) => {
                let file = journal.file().clone();
                self.breaks(file, None, e.to_string(), way);
                return false;
            }
        }
        true
    }

    /// The head of a journal; whether it is that of its name.
    fn begins(&mut self, head: &Head, fingerprint: u64, way: &mut Way<'_, '_>) -> bool {
        let Some(file) = self.file().filter(|file| **file != FileName::Journal(head.revision)) else {
            if head.revision == self.revision {
                self.stamp_us = self.stamp_us.max(head.stamp_us);
                // Behind a snapshot that was not read to its end, the journal does not tell what the worker has.
                if head.revision == 0 && !self.is_incomplete {
                    let first = Mark::first(fingerprint);
                    (self.taken, self.digest) = (first.taken, Some(first.digest));
                }
            }
            return true;
        };
        let (file, revision) = (file.clone(), head.revision);
        self.breaks(file.clone(), None, format!("{file}: begins at revision {revision}"), way);
        false
    }

    fn open_journal(&mut self, way: &mut Way<'_, '_>) -> bool {
        let file = FileName::Journal(self.revision);
        match Records::open(way.dir, &file) {
            Ok(journal) => {
                self.journal = Some(journal);
                true
            }
            // Without a manager there is neither.
            Err(ReadError::NotFound { .. }) if self.revision == 0 => self.begin_snapshot(way),
            Err(e) => {
                self.breaks(file, None, e.to_string(), way);
                false
            }
        }
    }

    fn open_list(&mut self, list: Arc<str>, change: Change, way: &mut Way<'_, '_>) {
        let file = FileName::List(change.revision);
        match Records::open(way.dir, &file) {
            Ok(records) => {
                let bulk = Bulk::of_list(records, list.clone(), change.stamp_us);
                self.work = Some(Work::List(bulk, change, list));
            }
            Err(e) => self.breaks(file, Some((list, change)), e.to_string(), way),
        }
    }

    /// A slice of a change that takes several; whether it is over.
    fn work_on(&mut self, way: &mut Way<'_, '_>) -> bool {
        let Some(mut work) = self.work.take() else { return true };
        let ended = match &mut work {
            Work::Batch(operations, change) => loop {
                for operation in operations.by_ref().take(PIECE_RULES) {
                    way.merge.change(change.stamp_us, operation, true);
                }
                if operations.as_slice().is_empty() {
                    way.merge.edit.publish_draft();
                    break Ok(true);
                }
                if way.merge.is_due(way.budget) {
                    break Ok(false);
                }
            },
            Work::List(bulk, ..) | Work::Snapshot(bulk, _) => bulk.work(way.merge, way.budget),
        };
        match (ended, work) {
            (Ok(false), work) => {
                self.work = Some(work);
                return false;
            }
            (Ok(true), Work::Batch(_, change) | Work::List(_, change, _)) => self.done(change, way),
            (Ok(true), Work::Snapshot(bulk, head)) => self.has_taken(&bulk, &head, way),
            (Err(e), Work::List(_, change, list)) => {
                self.breaks(FileName::List(change.revision), Some((list, change)), e.to_string(), way);
                if !is_damage(&e) {
                    self.try_again();
                }
            }
            (Err(e), Work::Snapshot(bulk, _)) => {
                self.bad_snapshot = bulk.identity().filter(|_| is_damage(&e));
                if bulk.has_drafted() {
                    self.is_half_drafted = true;
                    self.breaks(FileName::Snapshot, None, e.to_string(), way);
                } else {
                    let revision = self.revision;
                    way.health
                        .fails(Part::Rules, format!("{e}; the rules stay those of revision {revision}"));
                }
            }
            (Err(_), Work::Batch(..)) => {}
        }
        true
    }

    fn done(&mut self, change: Change, way: &mut Way<'_, '_>) {
        let after = self.mark().map(|mark| mark.next(change.fingerprint, change.changes));
        self.taken = self.taken.saturating_add(change.changes);
        self.digest = after.map(|mark| mark.digest);
        (self.revision, self.stamp_us) = (change.revision, change.stamp_us);
        way.merge.stamps.seen(change.stamp_us);
        self.mended(way);
    }
}
