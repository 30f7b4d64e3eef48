//! Writing the rules: snapshot, list files and journals.

mod check;
mod chunks;
mod error;
mod files;
mod recovery;
mod sealing;
mod staged;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use edge_filter::{Operation, Origin, Rule};
use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock};

use self::check::Seen;
use self::files::Files;
use self::recovery::{Found, recover};
use crate::appender::Appender;
use crate::dir::{open_regular, set_foreign_aside};
use crate::{FileKind, FileName, Head, Mark, Seal, Stamps, StateDir, codec};

pub use self::error::WriteError;
pub use self::staged::Staged;

/// The one writer of the rules in a state directory; its lock is held until it is dropped. Whatever moment its
/// process is killed at, readers find every change that it acknowledged, once, and the next writer goes on.
///
/// Changes are acknowledged when the kernel has them. To outlive a power cut they need [`RulesWriter::sync`].
#[derive(Debug)]
pub struct RulesWriter {
    dir: StateDir,
    files: Files,
    /// The last change.
    revision: u64,
    /// Of that revision; `None` where the snapshot is of an earlier version, which did not seal.
    mark: Option<Mark>,
    /// What the files looked like after the last write.
    seen: Seen,
    /// What is wrong with them since.
    damage: Option<String>,
    stamps: Stamps,
    /// `None` where the chain of journals is broken: nothing can be appended before a rotation.
    journal: Option<Journal>,
    /// The revision that the journal before begins at: readers may still follow it.
    previous: Option<u64>,
    /// A journal that was rotated, but does not say so yet, for want of room on the disk.
    unlinked: Option<Journal>,
    torn_bytes: u64,
    /// What had the names of our files when the directory was taken over, and was put aside.
    foreign: Vec<String>,
    /// Held, not used.
    _lock: File,
}

/// The journal that is appended to.
#[derive(Debug)]
struct Journal {
    /// The revision in its name.
    base: u64,
    appender: Appender,
}

impl RulesWriter {
    /// Takes the directory over from whoever wrote before, and makes it if need be: cuts an unfinished record off
    /// the journal, finishes or undoes an unfinished rotation.
    ///
    /// # Errors
    /// Another writer lives. A file is newer than this version: then nothing is touched. Those of the system. Damage is no error
    /// here, and a file that is none of ours is damage: [`RulesWriter::needs_rotation`] tells it.
    pub fn open(dir: &Path, now_us: u64) -> Result<Self, WriteError> {
        let io = |error| WriteError::io(dir.display(), error);
        DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(io)?;
        let dir = StateDir::open(dir).map_err(io)?;
        let parent = dir.current().map_err(io)?;
        let lock = lock(&parent)?;
        let files = Files::new(parent);
        let foreign = files.set_foreign_aside()?;
        let Found { revision, stamp_us, mark, journal, previous } = recover(&dir, &files)?;
        let stamps = Stamps::default();
        stamps.seen(stamp_us);
        let mut writer = Self {
            dir,
            files,
            revision,
            mark,
            seen: Seen::default(),
            damage: None,
            stamps,
            journal: None,
            previous,
            unlinked: None,
            torn_bytes: 0,
            foreign,
            _lock: lock,
        };
        match journal {
            recovery::Chain::Whole { base, file, bytes, torn_bytes } => {
                writer.torn_bytes = torn_bytes;
                writer.journal = Some(Journal { base, appender: Appender::new(file, bytes) });
                writer.remove_old()?;
            }
            recovery::Chain::None => {
                let stamp_us = writer.stamps.next(now_us);
                let (journal, mark) = writer.files.create_journal(0, stamp_us)?;
                (writer.journal, writer.mark) = (Some(journal), Some(mark));
            }
            recovery::Chain::Broken => {}
        }
        writer.note_looks();
        Ok(writer)
    }

    /// Appends one change and returns its revision. It is not waited for the disk.
    ///
    /// # Errors
    /// It cannot be written: then nothing has changed.
    pub fn append(&mut self, operation: &Operation, now_us: u64) -> Result<u64, WriteError> {
        let staged = self.stage([operation], now_us)?;
        self.append_staged(&staged)?;
        Ok(self.revision)
    }

