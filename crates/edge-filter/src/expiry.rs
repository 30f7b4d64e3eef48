//! Which rule ends next, and how many each host was taught: what sweeping and the caps need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::snapshot::Place;
use crate::{ClientNet, Host, List, NEVER, Resource};

/// Expiry and slot of a rule: the order in which rules end.
type End = (u32, u32);

/// Rules that come at once and need not be in the tree at once: more than a slice of work has at run time.
const LATE: usize = 4096;

/// How to find a rule whose end has come. Compact, because there may be millions.
#[derive(Debug)]
enum Found {
    V4(List, u8, u32),
    V6(List, u8, [u64; 2]),
    Resource(Box<Resource>),
}

/// The ends of many rules of addresses.
#[derive(Debug, Default)]
pub(crate) struct Ends(Vec<(End, Found)>);

impl Ends {
    pub(crate) fn push(&mut self, expires_at_s: u32, slot: u32, place: &Place) {
        if expires_at_s != NEVER {
            self.0.push(((expires_at_s, slot), Found::from(place)));
        }
    }
}

/// The rules that end, in the order of their ends. Trees, because a hash map that grows moves all it holds at once.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    rules: BTreeMap<End, Found>,
    /// Of `rules`, but not in there yet: a tree that is built of all at once is built several times as fast and takes
    /// two thirds of the bytes.
    late: Vec<(End, Found)>,
    /// With the backends that taught them.
    learned: BTreeMap<End, Arc<str>>,
    learned_of_host: BTreeMap<Host, BTreeSet<End>>,
    learned_of_backend: BTreeMap<Arc<str>, BTreeSet<End>>,
}

impl Expiry {
    /// Learned rules.
    pub(crate) fn learned(&self) -> usize {
        self.learned.len()
    }

    /// Learned rules of this host; of none, if it is none.
    pub(crate) fn learned_of(&self, host: Option<&Host>) -> usize {
        host.and_then(|host| self.learned_of_host.get(host)).map_or(0, BTreeSet::len)
    }

    /// `backend` is that of a learned rule.
    pub(crate) fn insert(&mut self, expires_at_s: u32, slot: u32, place: &Place, backend: Option<&str>) {
        if expires_at_s == NEVER {
            return;
        }
        let end = (expires_at_s, slot);
        self.rules.insert(end, Found::from(place));
        if let Some(backend) = backend {
            let known = self.learned_of_backend.get_key_value(backend);
            let backend = known.map_or_else(|| Arc::from(backend), |(name, _)| name.clone());
            self.learned_of_backend.entry(backend.clone()).or_default().insert(end);
            self.learned.insert(end, backend);
            if let Some(host) = place.host() {
                self.learned_of_host.entry(host.clone()).or_default().insert(end);
            }
        }
    }

    /// Insert the ends of many rules. Where they come by thousands, the tree is brought up to date when that is
    /// needed, or when [`Expiry::settle`] is called: that takes as long as there are rules.
    pub(crate) fn insert_many(&mut self, Ends(ends): Ends) {
        if ends.len() < LATE {
            self.rules.extend(ends);
        } else if self.late.is_empty() {
            self.late = ends;
        } else {
            self.late.extend(ends);
        }
    }

    /// Bring the tree up to date.
    pub(crate) fn settle(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let mut late = std::mem::take(&mut self.late);
        late.sort_unstable_by_key(|(end, _)| *end);
        self.rules.append(&mut late.into_iter().collect());
    }

    pub(crate) fn remove(&mut self, expires_at_s: u32, slot: u32, host: Option<&Host>) {
        let end = (expires_at_s, slot);
        if expires_at_s == NEVER {
            return;
        }
        self.settle();
        self.rules.remove(&end);
        if let Some(backend) = self.learned.remove(&end) {
            remove_end(&mut self.learned_of_backend, &backend, end);
            if let Some(host) = host {
                remove_end(&mut self.learned_of_host, host, end);
            }
        }
    }

    /// Rules that end, learned ones, hosts with learned ones, and learned ones of all hosts.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 4] {
        let of_hosts = self.learned_of_host.values().map(BTreeSet::len).sum();
        [self.rules.len() + self.late.len(), self.learned.len(), self.learned_of_host.len(), of_hosts]
    }

    /// The rule that ends first, and when.
    pub(crate) fn first(&mut self) -> Option<(u32, Place)> {
        self.settle();
        self.rule(self.rules.first_key_value()?.0)
    }

    /// The learned rule that ends first.
    pub(crate) fn first_learned(&self) -> Option<(u32, Place)> {
        self.rule(self.learned.first_key_value()?.0)
    }

    /// The learned rule of this host that ends first.
    pub(crate) fn first_learned_of(&self, host: Option<&Host>) -> Option<(u32, Place)> {
        self.rule(self.learned_of_host.get(host?)?.first()?)
    }

    /// The backend that has taught most, `own` if others have taught as much, and its rule that ends first.
    pub(crate) fn first_of_busiest(&self, own: &str) -> Option<(&str, (u32, Place))> {
        let busiest = self.learned_of_backend.iter().max_by_key(|(name, ends)| (ends.len(), ***name == *own));
        let (backend, ends) = busiest?;
        Some((backend, self.rule(ends.first()?)?))
    }

    fn rule(&self, end: &End) -> Option<(u32, Place)> {
        self.rules.get(end).map(|found| (end.0, found.place(end.1)))
    }
}

/// Take an end out of the set of `key`, and the set with its last one.
fn remove_end<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<End>>, key: &K, end: End) {
    if let Some(ends) = sets.get_mut(key) {
        ends.remove(&end);
        if ends.is_empty() {
            sets.remove(key);
        }
    }
}

impl From<&Place> for Found {
    fn from(place: &Place) -> Self {
        match place {
            Place::Client(list, ClientNet::V4(bits, len)) => Self::V4(*list, *len, *bits),
            Place::Client(list, ClientNet::V6(bits, len)) => {
                Self::V6(*list, *len, [(bits >> 64) as u64, *bits as u64])
            }
            Place::Resource(resource, _) => Self::Resource(Box::new(resource.clone())),
        }
    }
}

impl Found {
    fn place(&self, slot: u32) -> Place {
        match self {
            Self::V4(list, len, bits) => Place::Client(*list, ClientNet::V4(*bits, *len)),
            Self::V6(list, len, [upper, lower]) => {
                Place::Client(*list, ClientNet::V6(u128::from(*upper) << 64 | u128::from(*lower), *len))
            }
            Self::Resource(resource) => Place::Resource(Resource::clone(resource), slot),
        }
    }
}
