//! A copy of a database that another program uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ImportError;
use super::lines::regular;

/// Largest file, bytes.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// A file with this behind its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies a file with what SQLite keeps beside it, none of which may change meanwhile.
///
/// # Errors
/// One of them is no plain file, is larger than 4 GiB, cannot be read or written, or changes meanwhile.
pub(super) fn copy_all(from: &Path, to: &Path) -> Result<(), ImportError> {
    let stamps = || ["", "-wal", "-journal"].map(|suffix| (suffix, stamp(&beside(from, suffix))));
    let before = stamps();
    for (suffix, stamp) in &before {
        let (from, to) = (beside(from, suffix), beside(to, suffix));
        if stamp.is_some() || suffix.is_empty() {
            regular(&from, MAX_FILE_BYTES)?;
            fs::copy(&from, &to).map_err(|error| ImportError::Io(from.clone(), error))?;
        }
    }
    if stamps() != before {
        return Err(ImportError::Changed(from.to_owned()));
    }
    Ok(())
}

/// Length and time of change of a file, if it is there.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}
