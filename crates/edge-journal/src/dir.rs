//! The state directory, found again whatever happens to it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat, fstat, mkdirat, openat, renameat_with, statat,
    unlinkat,
};
use rustix::process::geteuid;

use crate::FileName;

/// Learned journals that are listed at most: with one for each worker that lives or has died since the last
/// compaction there are a few.
pub const MAX_LEARNED_JOURNALS: usize = 1024;

/// Entries of a directory that are looked at, so that a directory full of other things cannot hold a caller up.
const MAX_ENTRIES: usize = 16_384;

/// The directory of the learned journals.
pub(crate) const LEARNED: &str = "learned";

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(stat: &Stat) -> Self {
        // Narrower on some systems.
        #[allow(clippy::useless_conversion)]
        Self { device: stat.st_dev.into(), inode: stat.st_ino.into() }
    }
}

/// Files of a directory, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Their names.
    pub files: Vec<FileName>,
    /// There are more than are looked at.
    pub is_cut: bool,
}

/// A state directory. Keeps a descriptor of it, and one of the nearest directory above that existed, so that one
/// which is missing or was replaced can be opened later, after `chroot` too. Creates nothing by itself. Files
/// are opened without following symbolic links or waiting, and must be regular.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// What existed of the path when it was opened.
    ancestor: OwnedFd,
    /// The rest of the path, plain names only; none of `/`.
    rest: Vec<OsString>,
    /// Changed by `reopen` alone; held for the copy of an `Arc` only.
    current: Mutex<Option<Arc<OwnedFd>>>,
}

impl StateDir {
    /// The directory at `path`, which need not exist, nor be a directory yet.
    ///
    /// # Errors
    /// Nothing of the path can be opened, or what does not exist of it has `..` in it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (above, rest) = split_at_existing(path)?;
        let flags = DIRECTORY - OFlags::NOFOLLOW;
        let ancestor = rustix::fs::open(&above, flags, Mode::empty())?;
        let dir = Self { path: path.to_owned(), ancestor, rest, current: Mutex::new(None) };
        // Whatever is in its place may be gone later: `is_present` says so until then.
        let _ = dir.reopen();
        Ok(dir)
    }

    /// Whether the path leads to the directory that this works on. A handful of system calls.
    pub fn is_present(&self) -> bool {
        let identity = |fd: &OwnedFd| fstat(fd).ok().map(|stat| Identity::of(&stat));
        let there = self.walk().ok().and_then(|fd| identity(&fd));
        there.is_some() && there == self.current().ok().and_then(|fd| identity(&fd))
    }

    /// Looks the directory up again: after failures, or when it is not present.
    ///
    /// # Errors
    /// It is not there or may not be opened; this then works on none.
    pub fn reopen(&self) -> io::Result<()> {
        let found = self.walk().map(Arc::new);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(fd) => *current = Some(fd),
            Err(error) => {
                *current = None;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The learned journals, [`MAX_LEARNED_JOURNALS`] at most; none if there is no directory for them.
    ///
    /// # Errors
    /// There is no state directory, or those of the system.
    pub fn journals(&self) -> io::Result<Listing> {
        match self.learned() {
            Ok(learned) => list(&learned, FileName::parse_learned, MAX_LEARNED_JOURNALS),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.current().map(|_| Listing::default())
            }
            Err(error) => Err(error),
        }
    }

    /// The snapshot, the journals and the list files of the manager.
    ///
    /// # Errors
    /// There is no state directory, or those of the system.
    pub fn rules_files(&self) -> io::Result<Listing> {
        list(&*self.current()?, FileName::parse_rules, MAX_ENTRIES)
    }

    /// Which file has this name now, `None` if none has.
    ///
    /// # Errors
    /// There is no state directory, or those of the system.
    pub fn identity(&self, file: &FileName) -> io::Result<Option<Identity>> {
        let found = self
            .parent(file)
            .and_then(|parent| Ok(statat(&*parent, file.in_its_directory(), AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(stat) => Ok(Some(Identity::of(&stat))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.current().map(|_| None),
            Err(error) => Err(error),
        }
    }

    /// Opens a file for reading.
    pub(crate) fn open_file(&self, file: &FileName) -> io::Result<File> {
        open_regular(&*self.parent(file)?, &file.in_its_directory(), OFlags::RDONLY, Mode::empty())
    }

    pub(crate) fn current(&self) -> io::Result<Arc<OwnedFd>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        current.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The directory of the learned journals.
    pub(crate) fn learned(&self) -> io::Result<OwnedFd> {
        Ok(openat(&*self.current()?, LEARNED, DIRECTORY, Mode::empty())?)
    }

    /// The same, made if need be.
    pub(crate) fn learned_or_new(&self) -> io::Result<OwnedFd> {
        match mkdirat(&*self.current()?, LEARNED, Mode::from_raw_mode(0o750)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.learned(),
            // What is there may do, whatever kept it from being made: a file system that is read-only, say.
            Err(error) => self.learned().map_err(|_| error.into()),
        }
    }

    fn parent(&self, file: &FileName) -> io::Result<Arc<OwnedFd>> {
        match file {
            FileName::Learned(_) => self.learned().map(Arc::new),
            _ => self.current(),
        }
    }

    fn walk(&self) -> io::Result<OwnedFd> {
        let mut at = openat(&self.ancestor, ".", DIRECTORY, Mode::empty())?;
        for name in &self.rest {
            at = openat(&at, name.as_os_str(), DIRECTORY, Mode::empty())?;
        }
        // Fails where it may not be searched: without that, none of its files can be opened.
        Ok(openat(&at, ".", DIRECTORY, Mode::empty())?)
    }
}

/// A place to start from: `O_PATH` asks for no permission to list it.
const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The nearest directory above `path` that exists, and the names from there.
fn split_at_existing(path: &Path) -> io::Result<(PathBuf, Vec<OsString>)> {
    let mut above = std::path::absolute(path)?;
    // Symbolic links in what exists are the operator's, and cannot be followed after a chroot.
    // What is no directory is not in use, so nobody has to find it again.
    let real_directory = |path: &Path| path.canonicalize().ok().filter(|real| real.is_dir());
    if let Some(real) = real_directory(&above) {
        above = real;
    }
    let mut rest = Vec::new();
    loop {
        match above.components().next_back() {
            Some(Component::Normal(name)) => rest.push(name.to_owned()),
            Some(Component::ParentDir) => return Err(io::ErrorKind::InvalidInput.into()),
            _ => break,
        }
        above.pop();
        if let Some(real) = real_directory(&above) {
            above = real;
            break;
        }
    }
    rest.reverse();
    Ok((above, rest))
}

/// Opens `name` in `parent`, if it is a regular file: whatever else has that name is not ours, and opening a pipe
/// would wait.
pub(crate) fn open_regular(parent: &OwnedFd, name: &str, access: OFlags, mode: Mode) -> io::Result<File> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let not_ours = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
    let fd = openat(parent, name, flags, mode).map_err(|error| match error {
        // By `O_NOFOLLOW`, open(2).
        rustix::io::Errno::LOOP => not_ours("a symbolic link"),
        other => other.into(),
    })?;
    let file_type = FileType::from_raw_mode(fstat(&fd)?.st_mode);
    if file_type == FileType::RegularFile { Ok(File::from(fd)) } else { Err(not_ours("not a regular file")) }
}

/// What is not the writer's own has its name with this behind it, and a number.
const FOREIGN: &str = ".foreign";

/// Foreign things of one name that are kept.
const MAX_FOREIGN: u32 = 16;

/// Makes room for the writer where another user has put something in its place: the workers may write in the directory too.
/// A symbolic link, a pipe or a socket is removed, a directory or a file is renamed. Says what it was.
///
/// # Errors
/// Those of the system.
pub(crate) fn set_foreign_aside(parent: &OwnedFd, name: &str) -> io::Result<Option<&'static str>> {
    let found = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let what = match foreign(parent, &found)? {
        Some(what) => what,
        // Who has the other name could write to it.
        None if found.st_nlink > 1 => "a file with a second name",
        None => return Ok(None),
    };
    if !matches!(FileType::from_raw_mode(found.st_mode), FileType::RegularFile | FileType::Directory) {
        remove(parent, name)?;
        return Ok(Some(what));
    }
    for n in 0..MAX_FOREIGN {
        match renameat_with(parent, name, parent, format!("{name}{FOREIGN}{n}"), RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => {}
            moved => return moved.map(|()| Some(what)).map_err(Into::into),
        }
    }
    // So many are kept. A directory that is not empty stays, which the caller is told.
    let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    unlinkat(parent, name, if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() })?;
    Ok(Some(what))
}

