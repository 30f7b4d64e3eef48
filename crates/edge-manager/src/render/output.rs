//! What a template writes, up to a limit.

use std::io;

/// Longest file that a template may write, bytes. 5000 backends of ten servers are a tenth of it.
const MAX_BYTES: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    pub(super) is_full: bool,
}

impl Output {
    pub(super) const TOO_LONG: &'static str = "writes more than 64 MiB";

    pub(super) fn into_text(self) -> String {
        // The engine writes `str`s only.
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl io::Write for Output {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > MAX_BYTES {
            self.is_full = true;
            return Err(io::Error::other(Self::TOO_LONG));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