    /// Makes these the rules of the list of this name, all at once, however many, and returns the revision. Waits
    /// for the disk.
    ///
    /// # Errors
    /// It cannot be written, or a rule is of another list: then nothing has changed.
    pub fn replace_list(
        &mut self,
        list: &str,
        rules: impl IntoIterator<Item = Rule>,
        now_us: u64,
    ) -> Result<u64, WriteError> {
        if self.needs_rotation() {
            return Err(WriteError::NeedsRotation);
        }
        let name: Arc<str> = list.into();
        let revision = self.next_revision()?;
        let head =
            Head { revision, stamp_us: self.stamps.next(now_us), learned_until_us: 0, lists: vec![name] };
        let of_the_list = rules.into_iter().map(|rule| match &rule.origin {
            Origin::List(of) if **of == *list => Ok(rule),
            other => Err(WriteError::ForeignRule { list: list.to_owned(), origin: other.to_string() }),
        });
        let seal = |content, _| Seal { content, ..Seal::default() };
        self.files.write_rules(FileKind::List, &head, of_the_list, seal)?;
        self.files.publish(FileKind::List, &FileName::List(revision))?;
        let staged = self.stage_replacement(list, now_us)?;
        self.append_staged(&staged)?;
        Ok(revision)
    }

    /// Writes all rules of the manager, as they are at this revision, to a new snapshot, begins a new journal, and
    /// removes what no reader needs any more. `lists` are the names of all lists, the empty ones too;
    /// `learned_until_us` as in [`Head`]. Waits for the disk.
    ///
    /// After damage this takes a revision of its own, greater than any that was given, and all is well again.
    ///
    /// # Errors
    /// It cannot be written: then nothing has changed. Where only the last step fails, the sync of the directory,
    /// the new files are in force, but may not outlive a power cut.
    pub fn rotate(
        &mut self,
        rules: impl IntoIterator<Item = Rule>,
        lists: &[Arc<str>],
        learned_until_us: u64,
        now_us: u64,
    ) -> Result<(), WriteError> {
        self.try_rotate(rules.into_iter().map(Ok), lists, learned_until_us, now_us)
    }

    /// [`RulesWriter::rotate`] with rules that may fail to come, as those of a database.
    ///
    /// # Errors
    /// As there, or that of the first rule that failed: then nothing has changed.
    pub fn try_rotate<E: From<WriteError>>(
        &mut self,
        rules: impl IntoIterator<Item = Result<Rule, E>>,
        lists: &[Arc<str>],
        learned_until_us: u64,
        now_us: u64,
    ) -> Result<(), E> {
        self.link();
        let revision = if self.needs_rotation() { self.next_revision()? } else { self.revision };
        let head = Head { revision, stamp_us: 0, learned_until_us, lists: lists.to_vec() };
        self.write_snapshot(rules, head, now_us)
    }

    /// Makes these all rules of the manager, whatever the files said before, and returns the revision: the next one, or
    /// the one after `known` where that is greater, so that revisions do not go back where files were lost. Readers take
    /// them as one change, since no journal leads there. `lists` as in [`RulesWriter::rotate`]. Waits for the disk.
    ///
    /// # Errors
    /// As those of [`RulesWriter::try_rotate`].
    pub fn replace_all<E: From<WriteError>>(
        &mut self,
        rules: impl IntoIterator<Item = Result<Rule, E>>,
        lists: &[Arc<str>],
        known: u64,
        now_us: u64,
    ) -> Result<u64, E> {
        let revision = self.revision.max(known).checked_add(1).ok_or(WriteError::NoRevisionLeft)?;
        let head = Head { revision, stamp_us: 0, learned_until_us: 0, lists: lists.to_vec() };
        self.write_snapshot(rules, head, now_us)?;
        Ok(revision)
    }