/// What this is, if it is not a file of the writer's.
pub(crate) fn foreign(parent: &OwnedFd, found: &Stat) -> io::Result<Option<&'static str>> {
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile if is_own(parent, found)? => None,
        FileType::RegularFile => Some("a file of another user"),
        FileType::Directory => Some("a directory"),
        FileType::Symlink => Some("a symbolic link"),
        _ => Some("neither a file nor a directory"),
    })
}

/// What has this name, `None` if nothing has.
pub(crate) fn file_type(parent: &OwnedFd, name: &str) -> io::Result<Option<FileType>> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether this file belongs to root, to the user of this process, or to the owner of the directory.
fn is_own(parent: &OwnedFd, found: &Stat) -> io::Result<bool> {
    let owners = [0, geteuid().as_raw(), fstat(parent)?.st_uid];
    Ok(owners.contains(&found.st_uid))
}

/// Removes `name` from `parent`; that it is not there is no error.
pub(crate) fn remove(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The names in `parent`, [`MAX_ENTRIES`] at most, and whether there are more.
pub(crate) fn names(parent: &OwnedFd) -> io::Result<(Vec<String>, bool)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut entries = Dir::new(openat(parent, ".", flags, Mode::empty())?)?;
    let mut names = Vec::new();
    for entry in entries.by_ref().take(MAX_ENTRIES) {
        // What is not UTF-8 is not ours.
        if let Ok(name) = entry?.file_name().to_str() {
            names.push(name.to_owned());
        }
    }
    Ok((names, entries.next().is_some()))
}

fn list(parent: &OwnedFd, parse: impl Fn(&str) -> Option<FileName>, max: usize) -> io::Result<Listing> {
    let (names, is_cut) = names(parent)?;
    let mut files: Vec<_> = names.iter().filter_map(|name| parse(name)).collect();
    files.sort();
    let is_cut = is_cut || files.len() > max;
    files.truncate(max);
    Ok(Listing { files, is_cut })
}
