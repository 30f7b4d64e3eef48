//! Many bytes looked at at once. The compiler makes vector instructions of a block of known length without branches;
//! byte by byte the scan of a canonical path was the larger half of a lookup.

/// Bytes of a block: a vector of x86-64-v2.
pub(super) const BLOCK: usize = 16;

/// Stands in for what a short text lacks: it may stand anywhere.
const FILL: u8 = b'a';

/// What is the same in each byte of a word.
const fn in_each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Where the first of these bytes is: eight at a time (Hacker's Delight, section 6-1).
#[inline]
pub(super) fn find(wanted: u8, text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // Zero where the byte is the wanted one.
        let difference = u64::from_le_bytes(*word) ^ in_each(wanted);
        let found = difference.wrapping_sub(in_each(1)) & !difference & in_each(0x80);
        if found != 0 {
            // Bits above the lowest may be wrong.
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| byte == wanted).map(|at| words.len() * 8 + at)
}

/// Whether a text of ASCII holds a capital letter. It may say so of one with a byte from `@` to `_` that is none.
#[inline]
pub(super) fn has_capital(text: &[u8]) -> bool {
    // Of letters, the bit for 32 tells capitals from others.
    let has = |word: u64| word & !(word << 1) & in_each(0x40) != 0;
    let (words, _) = text.as_chunks::<8>();
    match text.last_chunk() {
        Some(last) => words.iter().chain([last]).any(|word| has(u64::from_le_bytes(*word))),
        None => text.iter().any(|&byte| has(u64::from(byte))),
    }
}

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

/// A byte that may stand in a path: `[A-Za-z0-9./_-]`.
#[inline]
fn is_path_byte(byte: u8) -> bool {
    // From the dash to the nine there are dot, slash and digits.
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'-') < 13) | (byte == b'_')
}

/// Whether these are bytes that may stand in a path, none of them a slash with a slash or a dot behind it. The last one
/// is only looked at as what stands behind.
#[inline]
fn are_path_bytes(block: &[u8; BLOCK + 1]) -> bool {
    let mut all = true;
    for (&byte, &next) in block.iter().zip(&block[1..]) {
        let may_be_removed = (byte == b'/') & (next.wrapping_sub(b'.') < 2);
        all &= is_path_byte(byte) & !may_be_removed;
    }
    all
}

/// How many bytes at the start of a path are certainly canonical, whatever comes behind them; what stands before does
/// not matter.
#[inline]
pub(super) fn certainly_canonical(path: &[u8]) -> usize {
    let Some(last) = path.last_chunk::<{ BLOCK + 1 }>() else {
        return if are_path_bytes(&filled(path)) { path.len() } else { 0 };
    };
    let mut at = 0;
    while let Some(block) = path[at..].first_chunk() {
        if !are_path_bytes(block) {
            return at;
        }
        at += BLOCK;
    }
    match are_path_bytes(last) {
        true if is_path_byte(last[BLOCK]) => path.len(),
        true => path.len() - 1,
        false => at,
    }
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
                if is_path_byte {
                    assert_eq!(canonical, text.len(), "{odd} at {at}");
                } else {
                    assert!(canonical <= at, "{odd} at {at}: {canonical}");
                }
                assert!(has_capital(text) || !odd.is_ascii_uppercase(), "{odd} at {at}");
                assert!(!has_capital(text) || !is_name_byte || odd == b'_', "{odd} at {at}");
            });
        }
    }

    #[test]
    fn the_first_of_several_is_found_whatever_stands_around_it() {
        for around in 0..=u8::MAX {
            with_one_odd_byte(b'/', |text, at| {
                let mut text: Vec<u8> =
                    text.iter().map(|&byte| if byte == b'x' { around } else { byte }).collect();
                let first = if around == b'/' { 0 } else { at };
                assert_eq!(find(b'/', &text), Some(first), "{around}");
                text.resize(at, around);
                assert_eq!(find(b'/', &text), (around == b'/' && at > 0).then_some(0), "{around}");
                text.extend_from_slice(b"//");
                assert_eq!(find(b'/', &text), Some(if around == b'/' { 0 } else { at }), "{around}");
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
