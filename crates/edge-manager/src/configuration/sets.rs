//! Sets of files on disk.
//!
//! ```text
//! current -> sets/17    what HAProxy is started with: CONFIG_DIR/current/haproxy.cfg
//! good -> sets/16       the last one that was published to its end
//! number                the last number that was given
//! lock                  held by whoever changes something here
//! sets/17/              whole: synced before it got its name
//! sets/.18.new/         being written; sets/.3.old/: being removed
//! ```
//! Whatever begins with a dot was left behind by somebody who was killed, once the lock is held.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::haproxy::SET_VARIABLE;
use crate::render::Rendered;

use super::error::PublishError;
use super::manifest::{Manifest, sha256};

/// Sets that are kept, besides the one in force and the last good one.
pub const MAX_SETS: usize = 20;

/// Between two attempts to get the lock.
const PAUSE: Duration = Duration::from_millis(10);

const DIR_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

/// The links to sets.
pub(super) const CURRENT: &str = "current";
pub(super) const GOOD: &str = "good";

/// The file with the greatest number that a set had.
const NUMBER: &str = "number";

/// A set with its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Where it is from.
    pub manifest: Manifest,
    /// Its files, as they were rendered.
    pub files: Rendered,
}

/// The directory with all sets.
#[derive(Debug)]
pub(super) struct Sets {
    dir: PathBuf,
}

impl Sets {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let sets = Self { dir: dir.to_owned() };
        for dir in [dir, &sets.sets()] {
            let made = DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir);
            made.map_err(|error| at(dir, &error))?;
        }
        Ok(sets)
    }

    /// Keeps other processes away until it is dropped.
    pub(super) fn lock(&self, deadline: Instant) -> Result<File, PublishError> {
        let path = self.dir.join("lock");
        let opened = File::options().create(true).append(true).mode(FILE_MODE).open(&path);
        let lock = opened.map_err(|error| at(&path, &error))?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(fs::TryLockError::Error(error)) => return Err(at(&path, &error).into()),
                Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(PublishError::Busy);
                }
                Err(fs::TryLockError::WouldBlock) => thread::sleep(PAUSE),
            }
        }
    }

    /// Removes what somebody left behind who was killed. Nothing else: the directory may be one that others use too.
    pub(super) fn tidy(&self) -> io::Result<()> {
        for dir in [&self.dir, &self.sets()] {
            for path in entries(dir)? {
                if !is_unfinished(&path) {
                    continue;
                }
                if path.is_dir() && !path.is_symlink() {
                    remove_dir(&path)?;
                } else {
                    fs::remove_file(&path).map_err(|error| at(&path, &error))?;
                }
            }
        }
        Ok(())
    }

    /// Where HAProxy sees the set in force.
    pub(super) fn current_dir(&self) -> PathBuf {
        self.dir.join(CURRENT)
    }

    /// Writes a set that nobody sees yet, and answers where.
    pub(super) fn stage(&self, files: &Rendered, manifest: &Manifest) -> io::Result<PathBuf> {
        let dir = self.staged(manifest.set);
        make_dir(&dir)?;
        let mut dirs = vec![dir.clone()];
        for (path, contents) in files.files() {
            let path = dir.join(path);
            if let Some(parent) = path.parent()
                && !dirs.iter().any(|dir| dir == parent)
            {
                make_dir(parent)?;
                dirs.push(parent.to_owned());
            }
            let end = if path.ends_with(Rendered::MAIN) { marker(manifest.set) } else { String::new() };
            write(&path, &[contents, &end])?;
        }
        write(&dir.join(Manifest::FILE), &[&serde_json::to_string_pretty(manifest)?, "\n"])?;
        dirs.iter().try_for_each(|dir| sync(dir))?;
        Ok(dir)
    }

    /// Gives a staged set its name.
    pub(super) fn commit(&self, set: u64) -> io::Result<()> {
        let (staged, path) = (self.staged(set), self.path(set));
        fs::rename(&staged, &path).map_err(|error| at(&path, &error))?;
        sync(&self.sets())
    }

    /// Removes a staged set.
    pub(super) fn discard(&self, set: u64) -> io::Result<()> {
        remove_dir(&self.staged(set))
    }

    /// Removes a set. One that is removed by half has no name.
    pub(super) fn remove(&self, set: u64) -> io::Result<()> {
        let (path, leaving) = (self.path(set), self.sets().join(format!(".{set}.old")));
        fs::rename(&path, &leaving).map_err(|error| at(&path, &error))?;
        sync(&self.sets())?;
        remove_dir(&leaving)
    }

    /// Removes sets that nobody needs: all but the newest, and those that a link leads to.
    pub(super) fn collect(&self) -> io::Result<()> {
        let kept = [self.linked(CURRENT)?, self.linked(GOOD)?];
        let mut old = self.numbers()?.into_iter().skip(MAX_SETS).filter(|set| !kept.contains(&Some(*set)));
        old.try_for_each(|set| self.remove(set))
    }

    /// The set that a link leads to.
    pub(super) fn linked(&self, link: &str) -> io::Result<Option<u64>> {
        let path = self.dir.join(link);
        match fs::read_link(&path) {
            Ok(target) => Ok(number(&target).filter(|&set| self.path(set).is_dir())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path, &error)),
        }
    }

    /// Leads a link to a set, at once and for good; `None` takes it away.
    pub(super) fn link(&self, link: &str, set: Option<u64>) -> io::Result<()> {
        let path = self.dir.join(link);
        let done = match set {
            Some(set) => {
                let new = self.dir.join(format!(".{link}.new"));
                symlink(Path::new("sets").join(set.to_string()), &new).and_then(|()| fs::rename(&new, &path))
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            },
        };
        done.map_err(|error| at(&path, &error))?;
        sync(&self.dir)
    }

    /// A number that was never given before.
    pub(super) fn next_number(&self) -> io::Result<u64> {
        let (path, new) = (self.dir.join(NUMBER), self.dir.join(format!(".{NUMBER}.new")));
        let given = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(at(&path, &error)),
        };
        let next = self.numbers()?.first().map_or(given, |&newest| newest.max(given)) + 1;
        write(&new, &[&format!("{next}\n")])?;
        fs::rename(&new, &path).map_err(|error| at(&path, &error))?;
        sync(&self.dir)?;
        Ok(next)
    }

    /// The sets, newest first.
    pub(super) fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers: Vec<u64> = entries(&self.sets())?.iter().filter_map(|path| number(path)).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(numbers)
    }

    pub(super) fn manifest(&self, set: u64) -> Result<Manifest, PublishError> {
        let path = self.path(set).join(Manifest::FILE);
        let damaged = |why: String| PublishError::Damaged { set, why };
        let text = match fs::read_to_string(&path) {
            Err(_) if !self.path(set).is_dir() => return Err(PublishError::NoSuchSet(set)),
            Err(error) if is_damage(&error) => return Err(damaged(at(&path, &error).to_string())),
            other => other.map_err(|error| at(&path, &error))?,
        };
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|error| damaged(format!("{}: {error}", Manifest::FILE)))?;
        if manifest.set == set { Ok(manifest) } else { Err(damaged(format!("it is set {}", manifest.set))) }
    }

    /// A set with all its files, if they are what was written.
    pub(super) fn read(&self, set: u64) -> Result<Set, PublishError> {
        let (manifest, files) = (self.manifest(set)?, self.read_as_found(set)?);
        if sha256(&files) != manifest.sha256 {
            return Err(PublishError::Damaged {
                set,
                why: "its files are not those that were published".into(),
            });
        }
        Ok(Set { manifest, files })
    }

    /// The files of a set as HAProxy would find them, whoever has changed them since.
    pub(super) fn read_as_found(&self, set: u64) -> Result<Rendered, PublishError> {
        let mut files = self.files(set).map_err(|error| match error {
            error if is_damage(&error) => PublishError::Damaged { set, why: error.to_string() },
            error => error.into(),
        })?;
        let marker = marker(set);
        for (_, contents) in files.iter_mut().filter(|(path, _)| path == Rendered::MAIN) {
            if let Some(rendered) = contents.strip_suffix(&marker) {
                contents.truncate(rendered.len());
            }
        }
        Ok(files.into_iter().collect())
    }

    /// Name and contents of each file of a set but its manifest.
    fn files(&self, set: u64) -> io::Result<Vec<(String, String)>> {
        let dir = self.path(set);
        let mut files = Vec::new();
        for path in entries(&dir)? {
            if path.is_dir() {
                for path in entries(&path)? {
                    files.push(read(&dir, &path)?);
                }
            } else if !path.ends_with(Manifest::FILE) {
                files.push(read(&dir, &path)?);
            }
        }
        Ok(files)
    }

    fn sets(&self) -> PathBuf {
        self.dir.join("sets")
    }

    fn path(&self, set: u64) -> PathBuf {
        self.sets().join(set.to_string())
    }

    fn staged(&self, set: u64) -> PathBuf {
        self.sets().join(format!(".{set}.new"))
    }
}

