//! The table held against a linear search and against `ip_network_table`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ip_network::IpNetwork;
use ip_network_table::IpNetworkTable;
use proptest::prelude::*;

use super::*;
use crate::{NEVER, Status};

/// Addresses with few distinct bits, so that networks nest and collide.
fn address() -> impl Strategy<Value = IpAddr> {
    let bits = |width: u32| {
        proptest::collection::vec((1..4u128, 0..width), 1..4)
            .prop_map(|parts| parts.into_iter().fold(0, |all, (bits, shift)| all | bits << shift))
    };
    prop_oneof![
        bits(32).prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits as u32))),
        bits(128).prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        bits(32).prop_map(|bits| IpAddr::V6(Ipv4Addr::from_bits(bits as u32).to_ipv6_mapped())),
    ]
}

fn net() -> impl Strategy<Value = ClientNet> {
    (address(), 0..=128u8).prop_map(|(addr, len)| {
        let width = if addr.is_ipv4() { 32 } else { 128 };
        // One in two is a single address, as in real lists.
        let len = if len % 2 == 0 { width } else { len.min(width) };
        // No network is mapped with fewer bits than make an IPv4 address of it.
        let is_mapped = matches!(addr, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        let len = if is_mapped { len.max(96) } else { len };
        ClientNet::new(addr, len).expect("the length fits the family")
    })
}

fn holds(net: ClientNet, addr: IpAddr) -> bool {
    ClientNet::new(
        addr,
        match net {
            ClientNet::V4(_, len) | ClientNet::V6(_, len) => len,
        },
    ) == Ok(net)
}

fn network(net: ClientNet) -> IpNetwork {
    match net {
        ClientNet::V4(bits, len) => IpNetwork::new(Ipv4Addr::from_bits(bits), len).expect("canonical"),
        ClientNet::V6(bits, len) => IpNetwork::new(Ipv6Addr::from_bits(bits), len).expect("canonical"),
    }
}

proptest! {
    #[test]
    fn the_longest_live_match_is_that_of_a_linear_search(
        changes in proptest::collection::vec((net(), proptest::option::weighted(0.8, 0..20u32)), 1..80),
        probes in proptest::collection::vec(address(), 1..20),
        now_s in 0..20u32,
    ) {
        let (mut table, mut oracle) = (AddressTable::default(), BTreeMap::new());
        for (net, expires_at_s) in changes {
            match expires_at_s {
                Some(expires_at_s) => {
                    let entry = AddressEntry::bare(net, Action::Deny(Status::FORBIDDEN), expires_at_s);
                    prop_assert_eq!(table.insert(entry), oracle.insert(net, entry));
                }
                None => prop_assert_eq!(table.remove(net), oracle.remove(&net)),
            }
            prop_assert_eq!(table.get(net), oracle.get(&net).copied());
        }
        prop_assert_eq!(table.len(), oracle.len());
        let all: BTreeMap<_, _> = table.entries().map(|entry| (entry.net, entry)).collect();
        prop_assert_eq!(&all, &oracle);
        for probe in probes.into_iter().map(|addr| addr.to_canonical()) {
            let len = |entry: &AddressEntry| match entry.net { ClientNet::V4(_, len) | ClientNet::V6(_, len) => len };
            let mut covering: Vec<_> = oracle.values().filter(|e| holds(e.net, probe)).copied().collect();
            covering.sort_by_key(|entry| std::cmp::Reverse(len(entry)));
            let live = covering.iter().find(|entry| now_s < entry.expires_at_s).copied();
            prop_assert_eq!(table.longest_match(probe, now_s), live);
            prop_assert_eq!(table.covering(probe), covering);
        }
    }

    #[test]
    fn the_longest_match_is_that_of_ip_network_table(
        nets in proptest::collection::vec(net(), 1..200),
        probes in proptest::collection::vec(address(), 1..50),
    ) {
        let (mut table, mut oracle) = (AddressTable::default(), IpNetworkTable::new());
        for net in nets {
            table.insert(AddressEntry::bare(net, Action::Drop, NEVER));
            oracle.insert(network(net), ());
        }
        for probe in probes.into_iter().map(|addr| addr.to_canonical()) {
            let ours = table.longest_match(probe, 0).map(|entry| network(entry.net));
            prop_assert_eq!(ours, oracle.longest_match(probe).map(|(net, ())| net));
        }
    }
}
