//! Single addresses, found by hash.

use ahash::RandomState;

use super::AddressEntry;
use super::packed::Packed;
use crate::ClientNet;
use crate::hash::{Coming, Entries, HashTable};
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

    pub(super) fn into_table(self) -> HashTable<Packed<K>> {
        self.table
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

    /// One of the addresses to come; its slot is its number among them.
    pub(super) fn coming(&self, addr: K, entry: &AddressEntry) -> Coming<Packed<K>> {
        (self.hash(addr), Packed::new(addr, K::WIDTH, entry))
    }

    /// Add addresses: see [`AddressTable::insert_many`].
    ///
    /// [`AddressTable::insert_many`]: super::AddressTable::insert_many
    pub(super) fn insert_many(
        &mut self,
        mut coming: Vec<Coming<Packed<K>>>,
        net: fn(K, u8) -> ClientNet,
        make: &mut impl FnMut(AddressEntry, Option<AddressEntry>) -> Option<AddressEntry>,
    ) {
        coming.sort_unstable_by_key(|(hash, entry)| (*hash, entry.slot()));
        let same = |entry: &Packed<K>, other: &Packed<K>| entry.key() == other.key();
        self.table.insert_many(&coming, same, |entry, other| {
            let made = make(entry.unpack(net), other.map(|other| other.unpack(net)))?;
            Some(Packed::new(entry.key(), K::WIDTH, &made))
        });
    }

    pub(super) fn remove(&mut self, addr: K) -> Option<Packed<K>> {
        self.table.remove(self.hash(addr), |entry| entry.key() == addr)
    }

    pub(super) fn entries(&self) -> Entries<Packed<K>> {
        self.table.entries()
    }
}
