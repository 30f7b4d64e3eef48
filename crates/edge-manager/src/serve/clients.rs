//! How many connections a client may have, so that none takes those of all others.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::access::client;

/// What is kept free of all connections for this machine, and for all others: an eighth each.
const KEPT: usize = 8;

/// Between two lines of the log about connections that were closed.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The open connections of each [`client`]. Where a client has as many as it may, its next connection takes the place of the one
/// that has been without a request for the longest, so that idle connections keep no user of the same address out.
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
    clients: HashMap<IpAddr, Own>,
    /// The number of the next wait for a request.
    next_wait: u64,
}

/// The connections of one client.
#[derive(Debug, Default)]
struct Own {
    count: usize,
    /// Those without a request, the one that has waited longest first.
    waiting: BTreeMap<u64, Arc<Taken>>,
}

/// Whether another connection has taken the place of this one.
#[derive(Debug, Default)]
struct Taken {
    is: AtomicBool,
    notify: Notify,
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
    wait: Mutex<Wait>,
    taken: Arc<Taken>,
}

#[derive(Debug)]
struct Wait {
    /// Requests under way.
    requests: usize,
    /// The number by which it waits for one, if none is.
    number: u64,
}

/// A request under way, which nobody takes the place of.
#[derive(Debug)]
pub(super) struct Underway(Arc<Place>);

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

    /// A place for a connection of this client; `None`, which the log tells once a second, where it has as many as it may and a
    /// request is under way on each.
    pub(super) fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Arc<Place>> {
        let place = self.place(from);
        if place.is_none()
            && let Some(refused) = self.to_tell(Instant::now())
        {
            let max = self.max;
            tracing::warn!(%from, max, refused, "a client has as many connections as it may: closed");
        }
        place
    }

    fn place(self: &Arc<Self>, from: IpAddr) -> Option<Arc<Place>> {
        let client = client(from);
        let mut open = self.open.lock();
        let count = open.clients.get(&client).map_or(0, |own| own.count);
        let is_full = if client.is_loopback() {
            open.local >= self.max_of_this_machine()
        } else {
            count >= self.max || open.remote >= self.max_of_all - self.max_of_all / KEPT
        };
        if is_full {
            let (_, longest) = open.clients.get_mut(&client)?.waiting.pop_first()?;
            longest.is.store(true, Relaxed);
            longest.notify.notify_one();
            open.release(client);
        }
        *open.total(client) += 1;
        open.clients.entry(client).or_default().count += 1;
        let taken = Arc::default();
        let number = open.wait(client, &taken);
        let wait = Mutex::new(Wait { requests: 0, number });
        Some(Arc::new(Place { clients: self.clone(), client, wait, taken }))
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

impl Open {
    fn total(&mut self, client: IpAddr) -> &mut usize {
        if client.is_loopback() { &mut self.local } else { &mut self.remote }
    }

    /// One of its connections waits for a request from now on. The number of the wait.
    fn wait(&mut self, client: IpAddr, taken: &Arc<Taken>) -> u64 {
        let number = self.next_wait;
        self.next_wait += 1;
        self.clients.entry(client).or_default().waiting.insert(number, taken.clone());
        number
    }

    /// One of its connections needs no place any more.
    fn release(&mut self, client: IpAddr) {
        *self.total(client) -= 1;
        if let Some(own) = self.clients.get_mut(&client) {
            own.count -= 1;
            if own.count == 0 {
                self.clients.remove(&client);
            }
        }
    }
}

impl Place {
    /// A request begins; the next wait is a new one.
    pub(super) fn begin(self: &Arc<Self>) -> Underway {
        let mut open = self.clients.open.lock();
        let mut wait = self.wait.lock();
        if wait.requests == 0
            && let Some(own) = open.clients.get_mut(&self.client)
        {
            own.waiting.remove(&wait.number);
        }
        wait.requests += 1;
        Underway(self.clone())
    }

    /// Waits until the connection is to be closed for another one.
    pub(super) async fn taken(&self) {
        self.taken.notify.notified().await;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let Self(place) = self;
        let mut open = place.clients.open.lock();
        let mut wait = place.wait.lock();
        wait.requests -= 1;
        if wait.requests == 0 && !place.taken.is.load(Relaxed) {
            wait.number = open.wait(place.client, &place.taken);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.clients.open.lock();
        // Else the one that has taken it gives it free.
        if !self.taken.is.load(Relaxed) {
            if let Some(own) = open.clients.get_mut(&self.client) {
                own.waiting.remove(&self.wait.get_mut().number);
            }
            open.release(self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A connection with a request under way.
    fn busy(clients: &Arc<Clients>, from: IpAddr) -> Option<Underway> {
        clients.admit(from).map(|place| place.begin())
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
            let first = busy(&clients, one).unwrap();
            let second = busy(&clients, same).unwrap();
            assert!(clients.admit(one).is_none() && clients.admit(same).is_none());
            assert!(clients.admit(other).is_some());
            drop(first);
            let third = busy(&clients, same).unwrap();
            assert!(clients.admit(one).is_none());
            drop((second, third));
        }
        assert!(clients.open.lock().clients.is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn the_next_connection_takes_the_place_of_the_one_that_waits_longest() {
        let clients = Clients::new(3, 1024);
        let from = address("192.0.2.1");
        let is_taken = |place: &Place| place.taken.is.load(Relaxed);
        let [busy, waits_again, waits] = [(); 3].map(|()| clients.admit(from).unwrap());
        let underway = busy.begin();
        drop((waits_again.begin(), waits_again.begin()));
        let fourth = clients.admit(from).unwrap();
        assert_eq!(
            [&busy, &waits_again, &waits, &fourth].map(|place| is_taken(place)),
            [false, false, true, false]
        );
        // A request that came at the last moment gives nothing free twice.
        drop(waits.begin());
        drop(waits);
        let fifth = clients.admit(from).unwrap();
        assert_eq!(
            [&busy, &waits_again, &fourth, &fifth].map(|place| is_taken(place)),
            [false, true, false, false]
        );
        let _both = [fourth.begin(), fifth.begin()];
        assert!(clients.admit(from).is_none());
        drop((underway, busy, waits_again));
        assert!(clients.admit(from).is_some());
        assert_eq!(clients.open.lock().clients[&from].count, 2);
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
        let of_this_machine: Vec<_> = std::iter::from_fn(|| busy(&clients, here)).collect();
        assert_eq!(of_this_machine.len(), 896);
        assert!(clients.admit(address("127.0.0.2")).is_none() && clients.admit(address("::1")).is_none());
        assert!(clients.admit(there(0)).is_some());
        drop(of_this_machine);
        let of_others: Vec<_> = (0..2000).filter_map(|n| busy(&clients, there(n))).collect();
        assert_eq!(of_others.len(), 896);
        assert!(clients.admit(here).is_some());
        drop(of_others);
        let of_one: Vec<_> = std::iter::from_fn(|| busy(&clients, there(1))).collect();
        assert_eq!(of_one.len(), 256);
    }
}
