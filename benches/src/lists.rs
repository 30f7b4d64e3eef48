//! Lists of networks, real where `EDGE_BENCH_DATA` names a directory of them, seeded otherwise; and the
//! addresses to ask for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use edge_filter::ClientNet;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

/// Addresses asked for in one pass: more than fit the branch predictor's memory.
pub const PROBES: usize = 1 << 16;

/// A named list of distinct networks.
pub struct List {
    /// What the figures are printed under.
    pub name: String,
    /// The networks, sorted unless the name says otherwise.
    pub nets: Vec<ClientNet>,
    /// The routed networks that hosts were drawn from, for [`Probe::NearMiss`]; else empty.
    pub routed: Vec<ClientNet>,
}

/// How the networks of a list follow each other. HAProxy's trees take sorted ones in several times as fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As in lists that are published by other criteria.
    Random,
    /// By address.
    Sorted,
}

impl List {
    /// The same networks in this order.
    pub fn in_order(&self, order: Order) -> Self {
        let mut nets = self.nets.clone();
        nets.sort_unstable();
        let name = match order {
            Order::Random => {
                nets.shuffle(&mut rng());
                format!("{}, in random order", self.name)
            }
            Order::Sorted => format!("{}, sorted", self.name),
        };
        Self { name, nets, routed: self.routed.clone() }
    }
}

/// The generator of everything seeded here.
pub fn rng() -> StdRng {
    StdRng::seed_from_u64(0xED6E)
}

/// The text of `EDGE_BENCH_DATA/name`, where there is such a file.
pub fn real_text(name: &str) -> Option<String> {
    let path = PathBuf::from(std::env::var_os("EDGE_BENCH_DATA")?).join(name);
    std::fs::read_to_string(path).ok()
}

/// The networks of `EDGE_BENCH_DATA/name`, one a line.
fn real(name: &str) -> Option<Vec<ClientNet>> {
    Some(real_text(name)?.lines().filter_map(|line| line.parse().ok()).collect())
}

fn list(name: impl Into<String>, nets: impl IntoIterator<Item = ClientNet>) -> List {
    let nets: BTreeSet<ClientNet> = nets.into_iter().collect();
    List { name: name.into(), nets: nets.into_iter().collect(), routed: Vec::new() }
}

/// IPv4 hosts as attackers are spread: many alone, some in the same /24.
pub fn v4_hosts(count: usize) -> List {
    if let Some(nets) = real("v4_ipsum1_120k.txt").filter(|nets| nets.len() >= count) {
        let chosen: Vec<ClientNet> = nets.sample(&mut rng(), count).copied().collect();
        return list(format!("v4 hosts {count}, real"), chosen);
    }
    let mut rng = rng();
    let mut hosts = BTreeSet::new();
    while hosts.len() < count {
        let net: u32 = rng.random_range(0x0100_0000..0xDF00_0000);
        for _ in 0..rng.random_range(1..4).min(count - hosts.len()) {
            hosts.insert(ClientNet::V4(net & !0xFF | rng.random_range(0..256), 32));
        }
    }
    list(format!("v4 hosts {count}, made up"), hosts)
}

/// IPv4 networks as they are routed.
pub fn v4_networks(count: usize) -> List {
    if let Some(nets) = real("v4_bgp_900k.txt") {
        let count = count.min(nets.len());
        let chosen: Vec<ClientNet> = nets.sample(&mut rng(), count).copied().collect();
        return list(format!("v4 networks {count}, real"), chosen);
    }
    let mut rng = rng();
    let mut nets = BTreeSet::new();
    while nets.len() < count {
        let addr = Ipv4Addr::from_bits(rng.random_range(0x0100_0000..0xDF00_0000));
        let len = *[24, 24, 24, 23, 22, 22, 21, 20, 16].choose(&mut rng).unwrap_or(&24);
        nets.extend(ClientNet::new(addr.into(), len));
    }
    list(format!("v4 networks {count}, made up"), nets)
}

