//! Our address table and those that it stands beside, filled and asked in the same way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use edge_filter::{Action, AddressEntry, AddressTable, ClientNet, NEVER, Status};
use ip_network::{Ipv4Network, Ipv6Network};
use ip_network_table::IpNetworkTable;
use prefix_trie::PrefixMap;

/// A table that answers which number an address has.
pub trait Table {
    /// What the figures are printed under.
    const NAME: &'static str;
    /// A table of these networks, each with an expiry (the clock of the bench stands at 0).
    fn build(nets: &[ClientNet]) -> Self;
    /// Something of the longest match, 0 for none.
    fn find(&self, addr: IpAddr) -> u32;
}

/// An entry of ours.
pub const fn entry(net: ClientNet) -> AddressEntry {
    AddressEntry::bare(net, Action::Deny(Status::FORBIDDEN), NEVER)
}

impl Table for AddressTable {
    const NAME: &'static str = "edge-filter";

    fn build(nets: &[ClientNet]) -> Self {
        let mut table = Self::default();
        for &net in nets {
            table.insert(entry(net));
        }
        table
    }

    #[inline]
    fn find(&self, addr: IpAddr) -> u32 {
        self.longest_match(addr, 0).map_or(0, |found| found.expires_at_s)
    }
}

/// What a table of others must hold to do the same work: an expiry.
type Expiry = u32;

impl Table for IpNetworkTable<Expiry> {
    const NAME: &'static str = "ip_network_table";

    fn build(nets: &[ClientNet]) -> Self {
        let mut table = Self::new();
        for &net in nets {
            match net {
                ClientNet::V4(bits, len) => {
                    table.insert(Ipv4Network::new(bits.into(), len).expect("canonical"), NEVER)
                }
                ClientNet::V6(bits, len) => {
                    table.insert(Ipv6Network::new(bits.into(), len).expect("canonical"), NEVER)
                }
            };
        }
        table
    }

    #[inline]
    fn find(&self, addr: IpAddr) -> u32 {
        match addr {
            IpAddr::V4(v4) => self.longest_match_ipv4(v4).map_or(0, |(_, &expiry)| expiry),
            IpAddr::V6(v6) => self.longest_match_ipv6(v6).map_or(0, |(_, &expiry)| expiry),
        }
    }
}

/// `prefix-trie`, one map for each family.
#[derive(Default)]
pub struct PrefixTries {
    v4: PrefixMap<(u32, u8), Expiry>,
    v6: PrefixMap<(u128, u8), Expiry>,
}

impl Table for PrefixTries {
    const NAME: &'static str = "prefix-trie";

    fn build(nets: &[ClientNet]) -> Self {
        let mut tries = Self::default();
        for &net in nets {
            match net {
                ClientNet::V4(bits, len) => tries.v4.insert((bits, len), NEVER),
                ClientNet::V6(bits, len) => tries.v6.insert((bits, len), NEVER),
            };
        }
        tries
    }

    #[inline]
    fn find(&self, addr: IpAddr) -> u32 {
        match addr {
            IpAddr::V4(v4) => self.v4.get_lpm(&(v4.to_bits(), 32)).map_or(0, |(_, &expiry)| expiry),
            IpAddr::V6(v6) => self.v6.get_lpm(&(v6.to_bits(), 128)).map_or(0, |(_, &expiry)| expiry),
        }
    }
}

/// Binary search in sorted, disjoint ranges: what a list of addresses without nesting can be at best. Nested
/// networks are flattened, the innermost wins.
pub struct SortedRanges {
    v4: Vec<(Ipv4Addr, Ipv4Addr, Expiry)>,
    v6: Vec<(Ipv6Addr, Ipv6Addr, Expiry)>,
}

/// The outermost networks of sorted ones: the others lie inside and have the same expiry here.
fn outermost<A: Ord + Copy>(sorted: impl Iterator<Item = (A, A)>) -> Vec<(A, A, Expiry)> {
    let mut ranges: Vec<(A, A, Expiry)> = Vec::new();
    for (first, last) in sorted {
        if ranges.last().is_none_or(|&(_, end, _)| end < first) {
            ranges.push((first, last, NEVER));
        }
    }
    ranges
}

impl Table for SortedRanges {
    const NAME: &'static str = "sorted ranges";

    fn build(nets: &[ClientNet]) -> Self {
        let v4 = nets.iter().filter_map(|net| match *net {
            ClientNet::V4(bits, len) => {
                Some((bits.into(), (bits | u32::MAX.checked_shr(len.into()).unwrap_or(0)).into()))
            }
            ClientNet::V6(..) => None,
        });
        let v6 = nets.iter().filter_map(|net| match *net {
            ClientNet::V6(bits, len) => {
                Some((bits.into(), (bits | u128::MAX.checked_shr(len.into()).unwrap_or(0)).into()))
            }
            ClientNet::V4(..) => None,
        });
        Self { v4: outermost(v4), v6: outermost(v6) }
    }

    #[inline]
    fn find(&self, addr: IpAddr) -> u32 {
        fn search<A: Ord + Copy>(ranges: &[(A, A, Expiry)], addr: A) -> u32 {
            let after = ranges.partition_point(|&(first, _, _)| first <= addr);
            match after.checked_sub(1).and_then(|at| ranges.get(at)) {
                Some(&(_, last, expiry)) if addr <= last => expiry,
                _ => 0,
            }
        }
        match addr {
            IpAddr::V4(v4) => search(&self.v4, v4),
            IpAddr::V6(v6) => search(&self.v6, v6),
        }
    }
}
