//! Keys that are not known, by client: a client that tries many of them is made to wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Wrong keys that cost a client nothing: somebody pastes the wrong one, or a program asks on after its key was removed.
const FREE: u32 = 10;

/// The wait after one more, which doubles with each, and the longest wait.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Without a wrong key for this long, a client begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Clients that are remembered, some 100 bytes each. The one whose last wrong key is the oldest gives way.
const MAX_CLIENTS: usize = 10_000;

/// The client behind an address: an IPv4 address, or the /64 of an IPv6 address, which mostly belongs to one user. All loopback
/// addresses are one client.
pub fn client(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        address if address.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// The clients that have presented wrong keys.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<IpAddr, Failed>>);

#[derive(Clone, Copy, Debug)]
struct Failed {
    count: u32,
    last: Instant,
}

impl Failed {
    fn wait(&self) -> Duration {
        match self.count.checked_sub(FREE) {
            None | Some(0) => Duration::ZERO,
            Some(more) => FIRST.saturating_mul(1 << (more - 1).min(16)).min(LONGEST),
        }
    }
}

impl Attempts {
    /// How long this client has to wait yet; `None` if not at all.
    pub fn wait(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let clients = self.0.lock();
        let failed = clients.get(&client(from))?;
        let since = now.saturating_duration_since(failed.last);
        failed.wait().checked_sub(since).filter(|left| !left.is_zero())
    }

    /// This client has presented a key that is not known. O(1); O(clients) where there is no room for one more.
    pub fn failed(&self, from: IpAddr, now: Instant) {
        let mut clients = self.0.lock();
        let from = client(from);
        let is_forgotten = |failed: &Failed| now.saturating_duration_since(failed.last) >= FORGOTTEN_AFTER;
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(&from) {
            clients.retain(|_, failed| !is_forgotten(failed));
            if clients.len() >= MAX_CLIENTS {
                let oldest = clients.iter().min_by_key(|(_, failed)| failed.last).map(|(client, _)| *client);
                oldest.and_then(|client| clients.remove(&client));
            }
        }
        let failed = clients.entry(from).or_insert(Failed { count: 0, last: now });
        if is_forgotten(failed) {
            failed.count = 0;
        }
        *failed = Failed { count: failed.count.saturating_add(1), last: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_waits_longer_with_each_wrong_key_and_others_do_not() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..FREE {
            attempts.failed(bad, start);
            assert_eq!(attempts.wait(bad, start), None);
        }
        let mut waits = Vec::new();
        for _ in 0..9 {
            attempts.failed(bad, start);
            waits.push(attempts.wait(bad, start).unwrap().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(attempts.wait(good, start), None);
        let later = |s| start + Duration::from_secs(s);
        assert_eq!(attempts.wait(bad, later(50)), Some(Duration::from_secs(10)));
        assert_eq!(attempts.wait(bad, later(60)), None);
        attempts.failed(bad, later(600));
        assert_eq!(attempts.wait(bad, later(600)), None, "it begins anew");
        for _ in 0..100 {
            attempts.failed(bad, later(600));
        }
        assert_eq!(attempts.wait(bad, later(600)), Some(LONGEST));
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..20 {
            attempts.failed(address(&format!("2001:db8::{n:x}")), now);
            attempts.failed(address("::ffff:192.0.2.1"), now);
        }
        for waits in ["2001:db8::ffff", "192.0.2.1"] {
            assert!(attempts.wait(address(waits), now).is_some(), "{waits}");
        }
        for other in ["2001:db8:0:1::1", "192.0.2.2"] {
            assert!(attempts.wait(address(other), now).is_none(), "{other}");
        }
    }

    #[test]
    fn no_more_clients_are_remembered_than_there_is_room_for() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let client = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..30 {
            attempts.failed(client(7), start + Duration::from_millis(n));
        }
        for n in 0..MAX_CLIENTS as u32 - 1 {
            attempts.failed(client(1000 + n), start);
        }
        attempts.failed(client(1), start + Duration::from_secs(1));
        assert_eq!(attempts.0.lock().len(), MAX_CLIENTS);
        assert!(attempts.wait(client(7), start + Duration::from_secs(2)).is_some(), "the worst stays");
    }
}
