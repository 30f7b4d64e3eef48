//! A state directory that outlives the HAProxy that uses it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User};
use tempfile::TempDir;

use crate::Mode;

/// A state directory, owned by whoever serves in a mode. It is removed when it is dropped.
#[derive(Debug)]
pub struct StateHome {
    dir: TempDir,
    owner: Option<(Uid, Gid)>,
}

impl StateHome {
    /// An empty one, where HAProxy in this mode may write.
    ///
    /// # Panics
    /// It cannot be made, or there is no user `haproxy` to give it to.
    pub fn new(mode: Mode) -> Self {
        let dir = tempfile::Builder::new().prefix("edge-state.").tempdir().expect("a directory");
        // Whoever is not its owner still has to get at the directory below.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("our directory");
        let home = Self { dir, owner: mode.serving_user() };
        home.make().expect("a state directory");
        home
    }

    /// Makes the directory, which must not be there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn make(&self) -> io::Result<()> {
        fs::create_dir(self.path())?;
        self.give_away(&self.path())
    }

    /// Gives a file or directory to whoever serves.
    ///
    /// # Errors
    /// Those of the system.
    pub fn give_away(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some((user, group)) => chown(path, Some(user.as_raw()), Some(group.as_raw())),
            None => Ok(()),
        }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The user and group that HAProxy serves as, where these are not ours.
    pub fn owner(&self) -> Option<(Uid, Gid)> {
        self.owner
    }

    /// All files in it, sorted: `learned/x.journal`.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![self.path()];
        while let Some(dir) = waiting.pop() {
            // What is gone meanwhile is no file.
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                    _ => found.extend(entry.path().strip_prefix(self.path()).ok().map(Path::to_owned)),
                }
            }
        }
        let mut names: Vec<String> = found.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The learned journals among [`StateHome::files`].
    pub fn learned(&self) -> Vec<String> {
        self.files()
            .into_iter()
            .filter(|name| name.starts_with("learned/") && name.ends_with(".journal"))
            .collect()
    }
}

/// Makes a state directory, if need be, that a manager writes and HAProxy's workers read by their group, as the README says.
///
/// # Errors
/// Those of the system, or there is no user `haproxy` where we are root.
pub fn make_managed_state(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    if Uid::effective().is_root() {
        let user = User::from_name("haproxy")?.ok_or_else(|| io::Error::other("no user haproxy"))?;
        chown(path, None, Some(user.gid.as_raw()))?;
    }
    fs::set_permissions(path, Permissions::from_mode(0o2770))
}

impl Mode {
    /// The user and group that the worker takes on; `None`: it stays who started it.
    fn serving_user(self) -> Option<(Uid, Gid)> {
        if !(self.master_worker && Uid::effective().is_root()) {
            return None;
        }
        let user = User::from_name("haproxy").ok().flatten().expect("a user haproxy");
        Some((user.uid, user.gid))
    }
}

/// Keeps the manager from writing its next snapshot until the directory that this answers is removed with all in it: it
/// stands in the place of the unfinished file, and every name is taken that it could be put aside under.
///
/// # Panics
/// A directory cannot be made.
pub fn obstruct_snapshot(state: &Path) -> PathBuf {
    let obstacle = state.join("rules.snapshot.new");
    fs::create_dir_all(obstacle.join("full")).expect("a directory");
    for n in 0..16 {
        fs::create_dir(state.join(format!("rules.snapshot.new.foreign{n}"))).expect("a directory");
    }
    obstacle
}
