//! Appending whole records to a file.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::ftruncate;

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

    /// Appends by one `write(2)`.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_torn {
            return Err(io::Error::other("the journal ends within a record"));
        }
        let written = loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if written == bytes.len() {
            self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
            return Ok(());
        }
        self.is_torn = ftruncate(&self.file, self.bytes).is_err();
        Err(io::Error::new(io::ErrorKind::StorageFull, "the disk took a part of the record only"))
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
