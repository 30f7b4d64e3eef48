//! Where the chain begins: the snapshot of the manager, or nothing at all.

use edge_journal::{FileName, Head, Next, ReadError, Record, Records, StateDir};

use super::broken::is_damage;
use super::{Chain, Way, Work};
use crate::state::budget::Budget;
use crate::state::bulk::Bulk;
use crate::state::health::Part;

impl Chain {
    /// Takes the snapshot in, at the start: what can be read of it, since there are no other rules to keep.
    pub(crate) fn load_snapshot(&mut self, way: &mut Way<'_, '_>) {
        let Some((records, head)) = self.open_snapshot(way, true) else { return };
        (self.revision, self.stamp_us) = (head.revision, head.stamp_us);
        way.merge.lessons.are_settled_until(head.learned_until_us, way.merge.stamps);
        let mut bulk = Bulk::at_the_start(records, &head);
        let read = bulk.work(way.merge, Budget::UNLIMITED);
        self.has_read(&bulk);
        if let Err(e) = read {
            self.digest = None;
            self.bad_snapshot = bulk.identity();
            self.is_incomplete = true;
            way.health.fails(Part::Rules, format!("{e}; what comes before it holds"));
            way.merge.edit.publish_draft();
        }
    }

    /// The snapshot, unless it was found bad, and its head. At the start a line says why it cannot be read.
    pub(super) fn open_snapshot(&mut self, way: &mut Way<'_, '_>, is_start: bool) -> Option<(Records, Head)> {
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
                // What waits for it goes on when the disk gives it after all.
                if !is_damage(&e) {
                    self.try_again();
                }
                None
            }
        }
    }

    /// Begins with the snapshot, if it is a later one: by its stamp too, since revisions go back where the manager
    /// begins anew.
    pub(super) fn begin_snapshot(&mut self, way: &mut Way<'_, '_>) -> bool {
        let Some((records, head)) = self.open_snapshot(way, false) else { return false };
        let is_later = head.revision > self.revision || head.stamp_us > self.stamp_us;
        if is_later || self.is_incomplete {
            self.take_snapshot(records, head);
        }
        self.work.is_some()
    }

    /// Begins with what the directory holds now, whatever its revision: what is in force is of another chain.
    pub(super) fn begin_anew(&mut self, way: &mut Way<'_, '_>) -> bool {
        if let Some((records, head)) = self.open_snapshot(way, false) {
            self.take_snapshot(records, head);
        } else if first_stamp_us(way.dir).is_some() {
            let nothing = Bulk::of_nothing(self.lists_of_settings.clone());
            self.work = Some(Work::Snapshot(nothing, Head::default()));
        }
        self.work.is_some()
    }

    /// Whether the manager's first journal was begun after what is in force was written.
    pub(super) fn has_begun_anew(&self, way: &Way<'_, '_>) -> bool {
        self.revision > 0 && first_stamp_us(way.dir).is_some_and(|stamp_us| stamp_us > self.stamp_us)
    }

    fn take_snapshot(&mut self, records: Records, head: Head) {
        let bulk = Bulk::of_snapshot(records, &head, self.lists_of_settings.clone());
        self.work = Some(Work::Snapshot(bulk, head));
    }

    /// Where the chain stands after this file.
    fn has_read(&mut self, bulk: &Bulk) {
        (self.taken, self.digest) = match bulk.seal() {
            Some(seal) => (seal.taken, Some(seal.chain)),
            None => (bulk.rules(), None),
        };
    }

    /// This snapshot with this head is in force, and its journal is followed.
    pub(super) fn has_taken(&mut self, bulk: &Bulk, head: &Head, way: &mut Way<'_, '_>) {
        let (before, now) = (self.revision, head.revision);
        if now < before {
            way.health.say(format!(
                "the manager has begun its rules anew: those of revision {now} and later replace those of \
                 revision {before}"
            ));
        }
        (self.revision, self.stamp_us) = (now, head.stamp_us);
        self.has_read(bulk);
        (self.journal, self.broken, self.bad_snapshot) = (None, None, None);
        (self.is_incomplete, self.is_half_drafted) = (false, false);
        self.open_journal(way);
        self.mended(way);
    }
}

/// Whether there are files of the manager, and none that they begin with. A manager makes those first and removes
/// the journal last, when there is a snapshot.
fn has_lost_its_beginning(dir: &StateDir) -> bool {
    let files = dir.rules_files().map(|listing| listing.files).unwrap_or_default();
    let is_beginning = |file: &FileName| matches!(file, FileName::Snapshot | FileName::Journal(0));
    !files.is_empty() && !files.iter().any(is_beginning)
}

/// The stamp of the first journal, where the chain begins with that.
fn first_stamp_us(dir: &StateDir) -> Option<u64> {
    dir.identity(&FileName::Snapshot).ok().filter(Option::is_none)?;
    let first = Records::open(dir, &FileName::Journal(0)).and_then(|mut records| records.next());
    match first {
        Ok(Next::Record(Record::Head(head))) => Some(head.stamp_us),
        _ => None,
    }
}
