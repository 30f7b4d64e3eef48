//! Single addresses, found by hash.

use ahash::RandomState;

use super::packed::Packed;
use crate::hash::{Entries, HashTable};
use crate::trie::{Entry, Key};

/// Single addresses of one family.
#[derive(Clone, Debug)]
pub(super) struct Hosts<K> {
    table: HashTable<Packed<K>>,
}

impl<K: Key> Hosts<K> {
    pub(super) fn new(keys: &RandomState) -> Self {
        Self { table: HashTable::new(keys.clone()) }
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
        if self.len() == 0 {
            return None;
        }
        self.table.find(self.hash(addr), |entry| entry.key() == addr)
    }

    pub(super) fn insert(&mut self, entry: Packed<K>) -> Option<Packed<K>> {
        self.table.insert(entry, |other| other.key() == entry.key())
    }

    pub(super) fn remove(&mut self, addr: K) -> Option<Packed<K>> {
        self.table.remove(self.hash(addr), |entry| entry.key() == addr)
    }

    pub(super) fn entries(&self) -> Entries<Packed<K>> {
        self.table.entries()
    }
}
