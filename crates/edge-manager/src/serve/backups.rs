//! Daily copies of the database.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;

use crate::clock::{now_s, rfc3339};
use crate::store::copy;

/// Between two looks whether one is due.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(900);

/// How the names of copies begin and end; the day is between.
const NAME: (&str, &str) = ("rules-", ".db");

/// Daily copies of the database: where, how many, and how large all of them may be.
#[derive(Clone, Debug)]
pub struct Backups {
    /// The database.
    pub database: PathBuf,
    /// Their directory.
    pub dir: PathBuf,
    /// So many are kept; 0 for none.
    pub keep: u16,
    /// All of them together are no longer than this, bytes.
    pub max_bytes: u64,
}

impl Backups {
    /// Makes the copy of today, if there is none yet, and removes old ones.
    pub(super) fn turn(&self) {
        if self.keep == 0 {
            return;
        }
        match self.make(&day(now_s())) {
            Ok(Some((path, bytes))) => {
                tracing::info!(copy = %path.display(), bytes, "the database is copied")
            }
            Ok(None) => {}
            Err(error) => tracing::error!(dir = %self.dir.display(), %error, "the database is not copied"),
        }
    }

    fn make(&self, day: &str) -> io::Result<Option<(PathBuf, u64)>> {
        let path = self.dir.join(format!("{}{day}{}", NAME.0, NAME.1));
        if path.try_exists()? {
            return Ok(None);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        self.check_room()?;
        let bytes = copy(&self.database, &path).map_err(io::Error::other)?;
        self.remove_old()?;
        Ok(Some((path, bytes)))
    }

    /// A copy is never the one that fills the disk, and is no longer than the database.
    fn check_room(&self) -> io::Result<()> {
        let bytes = fs::metadata(&self.database)?.len();
        if bytes > self.max_bytes {
            let max = self.max_bytes;
            return Err(io::Error::other(format!("it has {bytes} bytes, and all copies may have {max}")));
        }
        let system = statvfs(&self.dir)?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let whole = system.f_blocks.saturating_mul(system.f_frsize);
        if free.saturating_sub(bytes) < whole / 20 {
            let why = format!(
                "{free} bytes are free: a copy of {bytes} would leave less than a twentieth of the disk"
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        Ok(())
    }

    /// The newest stays in any case.
    fn remove_old(&self) -> io::Result<()> {
        let (mut kept, mut bytes) = (0, 0);
        for path in copies(&self.dir)? {
            kept += 1;
            bytes += fs::symlink_metadata(&path)?.len();
            if kept > 1 && (kept > self.keep || bytes > self.max_bytes) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// As `2026-01-31`.
fn day(now_s: u32) -> String {
    rfc3339(now_s).to_string().chars().take(10).collect()
}

/// The copies, the newest first. Other files are nobody's business here.
fn copies(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let is_day =
        |text: &str| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let between = name.strip_prefix(NAME.0).and_then(|rest| rest.strip_suffix(NAME.1));
        if between.is_some_and(is_day) {
            found.push(dir.join(&*name));
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::Store;

    fn backups(dir: &Path, keep: u16) -> Backups {
        let database = dir.join("rules.db");
        drop(Store::open(&database).unwrap());
        Backups { database, dir: dir.join("copies"), keep, max_bytes: 1 << 30 }
    }

    fn names(backups: &Backups) -> Vec<String> {
        let names = copies(&backups.dir).unwrap().into_iter();
        names.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn one_copy_a_day_is_made_and_so_many_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let backups = backups(home.path(), 2);
        for day in ["2026-01-01", "2026-01-02", "2026-01-02", "2026-01-03"] {
            backups.make(day).unwrap();
        }
        fs::write(backups.dir.join("rules-mine.db"), "").unwrap();
        backups.make("2026-02-01").unwrap();
        assert_eq!(names(&backups), ["rules-2026-02-01.db", "rules-2026-01-03.db"]);
        assert!(backups.dir.join("rules-mine.db").exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&backups.dir), mode(&backups.dir.join("rules-2026-02-01.db"))), (0o700, 0o600));
        assert!(backups.make("2026-02-01").unwrap().is_none());
    }

    #[test]
    fn copies_have_so_many_bytes_at_most() {
        let home = tempfile::tempdir().unwrap();
        let mut backups = backups(home.path(), 9);
        let (_, bytes) = backups.make("2026-01-01").unwrap().unwrap();
        backups.max_bytes = fs::metadata(&backups.database).unwrap().len().max(2 * bytes);
        for day in ["2026-01-02", "2026-01-03", "2026-01-04"] {
            backups.make(day).unwrap();
        }
        assert!(
            names(&backups).len() <= 2 && names(&backups)[0] == "rules-2026-01-04.db",
            "{:?}",
            names(&backups)
        );
        backups.max_bytes = 1;
        assert!(backups.make("2026-01-05").unwrap_err().to_string().contains("all copies may have 1"));
        assert_eq!(names(&backups)[0], "rules-2026-01-04.db");
    }

    #[test]
    fn a_damaged_database_takes_the_place_of_no_good_copy() {
        let home = tempfile::tempdir().unwrap();
        let backups = backups(home.path(), 1);
        backups.make("2026-01-01").unwrap();
        let mut bytes = fs::read(&backups.database).unwrap();
        let from = bytes.len() / 2;
        bytes[from..].fill(0xa5);
        fs::write(&backups.database, bytes).unwrap();
        backups.make("2026-01-02").unwrap_err();
        assert_eq!(names(&backups), ["rules-2026-01-01.db"]);
        assert_eq!(fs::read_dir(&backups.dir).unwrap().count(), 1, "nothing is left of it");
    }
}
