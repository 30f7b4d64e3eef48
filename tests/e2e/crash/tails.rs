//! Ends of files as a crash of the machine leaves them, and worse.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use fastrand::Rng;

/// Every file begins with a preamble of this length; frames follow: length, checksum, payload.
const PREAMBLE_BYTES: usize = 16;
const FRAME_HEAD_BYTES: usize = 8;

/// Appends what is no record to a file that nobody writes.
///
/// # Errors
/// The file is not there or not of ours.
pub(super) fn spoil(file: &Path, rng: &mut Rng) -> io::Result<()> {
    let bytes = fs::read(file)?;
    let first = first_frame(&bytes).ok_or(io::ErrorKind::InvalidData)?;
    let tail = match rng.u8(..4) {
        0 => first[..rng.usize(1..first.len())].to_vec(),
        1 => {
            let mut flipped = first.to_vec();
            flipped[first.len() - 1] ^= 1 << rng.u8(..8);
            flipped
        }
        2 => vec![0; rng.usize(1..5000)],
        _ => (0..rng.usize(1..5000)).map(|_| rng.u8(..)).collect(),
    };
    OpenOptions::new().append(true).open(file)?.write_all(&tail)
}

fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let frame = bytes.get(PREAMBLE_BYTES..)?;
    let length = u32::from_le_bytes(frame.get(..4)?.try_into().ok()?);
    frame.get(..FRAME_HEAD_BYTES + usize::try_from(length).ok()?)
}
