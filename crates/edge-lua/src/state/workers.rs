//! The journals of the other workers: of those that live (one drains while the next one serves), and of the dead.

use std::collections::BTreeMap;
use std::io;

use edge_journal::{FileName, Next, ReadError, Record, Records, StateDir, remove_learned, set_learned_aside};

use super::chain::Way;
use super::health::{Health, Part};

/// Journals that are removed at once at most: each takes some hundredths of a millisecond.
const REMOVED_AT_ONCE: usize = 4;

/// Records that are read between two looks at the time: some hundredths of a millisecond.
const PIECE_RECORDS: usize = 16;

/// The journals of other workers.
#[derive(Default)]
pub(crate) struct Workers {
    others: BTreeMap<FileName, Other>,
    /// Which of them comes first in the next slice, so that none waits for the others for ever.
    first: usize,
}

/// One journal. It is followed while its writer lives; then it is read to its end, taken over by this worker's own
/// journal, and removed.
#[derive(Default)]
struct Other {
    records: Option<Records>,
    /// Its name is there. Its own worker removes it when it has another one, and so do heirs: its lessons are in theirs.
    is_there: bool,
    /// Nobody will write to it any more.
    is_dead: bool,
    /// All that can be read of it was read.
    is_read: bool,
    /// It ends in damage: somebody may want to look at it.
    is_damaged: bool,
    /// It could not be opened or read: tried again at the next look.
    waits: bool,
    /// This worker's own journal has all that was read.
    is_inherited: bool,
}

impl Workers {
    /// Looks for new journals, and for writers that died. `names` are sorted. Opens nothing: there may be many.
    pub(crate) fn look(&mut self, names: &[FileName], health: &mut Health) {
        self.others.retain(|name, other| {
            other.is_there = names.binary_search(name).is_ok();
            other.waits = false;
            other.is_dead |= !other.is_there;
            let stays = other.is_there || other.records.is_some() && !other.is_read;
            if !stays {
                health.gone(name);
            }
            stays
        });
        for name in names {
            let other = self.others.entry(name.clone()).or_default();
            other.is_there = true;
            if let Some(records) = other.records.as_ref().filter(|_| !other.is_dead) {
                other.is_dead = !records.is_locked();
            }
        }
    }

    /// Reads on, for one piece at least; whether the work has to go on.
    pub(crate) fn follow(&mut self, way: &mut Way<'_, '_>) -> bool {
        let first = std::mem::take(&mut self.first);
        let mut has_read = false;
        for is_before in [false, true] {
            for (at, (name, other)) in self.others.iter_mut().enumerate() {
                if (at < first) != is_before || other.is_read || other.waits {
                    continue;
                }
                if has_read && way.merge.is_due(way.budget) {
                    self.first = at;
                    return true;
                }
                has_read = true;
                if other.follow(name, way) {
                    self.first = at + 1;
                    return true;
                }
            }
        }
        false
    }

    /// Journals of the dead that this worker's own should take over.
    pub(crate) fn inheritance(&self) -> Vec<FileName> {
        let is_due = |other: &Other| other.is_there && other.is_dead && other.is_read && !other.is_inherited;
        self.others.iter().filter(|(_, other)| is_due(other)).map(|(name, _)| name.clone()).collect()
    }

    /// This worker's own journal has taken these over.
    pub(crate) fn inherited(&mut self, names: &[FileName]) {
        for name in names {
            if let Some(other) = self.others.get_mut(name) {
                other.is_inherited = true;
            }
        }
    }

    /// Removes what was taken over. What cannot be removed stays, and is tried again.
    pub(crate) fn remove_inherited(&mut self, dir: &StateDir, health: &mut Health) {
        let mut left = REMOVED_AT_ONCE;
        self.others.retain(|name, other| {
            if !other.is_inherited || left == 0 {
                return true;
            }
            left -= 1;
            let part = Part::File(name.clone());
            let gone =
                if other.is_damaged { set_learned_aside(dir, name) } else { remove_learned(dir, name) };
            match gone {
                // Another worker looks just now whether its writer lives: later.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => true,
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    health.fails(part, format!("{name}: was taken over, but cannot be removed: {e}"));
                    true
                }
                Ok(()) if other.is_damaged => {
                    health.works(&part, || format!("{name}: was taken over and set aside"));
                    false
                }
                Ok(()) | Err(_) => {
                    health.gone(name);
                    false
                }
            }
        });
    }

    /// Journals of other workers that are known.
    pub(crate) fn names(&self) -> impl Iterator<Item = &FileName> {
        self.others.keys()
    }
}

impl Other {
    fn open(&mut self, name: &FileName, way: &mut Way<'_, '_>) {
        let part = Part::File(name.clone());
        match Records::open(way.dir, name) {
            Ok(records) => {
                way.health.works(&part, || format!("{name}: can be read now"));
                self.is_dead |= !records.is_locked();
                self.records = Some(records);
                return;
            }
            // Its worker has removed it meanwhile.
            Err(ReadError::NotFound { .. }) => {}
            Err(e) => way.health.fails(part, format!("{e}; it is passed over")),
        }
        self.waits = true;
    }

    fn follow(&mut self, name: &FileName, way: &mut Way<'_, '_>) -> bool {
        if self.records.is_none() {
            self.open(name, way);
        }
        let Some(records) = &mut self.records else { return false };
        for number in 0.. {
            if number > 0 && number % PIECE_RECORDS == 0 && way.merge.is_due(way.budget) {
                return true;
            }
            match records.next() {
                Ok(Next::Record(Record::Change { stamp_us, operation, .. })) => {
                    way.merge.lesson(stamp_us, operation)
                }
                Ok(Next::Record(_)) => {}
                Ok(Next::End { torn_bytes }) => {
                    // Its writer was seen dead before this end was.
                    self.is_read = self.is_dead;
                    way.health.works(&Part::File(name.clone()), || format!("{name}: can be read now"));
                    if self.is_read && torn_bytes > 0 {
                        way.health.say(format!(
                            "{name}: its writer died in the middle of a record: the last {torn_bytes} bytes are cut"
                        ));
                    }
                    self.is_damaged = false;
                    break;
                }
                Err(e) => {
                    // Its writer may go on behind what cannot be read, and the disk may give it after all.
                    self.is_damaged = matches!(e, ReadError::Damaged { .. });
                    self.is_read = self.is_dead && (self.is_damaged || !self.is_there);
                    self.waits = true;
                    way.health.fails(Part::File(name.clone()), format!("{e}; what comes before it holds"));
                    break;
                }
            }
        }
        if self.is_read {
            self.records = None;
        }
        false
    }
}
