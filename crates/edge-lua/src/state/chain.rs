//! The rules of the manager: its snapshot, and the chain of journals after it.

use std::sync::Arc;

use edge_filter::Operation;
use edge_journal::{FileName, Head, Identity, Next, ReadError, Record, Records, StateDir};

use super::budget::Budget;
use super::bulk::Bulk;
use super::health::{Health, Part};
use super::merge::Merge;

/// Operations of a batch that are applied in one piece; larger ones are drafted in slices.
const APPLIED_AT_ONCE: usize = 64;

/// What is in force of the manager's rules, and where it is read on.
#[derive(Default)]
pub(crate) struct Chain {
    revision: u64,
    journal: Option<Records>,
    work: Option<Work>,
    broken: Option<Broken>,
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
    stamp_ms: u64,
}

/// The next change cannot be had, until this file is another or longer, or there is a later snapshot.
struct Broken {
    file: FileName,
    seen: Option<(Identity, u64)>,
    /// The change, where the file is that of a list.
    list: Option<(Arc<str>, Change)>,
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

    /// Whether rules of that revision are missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// The file that is read at the moment.
    pub(crate) fn file(&self) -> Option<&FileName> {
        self.journal.as_ref().map(Records::file)
    }

    /// Takes the snapshot in, at the start: what can be read of it, since there are no other rules to keep.
    pub(crate) fn load_snapshot(&mut self, way: &mut Way<'_, '_>) {
        let Some((records, head)) = self.open_snapshot(way, true) else { return };
        self.revision = head.revision;
        way.merge.lessons.are_settled_until(head.learned_until_ms, way.merge.stamps);
        let mut bulk = Bulk::at_the_start(records, &head);
        if let Err(e) = bulk.work(way.merge, Budget::UNLIMITED) {
            self.bad_snapshot = bulk.identity();
            self.is_incomplete = true;
            way.health.fails(Part::Rules, format!("{e}; what comes before it holds"));
            way.merge.edit.publish_draft();
        }
    }

    /// Reads on; whether the work has to go on. With `look` it also looks for files that appeared, or are gone.
    pub(crate) fn follow(&mut self, way: &mut Way<'_, '_>, mut look: bool) -> bool {
        if look && self.work.is_none() && (self.broken.is_some() || self.is_incomplete) {
            self.mend(way);
        }
        loop {
            if way.merge.is_due(way.budget) {
                return true;
            }
            if self.work.is_some() {
                if !self.work_on(way) {
                    return true;
                }
            } else if self.broken.is_some() {
                return false;
            } else if self.journal.is_none() {
                if !std::mem::take(&mut look) || !self.open_journal(way) {
                    return false;
                }
            } else if !self.read(way, &mut look) {
                return false;
            }
        }
    }

