//! What one worker learned: its own file, appended by all of its threads.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use edge_filter::Operation;
use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, renameat_with};

use crate::appender::Appender;
use crate::codec;
use crate::dir::{names, open_regular, remove};
use crate::{FileKind, FileName, Head, Identity, StateDir};

/// A learned journal that is being made has its name with this behind it.
const UNFINISHED: &str = ".new";

/// A learned journal that was set aside has its name with this behind it.
const ASIDE: &str = ".damaged";

/// How often it is tried to make a journal. Another worker that makes one at the same time takes the unfinished file for one
/// of the dead, as long as it is not locked: then the lock or the name is gone.
const TRIES: u32 = 8;

/// Journals set aside that are kept.
const MAX_ASIDE: usize = 16;

/// A worker's own learned journal. Its lock is held until it is dropped, so that others see that the worker lives.
#[derive(Debug)]
pub struct LearnedJournal {
    name: FileName,
    identity: Identity,
    /// Writers to one file wait for each other in the kernel anyway (the inode's lock); doing it here lets a
    /// write that the disk had no room for be taken back before another one follows it.
    file: Mutex<Appender>,
}

impl LearnedJournal {
    /// Makes the journal of this worker, `learned/` too if need be. It appears under its name only when it is
    /// locked and has its head, so nobody ever takes it for a dead worker's.
    ///
    /// # Errors
    /// The name is none that a worker can have, a file of that name exists, or those of the system.
    pub fn create(dir: &StateDir, worker: &str, stamp_us: u64) -> io::Result<Self> {
        let name = FileName::learned(worker)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a worker's name"))?;
        for _ in 1..TRIES {
            match Self::try_create(dir, &name, stamp_us) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotFound) => {
                }
                other => return other,
            }
        }
        Self::try_create(dir, &name, stamp_us)
    }

    fn try_create(dir: &StateDir, name: &FileName, stamp_us: u64) -> io::Result<Self> {
        let parent = dir.learned_or_new()?;
        remove_unfinished(&parent);
        let finished = name.in_its_directory();
        let unfinished = format!("{finished}{UNFINISHED}");
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        let file = open_regular(&parent, &unfinished, flags, Mode::from_raw_mode(0o640))?;
        let made = Self::begin(&parent, file, name.clone(), stamp_us, &unfinished, &finished);
        if made.is_err() {
            // The next worker does it if this does not work.
            let _ = remove(&parent, &unfinished);
        }
        made
    }

    fn begin(
        parent: &OwnedFd,
        file: File,
        name: FileName,
        stamp_us: u64,
        unfinished: &str,
        finished: &str,
    ) -> io::Result<Self> {
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let identity = Identity::of(&fstat(&file)?);
        let mut bytes = codec::preamble(FileKind::Learned).to_vec();
        codec::head(&mut bytes, &Head { stamp_us, ..Head::default() }).map_err(io::Error::other)?;
        let mut appender = Appender::new(file, 0);
        appender.append(&bytes)?;
        match renameat_with(parent, unfinished, parent, finished, RenameFlags::NOREPLACE) {
            // Not on every file system: names of workers are unique, so this is as good.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                rustix::fs::renameat(parent, unfinished, parent, finished)?;
            }
            other => other?,
        }
        Ok(Self { name, identity, file: Mutex::new(appender) })
    }

    /// Appends one record by one `write(2)`: when this has returned, the record outlives the process. From any
    /// thread; O(size of the operation).
    ///
    /// # Errors
    /// It cannot be written: then none of it is in the file. Where even that fails, every later append fails too
    /// and a new journal is needed.
    pub fn append(&self, stamp_us: u64, operation: &Operation) -> io::Result<()> {
        let mut frame = Vec::new();
        codec::change(&mut frame, 0, stamp_us, operation)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.file.lock().unwrap_or_else(PoisonError::into_inner).append(&frame)
    }

    /// How long it is, bytes.
    pub fn len(&self) -> u64 {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).bytes()
    }

    /// Never: it has its head.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Its name.
    pub fn name(&self) -> &FileName {
        &self.name
    }

    /// Whether the file of its name in `dir` is still this one: not if somebody removed it, or the directory.
    pub fn is_present(&self, dir: &StateDir) -> bool {
        dir.identity(&self.name).is_ok_and(|found| found == Some(self.identity))
    }

    /// Whether the file is as long as what was appended: not if somebody cut it, or wrote to it. What other
    /// threads append meanwhile is no difference.
    pub fn is_untouched(&self) -> bool {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).has_its_length()
    }
}

/// Removes the learned journal of a dead worker.
///
/// # Errors
/// Its worker lives ([`io::ErrorKind::WouldBlock`]), or those of the system. That it is not there is no error.
pub fn remove_learned(dir: &StateDir, name: &FileName) -> io::Result<()> {
    let parent = match dir.learned() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return dir.current().map(drop),
        other => other?,
    };
    remove_if_dead(&parent, &name.in_its_directory())
}

/// Gives the damaged learned journal of a dead worker a name that no reader looks at, so that somebody can find out
/// what happened. Of those, the latest 16 are kept.
///
/// # Errors
/// As [`remove_learned`].
pub fn set_learned_aside(dir: &StateDir, name: &FileName) -> io::Result<()> {
    let parent = dir.learned()?;
    let file_name = name.in_its_directory();
    let file = open_regular(&parent, &file_name, OFlags::RDONLY, Mode::empty())?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    rustix::fs::renameat(&parent, &file_name, &parent, format!("{file_name}{ASIDE}"))?;
    // Names of workers begin with the time. What cannot be removed now is when the next one is set aside.
    let is_ours = |name: &str| name.strip_suffix(ASIDE).and_then(FileName::parse_learned).is_some();
    let mut aside: Vec<_> = names(&parent)
        .map(|(names, _)| names)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| is_ours(name))
        .collect();
    aside.sort_unstable_by(|one, other| other.cmp(one));
    for name in aside.iter().skip(MAX_ASIDE) {
        let _ = remove(&parent, name);
    }
    Ok(())
}

/// What workers left that died while they made their journal. Whoever is making one just now and has not locked
/// it yet finds it gone when it gives it its name, and says so. Of names that are not ours nothing is touched, and
/// what cannot be removed is in nobody's way.
fn remove_unfinished(learned: &OwnedFd) {
    let is_ours = |name: &&String| name.strip_suffix(UNFINISHED).and_then(FileName::parse_learned).is_some();
    let (names, _) = names(learned).unwrap_or_default();
    for name in names.iter().filter(is_ours) {
        let _ = remove_if_dead(learned, name);
    }
}

fn remove_if_dead(parent: &OwnedFd, name: &str) -> io::Result<()> {
    let file = match open_regular(parent, name, OFlags::RDONLY, Mode::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    remove(parent, name)
}
