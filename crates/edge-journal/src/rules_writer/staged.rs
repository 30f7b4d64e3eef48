//! Changes that are encoded before they are written.

use edge_filter::Operation;

use super::{RulesWriter, WriteError};
use crate::codec::{self, EncodeError};
use crate::mark::Mark;

/// Changes for the journal, each a record: whoever keeps a record of the rules notes first where they will lead to.
#[derive(Clone, Debug)]
pub struct Staged {
    /// A frame each, and the mark behind it.
    frames: Vec<(Vec<u8>, Option<Mark>)>,
    /// The revision before.
    before: u64,
}

impl Staged {
    /// The revision that they lead to.
    pub fn revision(&self) -> u64 {
        self.before.saturating_add(u64::try_from(self.frames.len()).unwrap_or(u64::MAX))
    }

    /// The marks that they lead to, one after the other; none where the chain before them has none.
    pub fn marks(&self) -> impl DoubleEndedIterator<Item = Mark> {
        self.frames.iter().filter_map(|(_, mark)| *mark)
    }
}

impl RulesWriter {
    /// Encodes these changes as the next revisions. Nothing is written.
    ///
    /// # Errors
    /// No reader would take one of them, or the files are damaged.
    pub fn stage<'a>(
        &self,
        operations: impl IntoIterator<Item = &'a Operation>,
        now_us: u64,
    ) -> Result<Staged, WriteError> {
        let mut staged = Staged { frames: Vec::new(), before: self.revision };
        for operation in operations {
            self.stage_record(&mut staged, Mark::changes(operation), now_us, |out, revision, stamp_us| {
                codec::change(out, revision, stamp_us, operation)
            })?;
        }
        Ok(staged)
    }

    pub(super) fn stage_replacement(&self, list: &str, now_us: u64) -> Result<Staged, WriteError> {
        let mut staged = Staged { frames: Vec::new(), before: self.revision };
        self.stage_record(&mut staged, 1, now_us, |out, revision, stamp_us| {
            codec::replace(out, revision, stamp_us, list)
        })?;
        Ok(staged)
    }

    /// Appends what was staged at this revision. It is not waited for the disk.
    ///
    /// # Errors
    /// It cannot be written, or is not what comes next: then the changes before it are there, and it and those behind are not.
    pub fn append_staged(&mut self, staged: &Staged) -> Result<(), WriteError> {
        if staged.before != self.revision {
            return Err(WriteError::NeedsRotation);
        }
        self.link();
        for (frame, mark) in &staged.frames {
            if self.needs_rotation() {
                return Err(WriteError::NeedsRotation);
            }
            let revision = self.next_revision()?;
            let Some(journal) = &mut self.journal else { return Err(WriteError::NeedsRotation) };
            self.files.append(journal, frame)?;
            (self.revision, self.mark) = (revision, *mark);
        }
        self.note_looks();
        Ok(())
    }

    fn stage_record(
        &self,
        staged: &mut Staged,
        changes: u64,
        now_us: u64,
        encode: impl FnOnce(&mut Vec<u8>, u64, u64) -> Result<(), EncodeError>,
    ) -> Result<(), WriteError> {
        if self.needs_rotation() {
            return Err(WriteError::NeedsRotation);
        }
        let revision = staged.revision().checked_add(1).ok_or(WriteError::NoRevisionLeft)?;
        let mut frame = Vec::new();
        encode(&mut frame, revision, self.stamps.next(now_us))?;
        let before = staged.frames.last().map_or(self.mark, |(_, mark)| *mark);
        let mark = before.map(|mark| mark.next(codec::fingerprint(&frame), changes));
        staged.frames.push((frame, mark));
        Ok(())
    }
}
