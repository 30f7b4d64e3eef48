//! The steps that files are written in. A file appears under its name only when it is complete and on the disk.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use edge_filter::Rule;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fsync, openat, renameat, statat};
use rustix::io::Errno;

use super::chunks::Chunks;
use super::sealing::Look;
use super::{Journal, WriteError};
use crate::appender::Appender;
use crate::dir::{LEARNED, file_type, foreign, names, open_regular, remove, set_foreign_aside};
use crate::mark::{Digest, Mark, Seal};
use crate::{FileKind, FileName, Head, codec};

/// How much is written at a time, bytes.
const WRITE_BYTES: usize = 1 << 20;

/// How often a file is made that another user puts something in the place of.
const MAX_TRIES: usize = 16;

/// The directory, as its writer sees it.
pub(super) struct Files {
    parent: Arc<OwnedFd>,
    /// Called after each step: the tests look at the directory then.
    #[cfg(test)]
    pub(super) after_step: std::cell::RefCell<Option<Box<dyn FnMut()>>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("parent", &self.parent).finish_non_exhaustive()
    }
}

impl Files {
    pub(super) fn new(parent: Arc<OwnedFd>) -> Self {
        Self {
            parent,
            #[cfg(test)]
            after_step: Default::default(),
        }
    }

    /// Writes a snapshot or a list file to its temporary name, with the seal that `seal` makes of its contents and the number of
    /// its rules. O(rules); holds one chunk.
    pub(super) fn write_rules<E: From<WriteError>>(
        &self,
        kind: FileKind,
        head: &Head,
        rules: impl Iterator<Item = Result<Rule, E>>,
        seal: impl FnOnce(Digest, u64) -> Seal,
    ) -> Result<Seal, E> {
        let mut out = self.begin(kind)?;
        codec::head(&mut out.buffer, head).map_err(WriteError::from)?;
        let mut chunks = Chunks::default();
        for rule in rules {
            chunks.push(&mut out.buffer, rule?).map_err(WriteError::from)?;
            out.write_if_full()?;
        }
        let count = chunks.finish(&mut out.buffer).map_err(WriteError::from)?;
        let seal = seal(out.content(), count);
        codec::seal(&mut out.buffer, &seal).map_err(WriteError::from)?;
        codec::end(&mut out.buffer, count).map_err(WriteError::from)?;
        out.finish()?;
        Ok(seal)
    }

    /// Makes a journal with its head, and answers with its mark where it is the first. Journals of the same name that a crash left
    /// are replaced.
    pub(super) fn create_journal(&self, base: u64, stamp_us: u64) -> Result<(Journal, Mark), WriteError> {
        let mut out = self.begin(FileKind::Journal)?;
        codec::head(&mut out.buffer, &Head { revision: base, stamp_us, ..Head::default() })?;
        let bytes = u64::try_from(out.buffer.len()).unwrap_or(u64::MAX);
        let head = out.buffer.get(codec::PREAMBLE_BYTES..).unwrap_or_default();
        let first = Mark::first(codec::fingerprint(head));
        let file = out.finish()?;
        self.publish(FileKind::Journal, &FileName::Journal(base))?;
        Ok((Journal { base, appender: Appender::new(file, bytes) }, first))
    }

    /// Gives the file that was written last its name, on the disk too.
    pub(super) fn publish(&self, kind: FileKind, name: &FileName) -> Result<(), WriteError> {
        self.rename(kind, name)?;
        self.sync()
    }

