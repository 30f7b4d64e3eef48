//! Single addresses, found by hash.

use std::sync::Arc;

use ahash::RandomState;

use super::packed::Packed;
use crate::hash::{Entries, HashTable};
use crate::trie::{Entry, Key};

/// Leading bits by which most addresses that are not listed are turned away.
const SEEN_BITS: u32 = 16;
const WORDS: usize = 1 << SEEN_BITS >> 6;

/// Single addresses of one family.
#[derive(Clone, Debug)]
pub(super) struct Hosts<K> {
    /// One bit for each value of the first 16 bits of an address: whether a host begins so. Few of IPv6's are in
    /// use, and the 8 KiB stay in the first-level cache. Bits stay when hosts go: they only cost time.
    seen: Arc<[u64; WORDS]>,
    table: HashTable<Packed<K>>,
}

/// Word and bit of an address in `seen`.
#[inline]
fn seen_at<K: Key>(addr: K) -> (usize, u64) {
    let top = addr.leading16();
    (usize::from(top >> 6) % WORDS, 1 << (top & 63))
}

impl<K: Key> Hosts<K> {
    pub(super) fn new(keys: &RandomState) -> Self {
        Self { seen: Arc::new([0; WORDS]), table: HashTable::new(keys.clone()) }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(super) fn hash(&self, addr: K) -> u64 {
        self.table.keys().hash_one(addr)
    }

    #[inline]
    pub(super) fn get(&self, addr: K) -> Option<&Packed<K>> {
        let (word, bit) = seen_at(addr);
        if self.seen[word] & bit == 0 {
            return None;
        }
        self.table.find(self.hash(addr), |entry| entry.key() == addr)
    }

    pub(super) fn insert(&mut self, entry: Packed<K>) -> Option<Packed<K>> {
        let (word, bit) = seen_at(entry.key());
        if self.seen[word] & bit == 0 {
            Arc::make_mut(&mut self.seen)[word] |= bit;
        }
        self.table.insert(entry, |other| other.key() == entry.key())
    }

    pub(super) fn remove(&mut self, addr: K) -> Option<Packed<K>> {
        self.table.remove(self.hash(addr), |entry| entry.key() == addr)
    }

    pub(super) fn entries(&self) -> Entries<Packed<K>> {
        self.table.entries()
    }
}
