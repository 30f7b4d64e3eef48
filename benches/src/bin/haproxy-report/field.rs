//! The same list in the forms that the contenders read, and requests for what is on it and what is not.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use edge_benches::lists::{self, List, Order, Probe};
use edge_filter::ClientNet;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use tempfile::TempDir;

use crate::agent::Keys;
use crate::contender::Subject;
use crate::load::Requests;

/// Distinct requests of one kind.
const REQUESTS: usize = 1 << 16;
/// Hosts that resources are spread over.
const HOSTS: usize = 100;
/// What requests for addresses ask for.
pub(crate) const PAGE: &str = "www.example/index.html";

/// Requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Listed, each as often as the others.
    Hit,
    /// At random: of addresses next to none is listed. IPv6 ones are of the networks that the listed ones are in, where
    /// the first bits do not decide.
    Miss,
    /// 15 of 16 requests from 64 clients of which one in four is listed, the rest at random.
    Skewed,
    /// One that is listed, again and again.
    Hot,
}

/// The listed keys.
enum Listed {
    Addresses(List),
    /// Host and path.
    Resources(Vec<String>),
}

/// A list, and its files.
pub(crate) struct Field {
    dir: TempDir,
    listed: Listed,
    /// How many keys are listed.
    pub(crate) entries: usize,
}

impl Ask {
    /// What the figures are printed under.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Skewed => "skewed",
            Self::Hot => "hot",
        }
    }
}

impl Field {
    /// A list of so many random keys, in random order.
    ///
    /// # Errors
    /// The directory for temporary files does not take it.
    pub(crate) fn lay_out(subject: Subject, entries: usize) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("edge-compare.").tempdir()?;
        let listed = match subject {
            Subject::Addresses => Listed::Addresses(lists::v4_hosts(entries).in_order(Order::Random)),
            Subject::AddressesV6 => Listed::Addresses(lists::v6_hosts(entries).in_order(Order::Random)),
            Subject::Resources => Listed::Resources(resources(entries)),
        };
        let field = Self { dir, listed, entries };
        let create = |path: PathBuf| fs::File::create(path).map(BufWriter::new);
        let (mut keys, mut map, mut acl) =
            (create(field.keys())?, create(field.map())?, create(field.acl())?);
        field.for_each_key(|key| {
            writeln!(keys, "{key}")?;
            writeln!(map, "{key} 1")?;
            writeln!(acl, "{}", key.find('/').map_or(key, |slash| &key[slash..]))
        })?;
        keys.flush()?;
        map.flush()?;
        acl.flush()?;
        Ok(field)
    }

    /// One key a line.
    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.path().join("keys.lst")
    }

    /// The same as a map of HAProxy.
    pub(crate) fn map(&self) -> PathBuf {
        self.dir.path().join("keys.map")
    }

    /// The same as an ACL of HAProxy takes it: of resources the path alone.
    pub(crate) fn acl(&self) -> PathBuf {
        self.dir.path().join("acl.lst")
    }

    /// The listed networks, where these are addresses.
    pub(crate) fn nets(&self) -> &[ClientNet] {
        match &self.listed {
            Listed::Addresses(list) => &list.nets,
            Listed::Resources(_) => &[],
        }
    }

    fn for_each_key(&self, mut put: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        match &self.listed {
            Listed::Addresses(list) => list.nets.iter().try_for_each(|net| put(&first_of(*net).to_string())),
            Listed::Resources(bases) => bases.iter().try_for_each(|base| put(base)),
        }
    }

    /// The same for the agent.
    pub(crate) fn agent_keys(&self) -> Keys {
        match &self.listed {
            Listed::Addresses(list) => list.nets.iter().map(|&net| octets(first_of(net))).collect(),
            Listed::Resources(bases) => bases.iter().map(|base| base.as_bytes().into()).collect(),
        }
    }

    /// Requests of this kind, in random order. With nothing listed only [`Ask::Miss`] has any.
    pub(crate) fn requests(&self, ask: Ask) -> Requests {
        let mut requests = Requests::default();
        match &self.listed {
            Listed::Addresses(list) => {
                let listed: HashSet<IpAddr> = list.nets.iter().map(|&net| first_of(net)).collect();
                for addr in clients(list, ask) {
                    requests.push(PAGE, addr, listed.contains(&addr));
                }
            }
            Listed::Resources(bases) => {
                let mut rng = lists::rng();
                let mut client = || Ipv4Addr::from_bits(rng.random_range(0x0100_0000..0xDF00_0000)).into();
                let mut rng = lists::rng();
                let unlisted;
                let bases = if bases.is_empty() {
                    unlisted = resources(REQUESTS);
                    &unlisted
                } else {
                    bases
                };
                let mut chosen: Vec<&String> = bases.sample(&mut rng, REQUESTS.min(bases.len())).collect();
                chosen.shuffle(&mut rng);
                for (n, &base) in chosen.iter().enumerate() {
                    // As the skewed clients are: 64 that most ask for, one in four of them listed, and any others.
                    let (base, is_listed) = match ask {
                        Ask::Miss => (base, false),
                        Ask::Skewed if n % 16 == 0 => (base, false),
                        Ask::Skewed => (chosen[rng.random_range(0..chosen.len().min(64))], n % 4 == 1),
                        Ask::Hit | Ask::Hot => (base, true),
                    };
                    if is_listed {
                        requests.push(base, client(), true);
                    } else {
                        requests.push(&format!("{base}x"), client(), false);
                    }
                }
            }
        }
        requests
    }
}

fn clients(list: &List, ask: Ask) -> Vec<IpAddr> {
    match ask {
        Ask::Hit => Probe::Hit.addresses(list),
        Ask::Miss if list.nets.is_empty() => Probe::Miss.addresses(&lists::v4_hosts(1)),
        Ask::Miss if !list.routed.is_empty() => Probe::NearMiss.addresses(list),
        Ask::Miss => Probe::Miss.addresses(list),
        Ask::Skewed => Probe::Skewed.addresses(list),
        Ask::Hot => list.nets.first().map(|&net| first_of(net)).into_iter().collect(),
    }
}

/// The first address of a network.
pub(crate) fn first_of(net: ClientNet) -> IpAddr {
    match net {
        ClientNet::V4(bits, _) => Ipv4Addr::from_bits(bits).into(),
        ClientNet::V6(bits, _) => std::net::Ipv6Addr::from_bits(bits).into(),
    }
}

fn octets(addr: IpAddr) -> Box<[u8]> {
    match addr {
        IpAddr::V4(addr) => addr.octets()[..].into(),
        IpAddr::V6(addr) => addr.octets()[..].into(),
    }
}

/// Hosts with paths as scanners ask for them, in canonical form, no path twice.
fn resources(entries: usize) -> Vec<String> {
    let words = ["wp-admin", ".git", "config", "vendor", "phpunit", "backup", "api", "cgi-bin", "index"];
    let mut rng = lists::rng();
    let base = |n: usize, rng: &mut _| {
        let dirs: Vec<&str> = words.sample(rng, 1 + n % 3).copied().collect();
        format!("shop-{}.example/{}/{n}.php", n % HOSTS, dirs.join("/"))
    };
    let mut bases: Vec<String> = (0..entries).map(|n| base(n, &mut rng)).collect();
    bases.shuffle(&mut rng);
    bases
}
