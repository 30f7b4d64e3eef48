//! Whether the files are still what was written.

use std::io;

use rustix::io::Errno;

use super::sealing::{Look, end_of_chain};
use super::{RulesWriter, WriteError};
use crate::{FileName, Next, ReadError, Record, Records};

/// What the files of the chain looked like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    snapshot: Option<Look>,
    journal: Option<Look>,
}

impl RulesWriter {
    /// Looks whether the files are what was written, and says what is wrong: from then on nothing is appended before a new snapshot.
    /// A handful of system calls, and no more while nobody has written into the files; otherwise, or if it is to be `thorough`,
    /// all of them are read.
    pub fn check(&mut self, thorough: bool) -> Option<&str> {
        if !self.needs_rotation() {
            self.damage = self.find_damage(thorough);
        } else if self.damage.is_none() {
            self.damage = Some(WriteError::NeedsRotation.to_string());
        }
        self.damage.as_deref()
    }

    /// Whether the path leads to the directory that this writes to.
    pub fn is_present(&self) -> bool {
        self.dir.is_present()
    }

    fn find_damage(&mut self, thorough: bool) -> Option<String> {
        if !self.is_present() {
            return Some("the state directory was removed or replaced".to_owned());
        }
        let base = self.journal.as_ref().map(|journal| journal.base)?;
        let now = match self.look(base) {
            Ok(now) => now,
            Err(error) => return Some(error.to_string()),
        };
        let journal = FileName::Journal(base);
        match (&now.journal, &self.seen.journal) {
            (None, _) => return Some(format!("{journal}: was removed")),
            (Some(now), Some(seen)) if !now.is_as_long_as(seen) => {
                return Some(format!("{journal}: was replaced, or is not as long as what was written to it"));
            }
            _ => {}
        }
        if now.snapshot.is_none() && self.seen.snapshot.is_some() {
            return Some(format!("{}: was removed", FileName::Snapshot));
        }
        if now == self.seen && !thorough {
            return None;
        }
        match end_of_chain(&self.dir) {
            Ok(end) if (end.mark, end.base, end.torn_bytes) == (self.mark, base, 0) => {
                self.seen = now;
                None
            }
            Ok(_) => Some("the files are whole, but those of another manager, or an earlier copy".to_owned()),
            // Nothing is known of them then, and nothing can be written either.
            Err(ReadError::Io { error, .. }) if lacks_resources(&error) => None,
            Err(error) => Some(error.to_string()),
        }
    }

    fn look(&self, base: u64) -> Result<Seen, WriteError> {
        let snapshot = self.files.look(&FileName::Snapshot)?;
        Ok(Seen { snapshot, journal: self.files.look(&FileName::Journal(base))? })
    }

    /// After each write.
    pub(super) fn note_looks(&mut self) {
        let Some(base) = self.journal.as_ref().map(|journal| journal.base) else { return };
        // What cannot be looked at now is looked at by the next check, which finds that it differs.
        self.seen = self.look(base).unwrap_or_default();
    }

    /// The next stamp is to be later than those of whatever files are there: readers may have taken them.
    pub(super) fn learn_stamps(&self) {
        let Ok(files) = self.files.list() else { return };
        for file in files {
            let Ok(mut records) = Records::open(&self.dir, &file) else { continue };
            while let Ok(Next::Record(record)) = records.next() {
                match record {
                    Record::Head(head) => self.stamps.seen(head.stamp_us),
                    Record::Change { stamp_us, .. } | Record::Replace { stamp_us, .. } => {
                        self.stamps.seen(stamp_us);
                    }
                    // The head of a snapshot has its only stamp.
                    _ => break,
                }
            }
        }
    }
}

/// Whether it is this process or the system that lacks something for a while, whatever the files are.
fn lacks_resources(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR))
}
