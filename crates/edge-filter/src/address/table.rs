//! The longest-prefix table of one address list.

use std::net::IpAddr;

use ahash::RandomState;

use super::arrivals::Arrivals;
use super::hosts::Hosts;
use super::packed::{Packed, Ruling, Tenure};
use super::presence::Presence;
use crate::snapshot::LEARNED;
use crate::trie::Trie;
use crate::{Action, ClientNet};

/// What the table holds for one network: 16 bytes for IPv4, 32 for IPv6, so texts live elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressEntry {
    /// The network.
    pub net: ClientNet,
    /// What is done.
    pub action: Action,
    /// When it ends, seconds since the Unix epoch; [`crate::NEVER`] for no end.
    pub expires_at_s: u32,
    /// Where its hits are counted and its texts are kept.
    pub(crate) slot: u32,
    /// Which list it came from.
    pub(crate) source: u8,
}

impl AddressEntry {
    /// An entry that belongs to no rule: for tables on their own, as in benches and property tests.
    pub const fn bare(net: ClientNet, action: Action, expires_at_s: u32) -> Self {
        Self { net, action, expires_at_s, slot: 0, source: 0 }
    }
}

/// IPv6 prefixes up to this length are kept under 64-bit keys, which halves what a lookup computes; longer ones
/// that are no single address are rare.
const SHORT_MAX: u8 = 64;

fn upper(bits: u128) -> u64 {
    (bits >> 64) as u64
}

fn short_v6(bits: u64, prefix_len: u8) -> ClientNet {
    ClientNet::V6(u128::from(bits) << 64, prefix_len)
}

/// Networks with what is done to their clients. A clone shares everything and costs some reference counts.
///
/// Most lists hold single addresses and nothing else: those are found by hash, at 20 bytes (IPv4) or 40 (IPv6)
/// and two cache misses each, before the tries of shorter prefixes are asked.
#[derive(Clone, Debug)]
pub struct AddressTable {
    pub(super) v4_presence: Presence,
    pub(super) v4_hosts: Hosts<u32>,
    pub(super) v4_nets: Trie<Packed<u32>>,
    pub(super) v6_presence: Presence,
    pub(super) v6_hosts: Hosts<u128>,
    /// Prefixes of 65 to 127 bits.
    pub(super) v6_long_nets: Trie<Packed<u128>>,
    /// Prefixes of 0 to 64 bits.
    pub(super) v6_nets: Trie<Packed<u64>>,
}

impl Default for AddressTable {
    /// With random hash keys.
    fn default() -> Self {
        Self::new(&RandomState::new())
    }
}

impl AddressTable {
    pub(crate) fn new(keys: &RandomState) -> Self {
        Self {
            v4_presence: Presence::default(),
            v4_hosts: Hosts::new(keys),
            v4_nets: Trie::default(),
            v6_presence: Presence::default(),
            v6_hosts: Hosts::new(keys),
            v6_long_nets: Trie::default(),
            v6_nets: Trie::default(),
        }
    }

