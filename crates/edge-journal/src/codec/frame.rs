//! Frames: length (u32, little-endian), CRC-32 (u32, little-endian) over length and payload, payload. The length
//! is that of the payload, 1 to [`MAX_FRAME_BYTES`]: the zeros that a file system leaves at the end of a file
//! after a power cut are no frame.

use crate::Damage;
use crate::codec::EncodeError;
use crate::mark::Fingerprint;

/// Longest payload of a frame, bytes.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// Length and checksum.
pub(crate) const FRAME_HEAD_BYTES: usize = 8;

/// What the bytes at the start of a window are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole frame with this payload.
    Whole(&'a [u8]),
    /// A whole frame whose checksum is wrong, this long with its head.
    WrongChecksum(usize),
    /// The frame needs this many bytes in all, more than there are.
    Needs(usize),
}

/// The first frame of `bytes`. O(length of the frame).
pub(crate) fn split(bytes: &[u8]) -> Result<Frame<'_>, Damage> {
    let Some((length_field, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(Frame::Needs(FRAME_HEAD_BYTES));
    };
    let length = u32::from_le_bytes(*length_field);
    let payload_bytes = match usize::try_from(length) {
        Ok(bytes @ 1..=MAX_FRAME_BYTES) => bytes,
        _ => return Err(Damage::Length(length)),
    };
    let whole = FRAME_HEAD_BYTES.saturating_add(payload_bytes);
    let Some((crc_field, rest)) = rest.split_first_chunk::<4>() else { return Ok(Frame::Needs(whole)) };
    let Some(payload) = rest.get(..payload_bytes) else { return Ok(Frame::Needs(whole)) };
    let is_right = checksum(*length_field, payload) == u32::from_le_bytes(*crc_field);
    Ok(if is_right { Frame::Whole(payload) } else { Frame::WrongChecksum(whole) })
}

/// What a whole frame is told apart by: its head.
pub(crate) fn fingerprint(frame: &[u8]) -> Fingerprint {
    frame.first_chunk::<FRAME_HEAD_BYTES>().map_or(0, |head| u64::from_le_bytes(*head))
}

/// Appends a frame whose payload `write` appends.
pub(super) fn append(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend([0; FRAME_HEAD_BYTES]);
    let written = write(out).and_then(|()| fill_head(out.get_mut(start..).unwrap_or_default()));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn fill_head(frame: &mut [u8]) -> Result<(), EncodeError> {
    let (head, payload) = frame.split_at_mut_checked(FRAME_HEAD_BYTES).unwrap_or_default();
    let too_large = EncodeError::TooLarge { bytes: payload.len() };
    if payload.is_empty() || payload.len() > MAX_FRAME_BYTES {
        return Err(too_large);
    }
    let length_field = u32::try_from(payload.len()).map_err(|_| too_large)?.to_le_bytes();
    let crc_field = checksum(length_field, payload).to_le_bytes();
    for (to, from) in head.iter_mut().zip(length_field.iter().chain(&crc_field)) {
        *to = *from;
    }
    Ok(())
}

fn checksum(length_field: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length_field);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Result<Vec<u8>, EncodeError> {
        let mut out = b"before".to_vec();
        append(&mut out, |out| {
            out.extend(payload);
            Ok(())
        })
        .map(|()| out.split_off(6))
    }

    #[test]
    fn a_frame_splits_off_and_a_part_of_it_asks_for_the_rest() {
        let whole = frame(b"abc").unwrap();
        assert_eq!(split(&[&whole[..], b"next"].concat()), Ok(Frame::Whole(b"abc")));
        for cut in 0..whole.len() {
            let needs = if cut < 4 { FRAME_HEAD_BYTES } else { whole.len() };
            assert_eq!(split(&whole[..cut]), Ok(Frame::Needs(needs)), "{cut}");
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_no_frames() {
        assert_eq!(split(&[0; 64]), Err(Damage::Length(0)));
        assert_eq!(split(&u32::MAX.to_le_bytes()), Err(Damage::Length(u32::MAX)));
        let largest = vec![7; MAX_FRAME_BYTES];
        assert_eq!(split(&frame(&largest).unwrap()), Ok(Frame::Whole(&largest[..])));
        for bad in [&[][..], &vec![7; MAX_FRAME_BYTES + 1]] {
            assert!(matches!(frame(bad), Err(EncodeError::TooLarge { bytes }) if bytes == bad.len()));
        }
    }
}