/// What stands at the end of haproxy.cfg, so that a worker can say which set it runs. There it moves no line.
fn marker(set: u64) -> String {
    format!(
        "\n# By this the manager knows which of its sets a worker runs.\nglobal\n  setenv {SET_VARIABLE} {set}\n"
    )
}

fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.parse().ok().filter(|number: &u64| number.to_string() == name)
}

/// Whether this is a set or a link that was being written, or a set that was being removed: `.7.new`, `.7.old`, `.current.new`.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix('.'));
    let Some((what, stage)) = name.and_then(|name| name.rsplit_once('.')) else { return false };
    let is_ours = [CURRENT, GOOD, NUMBER].contains(&what) || number(Path::new(what)).is_some();
    is_ours && ["new", "old"].contains(&stage)
}

fn read(dir: &Path, path: &Path) -> io::Result<(String, String)> {
    let contents = fs::read_to_string(path).map_err(|error| at(path, &error))?;
    let name = path.strip_prefix(dir).unwrap_or(path);
    Ok((name.to_string_lossy().into_owned(), contents))
}

/// Whether somebody has changed the files of a set, which another set mends.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(|error: io::Error| at(dir, &error))
}

/// Whatever the umask is: HAProxy's group may read.
fn make_dir(dir: &Path) -> io::Result<()> {
    let made = fs::create_dir(dir).and_then(|()| fs::set_permissions(dir, Permissions::from_mode(DIR_MODE)));
    made.map_err(|error| at(dir, &error))
}

fn write(path: &Path, parts: &[&str]) -> io::Result<()> {
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(FILE_MODE).open(path)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        parts.iter().try_for_each(|part| file.write_all(part.as_bytes()))?;
        file.sync_all()
    };
    write().map_err(|error| at(path, &error))
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    fs::remove_dir_all(dir).map_err(|error| at(dir, &error))
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| at(dir, &error))
}

/// Errors of the system do not name their file.
pub(super) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