    pub(super) fn rename(&self, kind: FileKind, name: &FileName) -> Result<(), WriteError> {
        let target = name.in_its_directory();
        let rename = || renameat(&*self.parent, temporary(kind), &*self.parent, &target);
        let renamed = match rename() {
            // A directory of another user has the name.
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                set_foreign_aside(&self.parent, &target).map_err(|error| WriteError::io(name, error))?;
                rename()
            }
            renamed => renamed,
        };
        renamed.map_err(|error| WriteError::io(name, error.into()))?;
        self.did_step();
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), WriteError> {
        // The descriptor of the directory is a mere place, which cannot be synced.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&*self.parent, ".", flags, Mode::empty())
            .and_then(fsync)
            .map_err(|error| WriteError::io("the state directory", error.into()))?;
        self.did_step();
        Ok(())
    }

    pub(super) fn append(&self, journal: &mut Journal, frame: &[u8]) -> Result<(), WriteError> {
        let done = journal.appender.append(frame);
        self.did_step();
        done.map_err(|error| WriteError::io(FileName::Journal(journal.base), error))
    }

    pub(super) fn remove(&self, name: &FileName) -> Result<(), WriteError> {
        let file = name.in_its_directory();
        let removed = set_foreign_aside(&self.parent, &file).and_then(|_| remove(&self.parent, &file));
        removed.map_err(|error| WriteError::io(name, error))?;
        self.did_step();
        Ok(())
    }

    /// Puts aside what has the name of one of our files and is none of them. Says what, one line each.
    pub(super) fn set_foreign_aside(&self) -> Result<Vec<String>, WriteError> {
        let (names, _) = names(&self.parent).map_err(|error| WriteError::io("the state directory", error))?;
        let temporaries = [FileKind::Snapshot, FileKind::List, FileKind::Journal].map(temporary);
        let is_ours =
            |name: &&String| temporaries.contains(&name.as_str()) || FileName::parse_rules(name).is_some();
        let mut aside = Vec::new();
        for name in names.iter().filter(is_ours) {
            let found = set_foreign_aside(&self.parent, name).map_err(|error| WriteError::io(name, error))?;
            aside.extend(found.map(|what| format!("{name}: {what}")));
        }
        // Workers make their journals there: a directory of theirs is right, and nothing else is.
        let is_directory = matches!(file_type(&self.parent, LEARNED), Ok(None | Some(FileType::Directory)));
        if !is_directory
            && let Some(what) =
                set_foreign_aside(&self.parent, LEARNED).map_err(|error| WriteError::io(LEARNED, error))?
        {
            aside.push(format!("{LEARNED}: {what}"));
        }
        Ok(aside)
    }

    /// What a writer that was killed has not given its name.
    pub(super) fn remove_temporaries(&self) -> Result<(), WriteError> {
        for kind in [FileKind::Snapshot, FileKind::List, FileKind::Journal] {
            let name = temporary(kind);
            self.remove_temporary(name).map_err(|error| WriteError::io(name, error))?;
            self.did_step();
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Result<Vec<FileName>, WriteError> {
        let (names, _) = names(&self.parent).map_err(|error| WriteError::io("the state directory", error))?;
        Ok(names.iter().filter_map(|name| FileName::parse_rules(name)).collect())
    }

    /// What the file of this name looks like; `None` where there is none.
    ///
    /// # Errors
    /// Something else has the name, which readers pass over.
    pub(super) fn look(&self, name: &FileName) -> Result<Option<Look>, WriteError> {
        let stat = match statat(&*self.parent, name.in_its_directory(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(WriteError::io(name, error.into())),
        };
        match foreign(&self.parent, &stat).map_err(|error| WriteError::io(name, error))? {
            None => Ok(Some(Look::of(&stat))),
            Some(what) => Err(WriteError::io(name, io::Error::other(format!("{what} is in its place")))),
        }
    }

    /// A journal to append to.
    pub(super) fn open_journal(&self, base: u64) -> Result<File, WriteError> {
        let name = FileName::Journal(base);
        open_regular(&self.parent, &name.in_its_directory(), OFlags::WRONLY | OFlags::APPEND, Mode::empty())
            .map_err(|error| WriteError::io(name, error))
    }

    /// How much was behind `bytes`.
    pub(super) fn cut(&self, file: &File, base: u64, bytes: u64) -> Result<u64, WriteError> {
        let io = |error| WriteError::io(FileName::Journal(base), error);
        let before = file.metadata().map_err(io)?.len();
        file.set_len(bytes).map_err(io)?;
        self.did_step();
        Ok(before.saturating_sub(bytes))
    }

    fn begin(&self, kind: FileKind) -> Result<Unfinished<'_>, WriteError> {
        let name = temporary(kind);
        let file = self.make(name).map_err(|error| WriteError::io(name, error))?;
        self.did_step();
        let buffer = codec::preamble(kind).to_vec();
        Ok(Unfinished { files: self, name, file, digested: buffer.len(), buffer, content: Digest::default() })
    }

    /// A new file, which nobody else has open: workers may write in the directory, and put something there meanwhile.
    fn make(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        let mut tries = 0;
        loop {
            self.remove_temporary(name)?;
            match open_regular(&self.parent, name, flags, Mode::from_raw_mode(0o640)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < MAX_TRIES => tries += 1,
                made => return made,
            }
        }
    }

    fn remove_temporary(&self, name: &str) -> io::Result<()> {
        set_foreign_aside(&self.parent, name)?;
        remove(&self.parent, name)
    }

    fn did_step(&self) {
        #[cfg(test)]
        if let Some(look) = &mut *self.after_step.borrow_mut() {
            look();
        }
    }
}

/// A file under its temporary name, which no reader looks at.
struct Unfinished<'a> {
    files: &'a Files,
    name: &'static str,
    file: File,
    buffer: Vec<u8>,
    /// Over the records that were written, and those of the buffer up to this byte.
    content: Digest,
    digested: usize,
}

impl Unfinished<'_> {
    /// Over all records so far.
    fn content(&mut self) -> Digest {
        while let Some(frame) = self.buffer.get(self.digested..).filter(|frame| !frame.is_empty()) {
            self.content = self.content.after(codec::fingerprint(frame));
            let length = frame.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
            let whole = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(codec::FRAME_HEAD_BYTES);
            self.digested = self.digested.saturating_add(whole);
        }
        self.content
    }

    fn write_if_full(&mut self) -> Result<(), WriteError> {
        if self.buffer.len() < WRITE_BYTES { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), WriteError> {
        self.content();
        self.file.write_all(&self.buffer).map_err(|error| WriteError::io(self.name, error))?;
        self.buffer.clear();
        self.digested = 0;
        self.files.did_step();
        Ok(())
    }

    fn finish(mut self) -> Result<File, WriteError> {
        self.write()?;
        self.file.sync_all().map_err(|error| WriteError::io(self.name, error))?;
        self.files.did_step();
        Ok(self.file)
    }
}

fn temporary(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Snapshot => "rules.snapshot.new",
        FileKind::List => "rules.list.new",
        FileKind::Journal | FileKind::Learned => "rules.journal.new",
    }
}
