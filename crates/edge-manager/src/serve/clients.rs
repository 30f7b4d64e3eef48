//! How many connections a client may have, so that none takes those of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::access::client;

/// What is kept free of all connections for this machine, and for all others: an eighth each.
const KEPT: usize = 8;

/// Between two lines of the log about connections that were closed.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The connections that are open, by client: [`client`].
///
/// A reverse proxy on this machine has the connections of all its clients at one address. So this machine may have more than
/// others, but never all; nor may all others.
#[derive(Debug)]
pub(super) struct Clients {
    max: usize,
    max_of_all: usize,
    open: Mutex<Open>,
    refused: Mutex<Refused>,
}

#[derive(Debug, Default)]
struct Open {
    /// Of this machine.
    local: usize,
    /// Of all others.
    remote: usize,
    clients: HashMap<IpAddr, usize>,
}

/// Connections that were refused.
#[derive(Debug, Default)]
struct Refused {
    told: Option<Instant>,
    since: u64,
}

/// The place of one connection, given free with this.
#[derive(Debug)]
pub(super) struct Place {
    clients: Arc<Clients>,
    client: IpAddr,
}

impl Clients {
    /// At most `max` of each, and `max_of_all` together.
    pub(super) fn new(max: usize, max_of_all: usize) -> Arc<Self> {
        Arc::new(Self { max, max_of_all, open: Mutex::default(), refused: Mutex::default() })
    }

    /// Most connections of this machine: what one client may have would be too few for a proxy.
    fn max_of_this_machine(&self) -> usize {
        // Few are said where few are wanted.
        if self.max < self.max_of_all / 4 { self.max } else { self.max_of_all - self.max_of_all / KEPT }
    }

    /// A place for a connection of this client; `None`, which the log tells once a second, where it has as many as it may.
    pub(super) fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let place = self.place(from);
        if place.is_none()
            && let Some(refused) = self.to_tell(Instant::now())
        {
            let max = self.max;
            tracing::warn!(%from, max, refused, "a client has as many connections as it may: closed");
        }
        place
    }

    fn place(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let client = client(from);
        let mut open = self.open.lock();
        let count = open.clients.get(&client).copied().unwrap_or_default();
        if client.is_loopback() {
            if open.local >= self.max_of_this_machine() {
                return None;
            }
            open.local += 1;
        } else {
            if count >= self.max || open.remote >= self.max_of_all - self.max_of_all / KEPT {
                return None;
            }
            open.remote += 1;
        }
        *open.clients.entry(client).or_default() += 1;
        Some(Place { clients: self.clone(), client })
    }

    /// One more was refused: how many it were since this was told last, if it is to be told now.
    fn to_tell(&self, now: Instant) -> Option<u64> {
        let mut refused = self.refused.lock();
        refused.since += 1;
        if refused.told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY) {
            return None;
        }
        refused.told = Some(now);
        Some(std::mem::take(&mut refused.since))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.clients.open.lock();
        *(if self.client.is_loopback() { &mut open.local } else { &mut open.remote }) -= 1;
        if let Some(count) = open.clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_client_has_so_many_places() {
        let clients = Clients::new(2, 1024);
        for [one, same, other] in [
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"],
            ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"],
        ]
        .map(|all| all.map(address))
        {
            let first = clients.admit(one).unwrap();
            let second = clients.admit(same).unwrap();
            assert!(clients.admit(one).is_none() && clients.admit(same).is_none());
            assert!(clients.admit(other).is_some());
            drop(first);
            let third = clients.admit(same).unwrap();
            assert!(clients.admit(one).is_none());
            drop((second, third));
        }
        assert!(clients.open.lock().clients.is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn what_is_refused_is_told_once_a_second() {
        let clients = Clients::new(0, 1024);
        let start = Instant::now();
        let told = [0, 1, 999, 1000, 1001, 5000].map(|ms| clients.to_tell(start + Duration::from_millis(ms)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }

    #[test]
    fn neither_this_machine_nor_all_others_take_the_last_places() {
        let clients = Clients::new(256, 1024);
        let (here, there) = (address("127.0.0.1"), |n: u32| IpAddr::from((0xc000_0200 + n).to_be_bytes()));
        let of_this_machine: Vec<_> = std::iter::from_fn(|| clients.admit(here)).collect();
        assert_eq!(of_this_machine.len(), 896);
        assert!(clients.admit(address("127.0.0.2")).is_none() && clients.admit(address("::1")).is_none());
        assert!(clients.admit(there(0)).is_some());
        drop(of_this_machine);
        let of_others: Vec<_> = (0..2000).filter_map(|n| clients.admit(there(n))).collect();
        assert_eq!(of_others.len(), 896);
        assert!(clients.admit(here).is_some());
        drop(of_others);
        let of_one: Vec<_> = std::iter::from_fn(|| clients.admit(there(1))).collect();
        assert_eq!(of_one.len(), 256);
    }
}
