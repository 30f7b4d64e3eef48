//! Appending whole records to a file.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::{fstat, ftruncate};

/// Appends to a file that nobody else writes: all of a record or nothing.
#[derive(Debug)]
pub(crate) struct Appender {
    /// Opened with `O_APPEND`.
    file: File,
    bytes: u64,
    /// The file ends within a record that could not be taken back: nothing behind it would be read.
    is_torn: bool,
}

impl Appender {
    /// The file is this long, bytes.
    pub(crate) fn new(file: File, bytes: u64) -> Self {
        Self { file, bytes, is_torn: false }
    }

    /// Appends by one `write(2)`. Where that takes a part only, a second one takes the rest or has the cause.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_torn {
            return Err(io::Error::other("the journal ends within a record"));
        }
        let written = self.write(bytes)?;
        let rest = bytes.get(written..).unwrap_or_default();
        let failure = if rest.is_empty() {
            None
        } else {
            match self.write(rest) {
                Ok(written) if written == rest.len() => None,
                Ok(_) => Some(io::Error::other("the disk took a part of the record only")),
                Err(error) => Some(error),
            }
        };
        if let Some(failure) = failure {
            self.is_torn = ftruncate(&self.file, self.bytes).is_err();
            return Err(failure);
        }
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Whether the file is as long as what was written to it.
    pub(crate) fn has_its_length(&self) -> bool {
        fstat(&self.file).is_ok_and(|stat| u64::try_from(stat.st_size) == Ok(self.bytes))
    }

    /// How long the file is, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Waits until all of it is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