/// IPv6 networks as they are routed.
pub fn v6_networks(count: usize) -> List {
    if let Some(nets) = real("v6_bgp_160k.txt") {
        let count = count.min(nets.len());
        let chosen: Vec<ClientNet> = nets.sample(&mut rng(), count).copied().collect();
        return list(format!("v6 networks {count}, real"), chosen);
    }
    let mut rng = rng();
    let mut nets = BTreeSet::new();
    while nets.len() < count {
        let top =
            u128::from(*[0x2001u16, 0x2400, 0x2600, 0x2803, 0x2a00].choose(&mut rng).unwrap_or(&0x2a00));
        let bits = top << 112
            | u128::from(rng.random_range(0..60_000u32)) << 96
            | u128::from(rng.random::<u16>()) << 80;
        nets.extend(ClientNet::new(Ipv6Addr::from_bits(bits).into(), if rng.random() { 32 } else { 48 }));
    }
    list(format!("v6 networks {count}, made up"), nets)
}

/// IPv6 hosts inside routed networks.
pub fn v6_hosts(count: usize) -> List {
    let routed = v6_networks(160_147);
    let mut rng = rng();
    let mut hosts = BTreeSet::new();
    while hosts.len() < count {
        hosts.extend(address_in(&routed.nets, &mut rng).map(ClientNet::host));
    }
    List { routed: routed.nets, ..list(format!("v6 hosts {count} in {}", routed.name), hosts) }
}

/// Hosts of both families, half each.
pub fn mixed_hosts(count: usize) -> List {
    let (v4, v6) = (v4_hosts(count / 2), v6_hosts(count - count / 2));
    list(format!("{} and {}", v4.name, v6.name), v4.nets.into_iter().chain(v6.nets))
}

/// A random address inside one of the networks.
fn address_in(nets: &[ClientNet], rng: &mut StdRng) -> Option<IpAddr> {
    Some(match *nets.choose(rng)? {
        ClientNet::V4(bits, len) => {
            let low = u32::MAX.checked_shr(len.into()).unwrap_or(0);
            Ipv4Addr::from_bits(bits | rng.random::<u32>() & low).into()
        }
        ClientNet::V6(bits, len) => {
            let low = u128::MAX.checked_shr(len.into()).unwrap_or(0);
            Ipv6Addr::from_bits(bits | rng.random::<u128>() & low).into()
        }
    })
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Inside a listed network, each as likely.
    Hit,
    /// Any address at all: of a list of hosts next to none is listed.
    Miss,
    /// Inside the networks that the listed hosts are in, not listed. For IPv6 hosts only: their miss at random
    /// has first bits that no host has.
    NearMiss,
    /// 15 of 16 requests from 64 clients of which one in four is listed, the rest at random.
    Skewed,
}

impl Probe {
    /// All that this list can be asked.
    pub fn of(list: &List) -> Vec<Self> {
        let near_miss = (!list.routed.is_empty()).then_some(Self::NearMiss);
        [Self::Hit, Self::Miss].into_iter().chain(near_miss).chain([Self::Skewed]).collect()
    }

    /// What the figures are printed under.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::NearMiss => "near miss",
            Self::Skewed => "skewed",
        }
    }

    /// [`PROBES`] addresses of the family of `list`.
    pub fn addresses(self, list: &List) -> Vec<IpAddr> {
        let mut rng = rng();
        let v6 = matches!(list.nets.first(), Some(ClientNet::V6(..)));
        let any = |rng: &mut StdRng| -> IpAddr {
            if v6 {
                // Global unicast, so that the first bits do not decide.
                Ipv6Addr::from_bits(0x2 << 124 | rng.random::<u128>() >> 4).into()
            } else {
                Ipv4Addr::from_bits(rng.random_range(0x0100_0000..0xDF00_0000)).into()
            }
        };
        let hit = |rng: &mut StdRng| address_in(&list.nets, rng).expect("a list is not empty");
        let hot: Vec<IpAddr> =
            (0..64).map(|i| if i % 4 == 0 { hit(&mut rng) } else { any(&mut rng) }).collect();
        (0..PROBES)
            .map(|i| match self {
                Self::Hit => hit(&mut rng),
                Self::Miss => any(&mut rng),
                Self::NearMiss => address_in(&list.routed, &mut rng).expect("asked of hosts in networks"),
                Self::Skewed if i % 16 != 0 => *hot.choose(&mut rng).expect("64 of them"),
                Self::Skewed => any(&mut rng),
            })
            .collect()
    }
}