    /// The next record; whether there was one.
    fn read(&mut self, way: &mut Way<'_, '_>, look: &mut bool) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        match journal.next() {
            Ok(Next::Record(Record::Change { revision, stamp_ms, operation }))
                if revision > self.revision =>
            {
                let change = Change { revision, stamp_ms };
                match operation {
                    Operation::Batch(operations) if operations.len() > APPLIED_AT_ONCE => {
                        self.work = Some(Work::Batch(operations.into_iter(), change));
                    }
                    operation => {
                        way.merge.change(stamp_ms, operation, false);
                        self.done(change, way);
                    }
                }
            }
            Ok(Next::Record(Record::Replace { revision, stamp_ms, list })) if revision > self.revision => {
                self.open_list(list, Change { revision, stamp_ms }, way);
            }
            Ok(Next::Record(Record::Next { .. })) => {
                self.journal = None;
                // There at once: it was made before this record was written.
                *look = true;
            }
            Ok(Next::Record(_)) => {}
            Ok(Next::End { .. }) => {
                self.mended(way);
                if !std::mem::take(look) {
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

    /// Whether the journal that was read to its end is still the one of its name, and no shorter than before. Its
    /// last record, which names the next one, may have come just before it was removed.
    fn is_intact(&mut self, way: &mut Way<'_, '_>) -> bool {
        let Some(journal) = &self.journal else { return true };
        let file = journal.file().clone();
        let offset = journal.offset();
        let problem = match (way.dir.identity(&file), journal.identity()) {
            (Ok(Some(found)), Ok(ours)) if found == ours => {
                (journal.len_now().unwrap_or(0) < offset).then_some("was cut")
            }
            (Ok(Some(_)), _) => Some("was replaced"),
            (Ok(None), _) => Some("was removed"),
            // The directory is gone, or may not be read: told by others.
            (Err(_), _) => None,
        };
        let Some(problem) = problem else { return true };
        self.breaks(file.clone(), None, format!("{file}: {problem} while it was read"), way);
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
                let bulk = Bulk::of_list(records, list.clone(), change.stamp_ms);
                self.work = Some(Work::List(bulk, change, list));
            }
            Err(e) => self.breaks(file, Some((list, change)), e.to_string(), way),
        }
    }

    /// The snapshot, unless it was found bad, and its head. At the start a line says why it cannot be read.
    fn open_snapshot(&mut self, way: &mut Way<'_, '_>, is_start: bool) -> Option<(Records, Head)> {
        let opened = Records::open(way.dir, &FileName::Snapshot).and_then(|mut records| {
            let is_bad = self.bad_snapshot.is_some() && records.identity().ok() == self.bad_snapshot;
            let head = match records.next() {
                _ if is_bad => None,
                Ok(Next::Record(Record::Head(head))) => Some(head),
                Ok(_) => None,
                Err(e) => {
                    self.bad_snapshot = records.identity().ok().filter(|_| is_damage(&e));
                    return Err(e);
                }
            };
            records.rewind();
            Ok(head.map(|head| (records, head)))
        });
        match opened {
            Ok(snapshot) => snapshot,
            Err(ReadError::NotFound { .. }) => {
                // Whatever was in its place is gone, and was never in force.
                if self.revision == 0 && (is_start || self.is_incomplete) {
                    self.is_incomplete = has_lost_its_beginning(way.dir);
                    if self.is_incomplete {
                        let problem = "rules.snapshot: not found, nor rules.journal.0, though what came after \
                                       them is there: rules of the manager are missing";
                        way.health.fails(Part::Rules, problem.to_owned());
                    }
                }
                None
            }
            Err(e) => {
                if is_start {
                    self.is_incomplete = true;
                    way.health.fails(Part::Rules, format!("{e}; it is passed over"));
                }
                None
            }
        }
    }

    /// Begins with the snapshot, if it is a later one.
    fn begin_snapshot(&mut self, way: &mut Way<'_, '_>) -> bool {
        let Some((records, head)) = self.open_snapshot(way, false) else { return false };
        if head.revision <= self.revision && !self.is_incomplete {
            return false;
        }
        let bulk = Bulk::of_snapshot(records, &head, self.lists_of_settings.clone());
        self.work = Some(Work::Snapshot(bulk, head));
        true
    }

    /// Tries again what did not work, if something has changed since.
    fn mend(&mut self, way: &mut Way<'_, '_>) {
        if self.begin_snapshot(way) || self.is_half_drafted {
            return;
        }
        self.mended(way);
        let Some(Broken { file, seen: before, list }) = &self.broken else { return };
        // A manager that found the same journal damaged has begun another one.
        let next = FileName::Journal(self.revision);
        let file =
            if list.is_none() && *file != next && seen(way.dir, &next).is_some() { &next } else { file };
        let now = seen(way.dir, file);
        if now.is_none() || now == *before {
            return;
        }
        let (file, list) = (file.clone(), list.clone());
        self.broken = None;
        match list {
            Some((list, change)) => self.open_list(list, change, way),
            // What was read of it before is passed over.
            None => match Records::open(way.dir, &file) {
                Ok(journal) => self.journal = Some(journal),
                Err(e) => self.breaks(file, None, e.to_string(), way),
            },
        }
    }

    /// A slice of a change that takes several; whether it is over.
    fn work_on(&mut self, way: &mut Way<'_, '_>) -> bool {
        let Some(mut work) = self.work.take() else { return true };
        let ended = match &mut work {
            Work::Batch(operations, change) => loop {
                if way.merge.is_due(way.budget) {
                    break Ok(false);
                }
                match operations.next() {
                    Some(operation) => way.merge.change(change.stamp_ms, operation, true),
                    None => {
                        way.merge.edit.publish_draft();
                        break Ok(true);
                    }
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
            (Ok(true), Work::Snapshot(_, head)) => {
                self.revision = head.revision;
                (self.journal, self.broken, self.bad_snapshot) = (None, None, None);
                (self.is_incomplete, self.is_half_drafted) = (false, false);
                self.open_journal(way);
                self.mended(way);
            }
            (Err(e), Work::List(_, change, list)) => {
                self.breaks(FileName::List(change.revision), Some((list, change)), e.to_string(), way);
                if let Some(broken) = self.broken.as_mut().filter(|_| !is_damage(&e)) {
                    // The same file may be read another time.
                    broken.seen = None;
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
        self.revision = change.revision;
        way.merge.stamps.seen(change.stamp_ms);
        self.mended(way);
    }

    fn breaks(
        &mut self,
        file: FileName,
        list: Option<(Arc<str>, Change)>,
        problem: String,
        way: &mut Way<'_, '_>,
    ) {
        let revision = self.revision;
        way.health.fails(Part::Rules, format!("{problem}; the rules stay those of revision {revision}"));
        if list.is_none() {
            self.journal = None;
        }
        let seen = seen(way.dir, &file);
        self.broken = Some(Broken { file, seen, list });
    }

    fn mended(&mut self, way: &mut Way<'_, '_>) {
        let revision = self.revision;
        if self.broken.is_none() && !self.is_incomplete {
            way.health.works(&Part::Rules, || {
                format!("the rules of the manager are followed again, from revision {revision}")
            });
        }
    }
}

/// Whether there are files of the manager, and none that they begin with. A manager makes those first and removes
/// the journal last, when there is a snapshot.
fn has_lost_its_beginning(dir: &StateDir) -> bool {
    let files = dir.rules_files().map(|listing| listing.files).unwrap_or_default();
    let is_beginning = |file: &FileName| matches!(file, FileName::Snapshot | FileName::Journal(0));
    !files.is_empty() && !files.iter().any(is_beginning)
}

/// Whether the file is bad, and not only its reading failed.
fn is_damage(e: &ReadError) -> bool {
    !matches!(e, ReadError::Io { .. })
}

/// Which file has this name, and how long it is.
fn seen(dir: &StateDir, file: &FileName) -> Option<(Identity, u64)> {
    let records = Records::open(dir, file).ok()?;
    Some((records.identity().ok()?, records.len_now().ok()?))
}
