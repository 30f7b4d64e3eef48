//! Single addresses, found by hash.

use ahash::RandomState;

use super::AddressEntry;
use super::arrivals::HostArrivals;
use super::packed::{Packed, Tenure};
use crate::ClientNet;
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

    pub(super) fn into_table(self) -> HashTable<Packed<K>> {
        self.table
    }

    pub(super) fn table_mut(&mut self) -> &mut HashTable<Packed<K>> {
        &mut self.table
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

    /// Add addresses: see [`AddressTable::insert_many`].
    ///
    /// [`AddressTable::insert_many`]: super::AddressTable::insert_many
    pub(super) fn insert_many(
        &mut self,
        arrivals: HostArrivals<K>,
        net: fn(K, u8) -> ClientNet,
        mut make: impl FnMut(AddressEntry, Option<AddressEntry>) -> Option<Tenure>,
    ) {
        self.table.reserve(arrivals.len);
        let same = |entry: &Packed<K>, other: &Packed<K>| entry.key() == other.key();
        let mut arrivals = arrivals.in_order();
        while arrivals.next_part().is_some() {
            self.table.insert_many(arrivals.part(), same, |entry, other| {
                let tenure = make(entry.unpack(net), other.map(|other| other.unpack(net)))?;
                Some(entry.held_as(tenure))
            });
        }
    }

    pub(super) fn remove(&mut self, addr: K) -> Option<Packed<K>> {
        self.table.remove(self.hash(addr), |entry| entry.key() == addr)
    }

    pub(super) fn entries(&self) -> Entries<Packed<K>> {
        self.table.entries()
    }
}