    /// Networks held, expired ones that were not yet swept among them.
    pub fn len(&self) -> usize {
        self.v4_hosts.len()
            + self.v4_nets.len()
            + self.v6_hosts.len()
            + self.v6_long_nets.len()
            + self.v6_nets.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest network that holds `addr` and has not expired. `addr` must be canonical
    /// ([`IpAddr::to_canonical`]): IPv4-mapped IPv6 is looked up as IPv6 otherwise.
    ///
    /// A dozen dependent loads at most for IPv4, two dozen for IPv6; allocates nothing and cannot panic.
    #[inline]
    pub fn longest_match(&self, addr: IpAddr, now_s: u32) -> Option<AddressEntry> {
        self.longest(addr, now_s).map(|ruling| ruling.entry(addr))
    }

    /// The same without the network.
    #[inline]
    pub(crate) fn longest(&self, addr: IpAddr, now_s: u32) -> Option<&Ruling> {
        self.longest_of(addr, |ruling| now_s < ruling.expires_at_s)
    }

    /// The same of those alone that came from a list.
    pub(crate) fn longest_listed(&self, addr: IpAddr, now_s: u32) -> Option<&Ruling> {
        self.longest_of(addr, |ruling| now_s < ruling.expires_at_s && ruling.source != LEARNED)
    }

    /// What is held of the longest network that holds `addr`, of those that are `wanted`. The presence maps are asked
    /// before anything is called: most often that is all there is to do.
    #[inline(always)]
    fn longest_of(&self, addr: IpAddr, wanted: impl Fn(&Ruling) -> bool) -> Option<&Ruling> {
        match addr {
            IpAddr::V4(v4) if self.v4_presence.reaches(v4.to_bits()) => {
                self.longest_of_v4(v4.to_bits(), wanted)
            }
            IpAddr::V6(v6) if self.v6_presence.reaches(v6.to_bits()) => {
                self.longest_of_v6(v6.to_bits(), wanted)
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn longest_of_v4(&self, bits: u32, wanted: impl Fn(&Ruling) -> bool) -> Option<&Ruling> {
        let host = self.v4_hosts.get(bits).filter(|host| wanted(host.ruling()));
        let net = || self.v4_nets.longest_match(bits, |net| wanted(net.ruling()));
        host.or_else(net).map(Packed::ruling)
    }

    #[inline(never)]
    fn longest_of_v6(&self, bits: u128, wanted: impl Fn(&Ruling) -> bool) -> Option<&Ruling> {
        let host = self.v6_hosts.get(bits).filter(|host| wanted(host.ruling()));
        let long = || self.v6_long_nets.longest_match(bits, |net| wanted(net.ruling()));
        if let Some(found) = host.or_else(long) {
            return Some(found.ruling());
        }
        self.v6_nets.longest_match(upper(bits), |net| wanted(net.ruling())).map(Packed::ruling)
    }

    /// Every network that holds `addr`, longest first, expired ones among them.
    pub fn covering(&self, addr: IpAddr) -> Vec<AddressEntry> {
        let mut all = Vec::new();
        match addr {
            IpAddr::V4(v4) => {
                let bits = v4.to_bits();
                self.v4_nets.covering(bits, |net| all.push(net.unpack(ClientNet::V4)));
                all.extend(self.v4_hosts.get(bits).map(|host| host.unpack(ClientNet::V4)));
            }
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                self.v6_nets.covering(upper(bits), |net| all.push(net.unpack(short_v6)));
                self.v6_long_nets.covering(bits, |net| all.push(net.unpack(ClientNet::V6)));
                all.extend(self.v6_hosts.get(bits).map(|host| host.unpack(ClientNet::V6)));
            }
        }
        all.reverse();
        all
    }

    /// The entry of exactly this network.
    pub fn get(&self, net: ClientNet) -> Option<AddressEntry> {
        match net {
            ClientNet::V4(bits, 32) => self.v4_hosts.get(bits).map(|e| e.unpack(ClientNet::V4)),
            ClientNet::V4(bits, len) => self.v4_nets.get(bits, len).map(|e| e.unpack(ClientNet::V4)),
            ClientNet::V6(bits, 128) => self.v6_hosts.get(bits).map(|e| e.unpack(ClientNet::V6)),
            ClientNet::V6(bits, len @ ..=SHORT_MAX) => {
                self.v6_nets.get(upper(bits), len).map(|e| e.unpack(short_v6))
            }
            ClientNet::V6(bits, len) => self.v6_long_nets.get(bits, len).map(|e| e.unpack(ClientNet::V6)),
        }
    }

    /// Add an entry for each of these: with the slot and the source that `make` answers for it, and for the entry that its
    /// network has already. `None` leaves that as it is. They come as they lie in memory, so that neighbours find in the
    /// cache what the first of them has changed, and those of the same network one after the other in their own order; of
    /// these, `make` takes the first at most.
    pub(crate) fn insert_many(
        &mut self,
        arrivals: Arrivals,
        mut make: impl FnMut(AddressEntry, Option<AddressEntry>) -> Option<Tenure>,
    ) {
        let Arrivals { v4_hosts, v6_hosts, mut nets } = arrivals;
        let Self { v4_presence, v6_presence, .. } = self;
        self.v4_hosts.insert_many(v4_hosts, ClientNet::V4, |coming, other| {
            if let ClientNet::V4(bits, len) = coming.net {
                v4_presence.add(bits, len);
            }
            make(coming, other)
        });
        self.v6_hosts.insert_many(v6_hosts, ClientNet::V6, |coming, other| {
            if let ClientNet::V6(bits, len) = coming.net {
                v6_presence.add(bits, len);
            }
            make(coming, other)
        });
        nets.sort_by_key(|coming| coming.net);
        for coming in nets {
            if let Some(Tenure { slot, source }) = make(coming, self.get(coming.net)) {
                self.insert(AddressEntry { slot, source, ..coming });
            }
        }
    }

    /// Add an entry; answers with the one of the same network that it replaced. Copies what is shared with
    /// other clones on the way down: some microseconds.
    pub fn insert(&mut self, entry: AddressEntry) -> Option<AddressEntry> {
        match entry.net {
            ClientNet::V4(bits, len) => self.v4_presence.add(bits, len),
            ClientNet::V6(bits, len) => self.v6_presence.add(bits, len),
        }
        match entry.net {
            ClientNet::V4(bits, 32) => {
                self.v4_hosts.insert(Packed::new(bits, 32, &entry)).map(|e| e.unpack(ClientNet::V4))
            }
            ClientNet::V4(bits, len) => {
                self.v4_nets.insert(Packed::new(bits, len, &entry)).map(|e| e.unpack(ClientNet::V4))
            }
            ClientNet::V6(bits, 128) => {
                self.v6_hosts.insert(Packed::new(bits, 128, &entry)).map(|e| e.unpack(ClientNet::V6))
            }
            ClientNet::V6(bits, len @ ..=SHORT_MAX) => {
                self.v6_nets.insert(Packed::new(upper(bits), len, &entry)).map(|e| e.unpack(short_v6))
            }
            ClientNet::V6(bits, len) => {
                self.v6_long_nets.insert(Packed::new(bits, len, &entry)).map(|e| e.unpack(ClientNet::V6))
            }
        }
    }

    /// Take the entry of exactly this network out.
    pub fn remove(&mut self, net: ClientNet) -> Option<AddressEntry> {
        match net {
            ClientNet::V4(bits, 32) => self.v4_hosts.remove(bits).map(|e| e.unpack(ClientNet::V4)),
            ClientNet::V4(bits, len) => self.v4_nets.remove(bits, len).map(|e| e.unpack(ClientNet::V4)),
            ClientNet::V6(bits, 128) => self.v6_hosts.remove(bits).map(|e| e.unpack(ClientNet::V6)),
            ClientNet::V6(bits, len @ ..=SHORT_MAX) => {
                self.v6_nets.remove(upper(bits), len).map(|e| e.unpack(short_v6))
            }
            ClientNet::V6(bits, len) => self.v6_long_nets.remove(bits, len).map(|e| e.unpack(ClientNet::V6)),
        }
    }

    /// All entries, in no promised order. Shares the table as it is now, whatever is changed afterwards.
    pub fn entries(&self) -> impl Iterator<Item = AddressEntry> + use<> {
        let v4 = self.v4_hosts.entries().map(|e| e.unpack(ClientNet::V4));
        let v6 = self.v6_hosts.entries().map(|e| e.unpack(ClientNet::V6));
        v4.chain(v6).chain(self.nets())
    }

    /// Those of networks of more than one address.
    pub(crate) fn nets(&self) -> impl Iterator<Item = AddressEntry> + use<> {
        let v4 = self.v4_nets.entries().map(|e| e.unpack(ClientNet::V4));
        let v6 = self.v6_long_nets.entries().map(|e| e.unpack(ClientNet::V6));
        v4.chain(v6).chain(self.v6_nets.entries().map(|e| e.unpack(short_v6)))
    }
}

#[cfg(test)]
mod tests;
