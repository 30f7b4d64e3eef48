//! Which rule ends next, and how many each host was taught: what sweeping and the caps need.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use crate::{ClientNet, Host, List, NEVER, Resource, Target};

/// Expiry and slot of a rule: its place in the order in which rules end.
type Place = (u32, u32);

/// How to find a rule whose end has come. Compact, because there may be millions.
#[derive(Debug)]
enum Found {
    V4(List, u8, u32),
    V6(List, u8, [u64; 2]),
    Resource(Box<Resource>),
}

/// What ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The rule of this network.
    Client(List, ClientNet),
    /// The rule in this slot on this resource.
    Resource(Resource, u32),
}

/// The rules that end, in the order of their ends.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    rules: BTreeMap<Place, Found>,
    /// With the backends that taught them.
    learned: BTreeMap<Place, Arc<str>>,
    learned_of_host: HashMap<Host, BTreeSet<Place>>,
    learned_of_backend: HashMap<Arc<str>, BTreeSet<Place>>,
}

/// The host that a learned rule is counted under. A blocked client has none.
pub(crate) fn host_of(target: &Target) -> Option<&Host> {
    match target {
        Target::Client(..) => None,
        Target::Resource(resource, _) => resource.host.as_ref(),
    }
}

impl Expiry {
    /// Learned rules.
    pub(crate) fn learned(&self) -> usize {
        self.learned.len()
    }

    /// Learned rules of the host of this target.
    pub(crate) fn learned_of(&self, target: &Target) -> usize {
        host_of(target).and_then(|host| self.learned_of_host.get(host)).map_or(0, BTreeSet::len)
    }

    /// `backend` is that of a learned rule.
    pub(crate) fn insert(&mut self, expires_at_s: u32, slot: u32, target: &Target, backend: Option<&str>) {
        if expires_at_s == NEVER {
            return;
        }
        let place = (expires_at_s, slot);
        let found = match target {
            Target::Client(list, ClientNet::V4(bits, len)) => Found::V4(*list, *len, *bits),
            Target::Client(list, ClientNet::V6(bits, len)) => {
                Found::V6(*list, *len, [(bits >> 64) as u64, *bits as u64])
            }
            Target::Resource(resource, _) => Found::Resource(Box::new(resource.clone())),
        };
        self.rules.insert(place, found);
        if let Some(backend) = backend {
            let known = self.learned_of_backend.get_key_value(backend);
            let backend = known.map_or_else(|| Arc::from(backend), |(name, _)| name.clone());
            self.learned_of_backend.entry(backend.clone()).or_default().insert(place);
            self.learned.insert(place, backend);
            if let Some(host) = host_of(target) {
                self.learned_of_host.entry(host.clone()).or_default().insert(place);
            }
        }
    }

    pub(crate) fn remove(&mut self, expires_at_s: u32, slot: u32, host: Option<&Host>) {
        let place = (expires_at_s, slot);
        self.rules.remove(&place);
        if let Some(backend) = self.learned.remove(&place) {
            remove_place(&mut self.learned_of_backend, &backend, place);
        }
        if let Some(host) = host {
            remove_place(&mut self.learned_of_host, host, place);
        }
    }

    /// Rules that end, learned ones, hosts with learned ones, and learned ones of all hosts.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 4] {
        let of_hosts = self.learned_of_host.values().map(BTreeSet::len).sum();
        [self.rules.len(), self.learned.len(), self.learned_of_host.len(), of_hosts]
    }

    /// The rule that ends first, and when.
    pub(crate) fn first(&self) -> Option<(u32, Ending)> {
        self.ending(self.rules.first_key_value()?.0)
    }

    /// The learned rule that ends first; of this target's host, if `of_host`.
    pub(crate) fn first_learned(&self, of_host: Option<&Target>) -> Option<(u32, Ending)> {
        let places = match of_host {
            Some(target) => self.learned_of_host.get(host_of(target)?)?,
            None => return self.ending(self.learned.first_key_value()?.0),
        };
        self.ending(places.first()?)
    }

    /// The backend that has taught most, `own` if others have taught as much, and its rule that ends first.
    pub(crate) fn first_of_busiest(&self, own: &str) -> Option<(&str, (u32, Ending))> {
        let busiest =
            self.learned_of_backend.iter().max_by_key(|(name, places)| (places.len(), ***name == *own));
        let (backend, places) = busiest?;
        Some((backend, self.ending(places.first()?)?))
    }

    fn ending(&self, place: &Place) -> Option<(u32, Ending)> {
        self.rules.get(place).map(|found| (place.0, ending(place, found)))
    }
}

/// Take a place out of the set of `key`, and the set with its last place.
fn remove_place<K: Eq + Hash>(sets: &mut HashMap<K, BTreeSet<Place>>, key: &K, place: Place) {
    if let Some(places) = sets.get_mut(key) {
        places.remove(&place);
        if places.is_empty() {
            sets.remove(key);
        }
    }
}

fn ending(place: &Place, found: &Found) -> Ending {
    match found {
        Found::V4(list, len, bits) => Ending::Client(*list, ClientNet::V4(*bits, *len)),
        Found::V6(list, len, [upper, lower]) => {
            Ending::Client(*list, ClientNet::V6(u128::from(*upper) << 64 | u128::from(*lower), *len))
        }
        Found::Resource(resource) => Ending::Resource(Resource::clone(resource), place.1),
    }
}
