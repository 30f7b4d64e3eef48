//! A log file that does not grow for ever.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Length from which on a file becomes the one before, and another is begun, bytes. So the two take twice as much at most.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A file, and the one before it: `manager.log` and `manager.log.1`.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    file_bytes: u64,
    max_file_bytes: u64,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = append(path)?;
        let file_bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, file_bytes, max_file_bytes: MAX_FILE_BYTES })
    }

    /// Where it cannot be done, the file goes on as it is.
    fn turn(&mut self) -> io::Result<()> {
        let mut before = OsString::from(&self.path);
        before.push(".1");
        fs::rename(&self.path, before)?;
        self.reopen()
    }

    /// Goes on in the file of its name, since somebody has moved the one that it had. Where that cannot be opened, it goes on
    /// in the one that it has.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let file = append(&self.path)?;
        self.file_bytes = file.metadata()?.len();
        self.file = file;
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.file_bytes > 0 && self.file_bytes.saturating_add(line.len() as u64) > self.max_file_bytes {
            let _ = self.turn();
        }
        let bytes = self.file.write(line)?;
        self.file_bytes += bytes as u64;
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_are_kept_and_no_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manager.log");
        fs::write(&path, "0000\n").unwrap();
        let mut log = LogFile { max_file_bytes: 12, ..LogFile::open(&path).unwrap() };
        for line in ["1111\n", "2222\n", "a line longer than all of a file\n", "3333\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "3333\n");
        let before = fs::read_to_string(dir.path().join("manager.log.1")).unwrap();
        assert_eq!(before, "a line longer than all of a file\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
