//! The integers that a trie can be keyed by.

use std::fmt::Debug;
use std::hash::Hash;

/// Bits that one node decides.
pub(super) const STRIDE: u8 = 6;

/// An unsigned integer, read from its most significant bit.
pub(crate) trait Key: Copy + Eq + Ord + Hash + Debug {
    /// Width in bits.
    const WIDTH: u8;
    /// No bit set.
    const ZERO: Self;
    /// The [`STRIDE`] bits after the first `depth`, padded with zeros on the right; `depth < BITS`.
    fn slot(self, depth: u8) -> u32;
    /// The first 16 bits.
    fn leading16(self) -> u16;
    /// How many leading bits are the same in both.
    fn common_prefix_len(self, other: Self) -> u8;
    /// The first `prefix_len` bits, the rest zero.
    fn prefix(self, prefix_len: u8) -> Self;

    /// Whether the first `prefix_len` bits are the same in both.
    #[inline]
    fn shares_prefix(self, other: Self, prefix_len: u8) -> bool {
        self.common_prefix_len(other) >= prefix_len
    }
}

macro_rules! key {
    ($($int:ty),*) => {$(
        impl Key for $int {
            const WIDTH: u8 = <$int>::BITS as u8;
            const ZERO: Self = 0;

            #[inline]
            fn slot(self, depth: u8) -> u32 {
                (self.wrapping_shl(u32::from(depth)) >> (Self::WIDTH - STRIDE)) as u32
            }

            #[inline]
            fn leading16(self) -> u16 {
                (self >> (Self::WIDTH - 16)) as u16
            }

            #[inline]
            fn common_prefix_len(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            #[inline]
            fn prefix(self, prefix_len: u8) -> Self {
                self & <$int>::MAX.checked_shl(u32::from(Self::WIDTH - prefix_len)).unwrap_or(0)
            }
        }
    )*};
}

key!(u32, u64, u128);
