//! Single addresses, found by hash.

use ahash::RandomState;

use super::AddressEntry;
use super::packed::Packed;
use crate::hash::{Coming, Entries, HashTable};
use crate::trie::{Entry, Key};
use crate::{AddressRule, ClientNet};

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

    /// Add addresses that come in the order of their hashes: see [`AddressTable::insert_many`].
    ///
    /// [`AddressTable::insert_many`]: super::AddressTable::insert_many
    pub(super) fn insert_many(
        &mut self,
        sorted: &[Coming],
        rules: &[AddressRule],
        bits: impl Fn(ClientNet) -> Option<K>,
        net: fn(K, u8) -> ClientNet,
        make: &mut impl FnMut(&AddressRule, Option<AddressEntry>) -> Option<AddressEntry>,
    ) {
        let rule = |number: u32| rules.get(number as usize);
        let addr = |number| bits(rule(number)?.net);
        let same = |number, other: &Packed<K>| addr(number) == Some(other.key());
        self.table.insert_many(sorted, same, |number, other| {
            let entry = make(rule(number)?, other.map(|other| other.unpack(net)))?;
            Some(Packed::new(addr(number)?, K::WIDTH, &entry))
        });
    }

    pub(super) fn remove(&mut self, addr: K) -> Option<Packed<K>> {
        self.table.remove(self.hash(addr), |entry| entry.key() == addr)
    }

    pub(super) fn entries(&self) -> Entries<Packed<K>> {
        self.table.entries()
    }
}
