//! Renewing the single addresses of a table: what comes and what goes, in one pass that can be interrupted.

use std::ops::RangeInclusive;

use super::arrivals::{Arrivals, HostArrivals, InOrder};
use super::packed::{Packed, Tenure};
use super::presence::Presence;
use super::{AddressEntry, AddressTable};
use crate::ClientNet;
use crate::hash::{HashTable, Renewal};
use crate::trie::{Entry, Key};

/// Addresses that an empty table is given its shape for: one of more is brought to it by splitting, a bucket at a time, since
/// the shape of a million is made in a millisecond.
const MAX_RESERVED: usize = 1 << 18;

/// What becomes of the single addresses of a table that is renewed.
pub(crate) trait AddressRenewal {
    /// Whether an address stays if it does not come.
    fn stays(&self, entry: &AddressEntry) -> bool;

    /// What an address that comes is held as, in place of its entry if there is one. `None` leaves everything as it is. Of
    /// those of the same address it takes the first at most.
    fn takes(&mut self, coming: &AddressEntry, other: Option<&AddressEntry>) -> Option<Tenure>;

    /// An address goes, neither staying nor replaced.
    fn goes(&mut self, entry: &AddressEntry);
}

/// How far the single addresses of a table were renewed, and what is still to come.
#[derive(Debug)]
pub(crate) struct Pass {
    v4: HostPass<u32>,
    v6: HostPass<u128>,
}

#[derive(Debug)]
struct HostPass<K> {
    /// How many come in all.
    len: usize,
    coming: InOrder<K>,
    /// Of the part at hand: the hashes that were not renewed yet, and how many of its addresses have come.
    span: Option<RangeInclusive<u64>>,
    come: usize,
}

impl Pass {
    /// Over all single addresses. Those of networks among the arrivals are left out.
    pub(crate) fn of(arrivals: Arrivals) -> Self {
        let Arrivals { v4_hosts, v6_hosts, nets: _ } = arrivals;
        Self { v4: HostPass::of(v4_hosts), v6: HostPass::of(v6_hosts) }
    }
}

impl AddressTable {
    /// Go on with a pass, for `max` buckets at most, or to put the next part of what comes in order; whether it is over.
    /// O(max), or O(the arrivals / 256).
    pub(crate) fn renew(&mut self, pass: &mut Pass, max: usize, renewal: &mut impl AddressRenewal) -> bool {
        let Self { v4_presence, v4_hosts, v6_presence, v6_hosts, .. } = self;
        let v4 = Renewing { presence: v4_presence, net: ClientNet::V4, renewal };
        if !pass.v4.go_on(v4_hosts.table_mut(), max, v4) {
            return false;
        }
        let v6 = Renewing { presence: v6_presence, net: ClientNet::V6, renewal };
        pass.v6.go_on(v6_hosts.table_mut(), max, v6)
    }
}

impl<K: Key> HostPass<K> {
    fn of(arrivals: HostArrivals<K>) -> Self {
        Self { len: arrivals.len, coming: arrivals.in_order(), span: None, come: 0 }
    }

    /// Whether it is over.
    fn go_on(
        &mut self,
        table: &mut HashTable<Packed<K>>,
        max: usize,
        mut renewing: Renewing<'_, K, impl AddressRenewal>,
    ) -> bool {
        if self.span.is_none() {
            self.span = self.coming.next_part();
            self.come = 0;
            return self.span.is_none();
        }
        table.reserve(self.len.min(MAX_RESERVED));
        for _ in 0..max {
            let Some(span) = self.span.take() else { break };
            let rest = self.coming.part().get(self.come..).unwrap_or_default();
            let (come, span) = table.renew_bucket(span, rest, &mut renewing);
            self.come += come;
            self.span = span;
        }
        false
    }
}

/// Renews the addresses of one family.
struct Renewing<'a, K, R> {
    presence: &'a mut Presence,
    net: fn(K, u8) -> ClientNet,
    renewal: &'a mut R,
}

impl<K: Key, R: AddressRenewal> Renewal<Packed<K>> for Renewing<'_, K, R> {
    fn is_same(one: &Packed<K>, other: &Packed<K>) -> bool {
        one.key() == other.key()
    }

    fn stays(&self, entry: &Packed<K>) -> bool {
        self.renewal.stays(&entry.unpack(self.net))
    }

    fn takes(&mut self, coming: &Packed<K>, other: Option<&Packed<K>>) -> Option<Packed<K>> {
        let other = other.map(|other| other.unpack(self.net));
        let tenure = self.renewal.takes(&coming.unpack(self.net), other.as_ref())?;
        self.presence.add(coming.key(), coming.prefix_len());
        Some(coming.held_as(tenure))
    }

    fn goes(&mut self, entry: &Packed<K>) {
        self.renewal.goes(&entry.unpack(self.net));
    }
}
