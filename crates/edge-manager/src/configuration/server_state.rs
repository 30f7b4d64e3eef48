//! The file that keeps what HAProxy knows of its servers, from one worker to the next.
//!
//! Its path comes from whoever may change the site, and the manager may write nearly everywhere. So it is a new file or one of
//! that kind, and none of the manager's own.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

use super::error::PublishError;
use super::sets::at;

/// A file without any server: its version (`srv_state_parse_and_store_line` in src/server_state.c), without which HAProxy
/// warns. Every state begins with it.
const EMPTY: &str = "1\n";

const MODE: u32 = 0o640;

/// What is the manager's own.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Nothing in them is for others.
    pub(super) dirs: Vec<PathBuf>,
    /// Nor is what begins with their names: `rules.db-wal`, `rules.db.sock`.
    pub(super) files: Vec<PathBuf>,
}

impl Own {
    /// Whether the state of servers may be kept there. Nothing is made.
    ///
    /// # Errors
    /// [`PublishError::Unsuitable`] where it may not; its directory cannot be read.
    pub(super) fn examine(&self, path: &Path) -> Result<(), PublishError> {
        let fault = |why: String| {
            Err(PublishError::Unsuitable(vec![format!("server-state-file {}: {why}", path.display())]))
        };
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return fault("it is no file".to_owned());
        };
        let real = dir.canonicalize().map_err(|error| at(path, &error))?.join(name);
        let dir = self.dirs.iter().find(|dir| real.starts_with(canonical(dir)));
        if let Some(own) = dir.or_else(|| self.files.iter().find(|file| is_beside(&real, &canonical(file)))) {
            return fault(format!("{} is the manager's own", own.display()));
        }
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(at(path, &error).into()),
            Ok(found) if !found.is_file() => fault("something else than a file is there".to_owned()),
            Ok(_) => match begins_as_state(path) {
                Ok(true) => Ok(()),
                Ok(false) => fault("a file is there that holds something else".to_owned()),
                Err(error) => Err(at(path, &error).into()),
            },
        }
    }

    /// Replaces the state, so that HAProxy never reads it by half. It need not outlive a crash of the machine.
    ///
    /// # Errors
    /// It may not be kept there, or cannot be written.
    pub(super) fn write(&self, path: &Path, state: &str) -> Result<(), PublishError> {
        self.examine(path)?;
        let written = written_beside(path, state).and_then(|file| Ok(file.persist(path)?));
        written.map(drop).map_err(|error| at(path, &error).into())
    }
}

/// Makes the file where it is missing. One that is there stays as it is, and a link leads nowhere.
pub(super) fn create(path: &Path) -> io::Result<()> {
    match written_beside(path, EMPTY).and_then(|file| Ok(file.persist_noclobber(path)?)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(path, &error)),
        _ => Ok(()),
    }
}

/// A file that has this state and no name that anybody else has or can foretell: nobody finds one that is written by half.
fn written_beside(path: &Path, state: &str) -> io::Result<NamedTempFile> {
    let permissions = Permissions::from_mode(MODE);
    let mut file = tempfile::Builder::new()
        .prefix(".servers.")
        .permissions(permissions)
        .tempfile_in(path.parent().unwrap_or(path))?;
    file.write_all(state.as_bytes())?;
    Ok(file)
}

/// As the kernel finds it; as it is written where it is not there yet.
fn canonical(path: &Path) -> PathBuf {
    let of_parent = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(of_parent).unwrap_or_else(|| path.to_owned())
}

/// Whether it is this file, or one of a name that begins with its name.
fn is_beside(path: &Path, file: &Path) -> bool {
    path.parent() == file.parent() && path.as_os_str().as_bytes().starts_with(file.as_os_str().as_bytes())
}

fn begins_as_state(path: &Path) -> io::Result<bool> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let mut beginning = Vec::new();
    file.take(EMPTY.len() as u64).read_to_end(&mut beginning)?;
    // An empty file may be anything, such as a template that stands for nothing.
    Ok(beginning == EMPTY.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn own(dir: &Path) -> Own {
        fs::create_dir_all(dir.join("sets")).unwrap();
        Own {
            dirs: vec![dir.join("sets"), dir.join("state")],
            files: vec![dir.join("rules.db"), dir.join("edge.sock")],
        }
    }

    #[test]
    fn what_is_the_managers_own_or_somebody_elses_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let own = own(dir.path());
        fs::create_dir(at("state")).unwrap();
        symlink(at("sets"), at("link")).unwrap();
        fs::write(at("passwd"), "root:x:0:0\n").unwrap();
        fs::write(at("empty"), "").unwrap();
        symlink(at("passwd"), at("to-passwd")).unwrap();
        symlink(at("none"), at("to-none")).unwrap();
        let _socket = UnixListener::bind(at("other.sock")).unwrap();
        let managers = format!("{}/", dir.path().display());
        for (name, why) in [
            ("sets/x", "sets is the manager's own"),
            ("link/x", "sets is the manager's own"),
            ("state/rules.journal.7", "state is the manager's own"),
            ("rules.db-wal", "rules.db is the manager's own"),
            ("edge.sock", "edge.sock is the manager's own"),
            ("sets/../rules.db", "rules.db is the manager's own"),
            ("passwd", "a file is there that holds something else"),
            ("empty", "a file is there that holds something else"),
            ("to-passwd", "something else than a file is there"),
            ("to-none", "something else than a file is there"),
            ("other.sock", "something else than a file is there"),
            ("sets", "sets is the manager's own"),
        ] {
            let Err(PublishError::Unsuitable(faults)) = own.examine(&at(name)) else { panic!("{name}") };
            let said = faults[0].replacen(&format!("server-state-file {managers}{name}: "), "", 1);
            assert_eq!(said.replace(&managers, ""), why);
            assert!(own.write(&at(name), "1\nmine\n").is_err());
        }
        assert_eq!(fs::read_to_string(at("passwd")).unwrap(), "root:x:0:0\n");
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["empty", "link", "other.sock", "passwd", "sets", "state", "to-none", "to-passwd"]);
    }

    #[test]
    fn a_state_is_made_once_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let own = own(dir.path());
        let path = dir.path().join("rules.state");
        own.examine(&path).unwrap();
        assert!(!path.exists(), "a look makes nothing");
        create(&path).unwrap();
        own.write(&path, "1\none\n").unwrap();
        create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\none\n");
        own.write(&path, "1\ntwo\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn a_link_is_not_followed_where_a_state_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        symlink(&target, &link).unwrap();
        create(&link).unwrap();
        assert!(!target.exists());
    }
}