    /// Of the revision in the head, which gets its stamp here. Where that is a later one than what the journal ends with,
    /// the journal does not lead there.
    fn write_snapshot<E: From<WriteError>>(
        &mut self,
        rules: impl IntoIterator<Item = Result<Rule, E>>,
        mut head: Head,
        now_us: u64,
    ) -> Result<(), E> {
        if self.damage.is_some() {
            self.learn_stamps();
        }
        let (revision, stamp_us) = (head.revision, self.stamps.next(now_us));
        head.stamp_us = stamp_us;
        let goes_on = revision == self.revision;
        let mark = self.mark.filter(|_| goes_on);
        let seal =
            self.files.write_rules(FileKind::Snapshot, &head, rules.into_iter(), |content, count| {
                let (taken, chain) = mark.map_or((count, content), |mark| (mark.taken, mark.digest));
                Seal { content, taken, chain }
            })?;
        // Where nothing has changed since the last rotation, its journal goes on.
        let is_new = self.journal.as_ref().is_none_or(|journal| journal.base != revision);
        let journal = if is_new { Some(self.files.create_journal(revision, stamp_us)?.0) } else { None };
        self.files.rename(FileKind::Snapshot, &FileName::Snapshot)?;
        // From here on a reader that starts begins at the new journal, so this goes there too, whatever fails.
        self.revision = revision;
        self.mark = Some(Mark { revision, taken: seal.taken, digest: seal.chain });
        self.damage = None;
        if let Some(journal) = journal {
            let old = self.journal.replace(journal);
            self.previous = old.as_ref().filter(|_| goes_on).map(|old| old.base);
            self.unlinked = old.filter(|_| goes_on);
        }
        let synced = self.files.sync();
        self.link();
        // What cannot be removed now is removed by the next rotation.
        let _ = self.remove_old();
        self.note_looks();
        Ok(synced?)
    }

    /// Waits until all changes are on the disk.
    ///
    /// # Errors
    /// Those of the system.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        let Some(journal) = &self.journal else { return Ok(()) };
        journal.appender.sync().map_err(|error| WriteError::io(FileName::Journal(journal.base), error))
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How long the journal is, bytes: 0 where the next thing to do is a rotation.
    pub fn journal_bytes(&self) -> u64 {
        self.journal.as_ref().map_or(0, |journal| journal.appender.bytes())
    }

    /// Where the rules are: what readers tell when they have all of them. `None` where an earlier version wrote the snapshot.
    pub fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Whether the files were found damaged, or the journal could not be kept whole: nothing is taken before
    /// [`RulesWriter::rotate`] has written a snapshot.
    pub fn needs_rotation(&self) -> bool {
        self.damage.is_some() || self.journal.as_ref().is_none_or(|journal| journal.appender.is_torn())
    }

    /// What was in the place of files of the writer when it took the directory over, and was put aside: a line each.
    pub fn foreign(&self) -> &[String] {
        &self.foreign
    }

    /// What [`RulesWriter::open`] cut off the journal, bytes: a record that the writer before did not live to finish,
    /// and so never acknowledged. Worth a line in a log.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Lets the journal that was rotated name the next one. Where that fails it is tried again before the next
    /// change.
    fn link(&mut self) {
        let Some(mut old) = self.unlinked.take() else { return };
        let next = self.journal.as_ref().map_or(self.revision, |journal| journal.base);
        let mut frame = Vec::new();
        let is_linked = codec::next(&mut frame, next).is_ok() && self.files.append(&mut old, &frame).is_ok();
        if !is_linked {
            self.unlinked = Some(old);
        }
    }

    /// Removes what no reader needs: journals but for this one and the one before, and the list files named in them.
    fn remove_old(&self) -> Result<(), WriteError> {
        let Some(current) = self.journal.as_ref().map(|journal| journal.base) else { return Ok(()) };
        let oldest = self.previous.unwrap_or(current);
        let mut files = self.files.list()?;
        // Journals before the list files that they name, so that no journal is there without them.
        files.sort_by_key(|file| matches!(file, FileName::List(_)));
        for file in files {
            let is_old = match &file {
                FileName::Journal(base) => *base != current && Some(*base) != self.previous,
                FileName::List(revision) => *revision <= oldest || *revision > self.revision,
                FileName::Snapshot | FileName::Learned(_) => false,
            };
            if is_old {
                self.files.remove(&file)?;
            }
        }
        Ok(())
    }

    fn next_revision(&self) -> Result<u64, WriteError> {
        self.revision.checked_add(1).ok_or(WriteError::NoRevisionLeft)
    }
}

/// Nobody but this user can open the lock: the workers, who may read what else is there, could hold it for ever.
fn lock(parent: &std::os::fd::OwnedFd) -> Result<File, WriteError> {
    const NAME: &str = "rules.lock";
    let io = |error| WriteError::io(NAME, error);
    set_foreign_aside(parent, NAME).map_err(io)?;
    let flags = OFlags::RDWR | OFlags::CREATE;
    let file = open_regular(parent, NAME, flags, Mode::RUSR | Mode::WUSR).map_err(io)?;
    // An earlier version let the group read it. One that is another trusted user's stays as it is.
    let _ = fchmod(&file, Mode::RUSR | Mode::WUSR);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(WriteError::Locked),
        Err(error) => Err(io(error.into())),
    }
}
