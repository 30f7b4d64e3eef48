//! How many connections a client may have, so that none takes those of all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two lines of the log about connections that were closed.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The connections that are open, by client: an IPv4 address, or the /64 that whoever has an IPv6 address mostly has all of.
#[derive(Debug)]
pub(super) struct Clients {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
    refused: Mutex<Refused>,
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
    /// At most so many of each.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, open: Mutex::default(), refused: Mutex::default() })
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
        if open.get(&client).is_some_and(|count| *count >= self.max) {
            return None;
        }
        *open.entry(client).or_default() += 1;
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
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

fn client(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
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
        let clients = Clients::new(2);
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
        assert!(clients.open.lock().is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn what_is_refused_is_told_once_a_second() {
        let clients = Clients::new(0);
        let start = Instant::now();
        let told = [0, 1, 999, 1000, 1001, 5000].map(|ms| clients.to_tell(start + Duration::from_millis(ms)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
