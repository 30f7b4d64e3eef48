//! Old address tables, freed in pieces.

use super::packed::Packed;
use super::table::AddressTable;
use crate::{hash, trie};

/// What is left of tables that nobody reads any more.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    v4_hosts: hash::Remains<Packed<u32>>,
    v4_nets: trie::Remains<Packed<u32>>,
    v6_hosts: hash::Remains<Packed<u128>>,
    v6_long_nets: trie::Remains<Packed<u128>>,
    v6_nets: trie::Remains<Packed<u64>>,
}

impl Remains {
    pub(crate) fn add(&mut self, table: AddressTable) {
        let AddressTable {
            v4_presence: _,
            v4_hosts,
            v4_nets,
            v6_presence: _,
            v6_hosts,
            v6_long_nets,
            v6_nets,
        } = table;
        self.v4_hosts.add(v4_hosts.into_table());
        self.v4_nets.add(v4_nets);
        self.v6_hosts.add(v6_hosts.into_table());
        self.v6_long_nets.add(v6_long_nets);
        self.v6_nets.add(v6_nets);
    }

    /// Free one piece; false if there is none.
    pub(crate) fn free_one(&mut self) -> bool {
        self.v4_hosts.free_one(|_| ())
            || self.v4_nets.free_one()
            || self.v6_hosts.free_one(|_| ())
            || self.v6_long_nets.free_one()
            || self.v6_nets.free_one()
    }
}
