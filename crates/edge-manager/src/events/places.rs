//! How many may listen, so that nobody takes the places of all others.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::NotHeard;
use crate::access::{Caller, client};

/// Listeners at the same time.
pub const MAX_LISTENERS: usize = 64;

/// Listeners with one key.
pub const MAX_LISTENERS_PER_KEY: usize = 16;

/// Listeners of one client. Behind a proxy of this machine are many.
const MAX_LISTENERS_PER_CLIENT: usize = 16;
const MAX_LISTENERS_PER_PROXY: usize = 48;

/// The places of listeners.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    keys: HashMap<Arc<str>, usize>,
    clients: HashMap<IpAddr, usize>,
}

/// The place of one listener, given free with this.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    key: Arc<str>,
    client: Option<IpAddr>,
}

impl Places {
    /// A place for this caller.
    ///
    /// # Errors
    /// The caller, or all together, have as many as they may.
    pub(super) fn take(self: &Arc<Self>, caller: &Caller) -> Result<Place, NotHeard> {
        let (key, client) = (caller.name.clone(), caller.from.map(client));
        let mut taken = self.0.lock();
        let of_key = taken.keys.get(&key).copied().unwrap_or_default();
        let of_client = client.and_then(|client| taken.clients.get(&client).copied()).unwrap_or_default();
        let is_here = client.is_some_and(|client| client.is_loopback());
        let max_of_client = if is_here { MAX_LISTENERS_PER_PROXY } else { MAX_LISTENERS_PER_CLIENT };
        if of_key >= MAX_LISTENERS_PER_KEY {
            return Err(NotHeard::Key(key));
        }
        if of_client >= max_of_client {
            return Err(NotHeard::Client(max_of_client));
        }
        if taken.all >= MAX_LISTENERS {
            return Err(NotHeard::Full);
        }
        taken.all += 1;
        *taken.keys.entry(key.clone()).or_default() += 1;
        if let Some(client) = client {
            *taken.clients.entry(client).or_default() += 1;
        }
        Ok(Place { places: self.clone(), key, client })
    }

    pub(super) fn taken(&self) -> usize {
        self.0.lock().all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        taken.all -= 1;
        give_free(&mut taken.keys, &self.key);
        if let Some(client) = self.client {
            give_free(&mut taken.clients, &client);
        }
    }
}

fn give_free<K: Eq + Hash>(taken: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = taken.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            taken.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    fn caller(name: &str, from: Option<&str>) -> Caller {
        let from = from.map(|from| from.parse().unwrap());
        Caller { name: name.into(), role: Role::Reader, from }
    }

    #[test]
    fn neither_a_key_nor_a_client_takes_all_places() {
        let places = Arc::new(Places::default());
        let mut held = Vec::new();
        let key = |n| caller("page", Some(&format!("192.0.2.{n}")));
        held.extend((0..MAX_LISTENERS_PER_KEY).map(|n| places.take(&key(n)).unwrap()));
        assert_eq!(places.take(&key(200)).unwrap_err(), NotHeard::Key("page".into()));
        let client = |n| caller(&format!("key{n}"), Some(&format!("2001:db8::{n}")));
        held.extend((0..MAX_LISTENERS_PER_CLIENT).map(|n| places.take(&client(n)).unwrap()));
        assert_eq!(places.take(&client(200)).unwrap_err(), NotHeard::Client(MAX_LISTENERS_PER_CLIENT));
        let cli = caller("CLI:root", None);
        held.push(places.take(&cli).unwrap());
        let proxy = |n: usize| caller(&format!("behind{}", n % 9), Some("127.0.0.1"));
        let free = MAX_LISTENERS - held.len();
        held.extend((0..free).map(|n| places.take(&proxy(n)).unwrap()));
        assert_eq!(places.take(&cli).unwrap_err(), NotHeard::Full);
        assert_eq!(places.taken(), MAX_LISTENERS);
        held.clear();
        let taken = places.0.lock();
        assert_eq!((taken.all, taken.keys.len(), taken.clients.len()), (0, 0, 0));
    }
}
