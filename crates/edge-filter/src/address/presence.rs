//! Where in an address family anything is listed at all.

use std::sync::Arc;

use crate::trie::Key;

/// Leading bits that are told apart.
const BITS: u8 = 16;
const WORDS: usize = 1 << BITS >> 6;

/// One bit for each value of the first 16 bits of an address: whether any listed network reaches there. A client
/// that is not listed is turned away here, most often: few values of IPv6 are in use, and the 8 KiB stay in the
/// first-level cache. Bits stay when networks go: they only cost time.
#[derive(Clone, Debug)]
pub(super) struct Presence(Arc<[u64; WORDS]>);

impl Default for Presence {
    fn default() -> Self {
        Self(Arc::new([0; WORDS]))
    }
}

impl Presence {
    #[inline]
    pub(super) fn reaches<K: Key>(&self, addr: K) -> bool {
        let top = addr.leading16();
        self.0[usize::from(top >> 6) % WORDS] >> (top & 63) & 1 != 0
    }

    /// Note a network. O(1) from /16 on; a shorter one reaches up to 65,536 values.
    pub(super) fn add<K: Key>(&mut self, net: K, prefix_len: u8) {
        let first = usize::from(net.leading16());
        let count = 1 << BITS.saturating_sub(prefix_len);
        if (first..first + count).all(|top| self.0[top / 64 % WORDS] >> (top % 64) & 1 != 0) {
            return;
        }
        let words = Arc::make_mut(&mut self.0);
        for top in first..first + count {
            words[top / 64 % WORDS] |= 1 << (top % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_reaches_all_its_addresses_and_no_others() {
        let mut presence = Presence::default();
        presence.add(0x0A0B_0C00u32, 24);
        assert!(presence.reaches(0x0A0B_FFFFu32) && !presence.reaches(0x0A0C_0C00u32));
        presence.add(0x8000_0000u32, 9);
        assert!(presence.reaches(0x8000_0001u32) && presence.reaches(0x807F_FFFFu32));
        assert!(!presence.reaches(0x8080_0000u32) && !presence.reaches(0x7FFF_FFFFu32));
        presence.add(0u128, 0);
        assert!(presence.reaches(u128::MAX) && presence.reaches(0u128));
    }
}
