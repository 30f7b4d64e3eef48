//! The first 16 bytes of a file, the same in all versions of the format:
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 7 | the magic |
//! | 8, 9 | version of the format, little-endian |
//! | 10 | kind of file |
//! | 11 | 0 |
//! | 12 to 15 | CRC-32 of the 12 bytes before, little-endian |

use crate::FileKind;

/// The version of the format that is written. Every version up to this one is read.
pub const FORMAT_VERSION: u16 = 1;

pub(crate) const PREAMBLE_BYTES: usize = 16;

/// As in PNG: the byte beyond ASCII and the line end show what treated the file as text.
const MAGIC: &[u8; 8] = b"\x89EdgeFJ\n";

/// Why a file is not read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPreamble {
    Foreign,
    Newer(u16),
    Damaged,
}

/// The preamble of a file of this kind, in the current version.
pub(crate) fn preamble(kind: FileKind) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    let version = FORMAT_VERSION.to_le_bytes();
    let fields = MAGIC.iter().chain(&version).chain([kind_byte(kind), 0].iter()).copied().collect::<Vec<_>>();
    let crc = crc32fast::hash(&fields).to_le_bytes();
    for (to, from) in bytes.iter_mut().zip(fields.iter().chain(&crc)) {
        *to = *from;
    }
    bytes
}

/// The kind of file that begins so.
pub(crate) fn check_preamble(bytes: &[u8; PREAMBLE_BYTES]) -> Result<FileKind, BadPreamble> {
    let [magic @ .., v0, v1, kind, reserved, c0, c1, c2, c3] = bytes;
    if magic != MAGIC {
        return Err(BadPreamble::Foreign);
    }
    let fields = bytes.split_last_chunk::<4>().map_or(&[][..], |(fields, _)| fields);
    if crc32fast::hash(fields) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
        return Err(BadPreamble::Damaged);
    }
    let kind = [FileKind::Snapshot, FileKind::List, FileKind::Journal, FileKind::Learned]
        .into_iter()
        .find(|known| kind_byte(*known) == *kind);
    match (u16::from_le_bytes([*v0, *v1]), kind, *reserved) {
        (version, ..) if version > FORMAT_VERSION => Err(BadPreamble::Newer(version)),
        (FORMAT_VERSION, Some(kind), 0) => Ok(kind),
        _ => Err(BadPreamble::Damaged),
    }
}

/// Whether a file that ends within its preamble may be one of ours.
pub(crate) fn could_be_preamble(bytes: &[u8]) -> bool {
    bytes.iter().zip(MAGIC).all(|(a, b)| a == b)
}

fn kind_byte(kind: FileKind) -> u8 {
    match kind {
        FileKind::Snapshot => 1,
        FileKind::List => 2,
        FileKind::Journal => 3,
        FileKind::Learned => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preamble_reads_back_and_no_flipped_bit_is_overlooked() {
        for kind in [FileKind::Snapshot, FileKind::List, FileKind::Journal, FileKind::Learned] {
            let good = preamble(kind);
            assert_eq!(check_preamble(&good), Ok(kind));
            for bit in 0..PREAMBLE_BYTES * 8 {
                let mut bad = good;
                bad[bit / 8] ^= 1 << (bit % 8);
                let expected = if bit < 64 { BadPreamble::Foreign } else { BadPreamble::Damaged };
                assert_eq!(check_preamble(&bad), Err(expected), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_newer_version_is_named_and_version_0_is_none() {
        for (version, expected) in
            [(2, BadPreamble::Newer(2)), (999, BadPreamble::Newer(999)), (0, BadPreamble::Damaged)]
        {
            let mut bytes = preamble(FileKind::Journal);
            bytes[8..10].copy_from_slice(&u16::to_le_bytes(version));
            let crc = crc32fast::hash(&bytes[..12]);
            bytes[12..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(check_preamble(&bytes), Err(expected));
        }
    }
}
