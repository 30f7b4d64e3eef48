//! Many bytes looked at at once. The compiler makes vector instructions of a block of known length without branches;
//! byte by byte the scan of a canonical path was the larger half of a lookup.

/// Bytes of a block: a vector of x86-64-v2.
const BLOCK: usize = 16;

/// Stands in for what a short text lacks: it may stand anywhere.
const FILL: u8 = b'a';

#[inline]
fn are_name_bytes(block: &[u8; BLOCK]) -> bool {
    let is_name_byte = |byte: u8| {
        // The dash and the dot, which follow each other.
        (byte.wrapping_sub(b'a') < 26)
            | (byte.wrapping_sub(b'0') < 10)
            | (byte.wrapping_sub(b'-') < 2)
            | (byte == b'_')
    };
    block.iter().fold(true, |all, &byte| all & is_name_byte(byte))
}

/// Whether the text holds nothing but `[a-z0-9._-]`.
#[inline]
pub(super) fn is_all_name_bytes(text: &[u8]) -> bool {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    match text.last_chunk::<BLOCK>() {
        // Bytes that are looked at twice cost less than those that fill no block.
        Some(last) => blocks.iter().all(are_name_bytes) && are_name_bytes(last),
        None => are_name_bytes(&filled(rest)),
    }
}

/// Whether these are bytes that may stand in a path, none of them a slash with a slash or a dot behind it. The last one
/// is only looked at as what stands behind.
#[inline]
fn are_path_bytes(block: &[u8; BLOCK + 1]) -> bool {
    let mut all = true;
    for (&byte, &next) in block.iter().zip(&block[1..]) {
        // From the dash to the nine there are dot, slash and digits.
        let is_plain =
            ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'-') < 13) | (byte == b'_');
        let may_be_removed = (byte == b'/') & (next.wrapping_sub(b'.') < 2);
        all &= is_plain & !may_be_removed;
    }
    all
}

/// How many bytes at the start of a path are certainly canonical, whatever comes behind them.
#[inline]
pub(super) fn certainly_canonical(path: &[u8]) -> usize {
    let Some(last) = path.last_chunk::<{ BLOCK + 1 }>() else {
        return if are_path_bytes(&filled(path)) { path.len() } else { 0 };
    };
    let mut at = 0;
    while let Some(block) = path[at..].first_chunk::<{ BLOCK + 1 }>() {
        if !are_path_bytes(block) {
            return at;
        }
        at += BLOCK;
    }
    if are_path_bytes(last) { path.len() - 1 } else { at }
}

#[inline]
fn filled<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut block = [FILL; N];
    for (to, from) in block.iter_mut().zip(text) {
        *to = *from;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each text of any length up to 50 with one odd byte somewhere.
    fn with_one_odd_byte(odd: u8, mut see: impl FnMut(&[u8], usize)) {
        for bytes in 1..50 {
            for at in 0..bytes {
                let mut text = vec![b'x'; bytes];
                text[at] = odd;
                see(&text, at);
            }
        }
    }

    #[test]
    fn one_odd_byte_is_seen_wherever_it_stands() {
        for odd in 0..=u8::MAX {
            let is_name_byte = matches!(odd, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
            let is_path_byte = is_name_byte || matches!(odd, b'A'..=b'Z' | b'/');
            with_one_odd_byte(odd, |text, at| {
                assert_eq!(is_all_name_bytes(text), is_name_byte, "{odd} at {at}");
                let canonical = certainly_canonical(text);
                assert!(canonical <= at || is_path_byte, "{odd} at {at}: {canonical}");
                assert!(canonical + 1 >= text.len() || !is_path_byte, "{odd} at {at}: {canonical}");
            });
        }
    }

    #[test]
    fn a_slash_counts_with_what_stands_behind_it() {
        for next in [b'/', b'.'] {
            with_one_odd_byte(b'/', |text, at| {
                let mut text = text.to_vec();
                if let Some(behind) = text.get_mut(at + 1) {
                    *behind = next;
                    assert!(certainly_canonical(&text) <= at, "{at} of {}", text.len());
                }
            });
        }
    }
}
