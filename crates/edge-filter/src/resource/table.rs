//! The table of resource rules.

use std::sync::Arc;

use ahash::RandomState;
use smallvec::SmallVec;

use super::found::{Candidates, Found, Known};
use super::hashes::{exact_hash, host_bytes, prefix_start, prefix_step, segments};
use super::packed::PackedResource;
use super::{Conditions, Host, Match, PathReadings, Resource};
use crate::Action;
use crate::hash::{Entries, HashTable, Hashed};
use crate::rule::Details;

/// One rule of a resource.
#[derive(Clone, Debug)]
pub(crate) struct ResourceRule {
    /// `None`: every request for the resource.
    pub(crate) conditions: Option<Arc<Conditions>>,
    pub(crate) details: Option<Arc<Details>>,
    pub(crate) action: Action,
    pub(crate) expires_at_s: u32,
    pub(crate) slot: u32,
    pub(crate) source: u8,
}

/// The rules of one resource in the descending order of their conditions, so that which one decides does not
/// depend on which came first. The one without conditions is the last.
#[derive(Clone, Debug)]
pub(crate) struct ResourceRules {
    resource: PackedResource,
    /// Hardly ever more than one.
    pub(crate) rules: SmallVec<[ResourceRule; 1]>,
}

// With the two counts of its `Arc` 136 bytes, all of what glibc's malloc gives out for them: one more, and each resource
// takes 16 more.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<ResourceRules>() == 120);

impl ResourceRules {
    /// What the rules are about.
    pub(crate) fn resource(&self) -> Resource {
        self.resource.unpack()
    }

    /// What of these rules may decide.
    #[inline]
    fn candidates(&self, known: Known<'_>, now_s: u32) -> Candidates<'_> {
        let mut candidates = Candidates::default();
        for rule in self.rules.iter().filter(|rule| now_s < rule.expires_at_s) {
            let found = match (&rule.conditions, known) {
                (None, _) => Found::Rule(self, rule),
                (Some(_), Known::Resource) => Found::Undecided(rule),
                (Some(conditions), Known::Request(request, query)) => {
                    match conditions.hold(request, &query) {
                        Some(true) => Found::Rule(self, rule),
                        Some(false) => continue,
                        None => Found::Undecided(rule),
                    }
                }
            };
            candidates = candidates.or(Candidates::of(found));
            if candidates.listed.is_some() {
                break;
            }
        }
        candidates
    }

    /// The rule with these conditions.
    pub(crate) fn with_conditions(&self, conditions: &Conditions) -> Option<&ResourceRule> {
        self.rules.iter().find(|rule| match &rule.conditions {
            Some(own) => **own == *conditions,
            None => conditions.is_empty(),
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Keyed {
    hash: u64,
    rules: Arc<ResourceRules>,
}

impl Keyed {
    /// The rules, if no other table shares them.
    pub(super) fn last_rules(&self) -> Option<Arc<ResourceRules>> {
        (Arc::strong_count(&self.rules) == 1).then(|| self.rules.clone())
    }
}

impl Hashed for Keyed {
    #[inline]
    fn hash(&self, _: &RandomState) -> u64 {
        self.hash
    }
}

/// The prefixes that there are of one host, or of every host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefixes {
    /// How many resources.
    resources: u32,
    /// Segments of the longest; not taken back while one is left.
    max_segments: usize,
}

impl Prefixes {
    /// With one more or one less, which has so many segments.
    fn counting(self, segments: usize, came: bool) -> Self {
        match (self.resources, came) {
            (resources, true) => {
                Self { resources: resources + 1, max_segments: self.max_segments.max(segments) }
            }
            (0 | 1, false) => Self::default(),
            (resources, false) => Self { resources: resources - 1, ..self },
        }
    }
}

/// A host that has prefix rules.
#[derive(Clone, Debug)]
pub(super) struct PrefixHost {
    host: Host,
    prefixes: Prefixes,
}

impl Hashed for PrefixHost {
    fn hash(&self, keys: &RandomState) -> u64 {
        prefix_start(keys, Some(host_bytes(&self.host)))
    }
}

/// The rules of all resources. A clone shares everything.
#[derive(Clone, Debug)]
pub(crate) struct ResourceTable {
    pub(super) resources: HashTable<Keyed>,
    /// Exact resources of every host.
    pub(super) exact_of_every_host: usize,
    pub(super) prefixes_of_every_host: Prefixes,
    pub(super) prefix_hosts: HashTable<PrefixHost>,
    pub(super) rules: usize,
}

impl ResourceTable {
    pub(crate) fn new(keys: &RandomState) -> Self {
        Self {
            resources: HashTable::new(keys.clone()),
            exact_of_every_host: 0,
            prefixes_of_every_host: Prefixes::default(),
            prefix_hosts: HashTable::new(keys.clone()),
            rules: 0,
        }
    }

    /// Rules held.
    pub(crate) fn len(&self) -> usize {
        self.rules
    }

    /// The rule that decides about a request for this canonical host and path: of an exact resource before a
    /// prefix, of a longer prefix before a shorter, of the host itself before every host, with conditions
    /// before without, and of those in the descending order of [`Conditions`]. What lists refuse by this order
    /// stays refused, whatever was learned; so the first rule of a list ends the search.
    ///
    /// O(length of host and path) and of the rules found; allocates nothing and cannot panic.
    #[inline]
    pub(crate) fn decide(&self, host: &[u8], path: &[u8], known: Known<'_>, now_s: u32) -> Option<Found<'_>> {
        let mut candidates = Candidates::default();
        for of in self.exact(host, path) {
            candidates = candidates.or(of.candidates(known, now_s));
            if candidates.listed.is_some() {
                return candidates.deciding();
            }
        }
        let mut of_prefixes = Candidates::default();
        self.for_each_prefix(host, path, |of| of_prefixes = of.candidates(known, now_s).or(of_prefixes));
        candidates.or(of_prefixes).deciding()
    }

    /// What [`Self::decide`] finds for each reading of a path, the stricter one first, of equal ones that of the first
    /// reading.
    #[inline]
    pub(crate) fn decide_readings(
        &self,
        host: &[u8],
        paths: PathReadings<'_>,
        known: Known<'_>,
        now_s: u32,
    ) -> [Option<Found<'_>>; 2] {
        let first = self.decide(host, paths.first, known, now_s);
        let Some(path) = paths.second else { return [first, None] };
        let second = self.decide(host, path, known, now_s);
        let is_stricter = Found::strictness_of(second) > Found::strictness_of(first);
        if is_stricter { [second, first] } else { [first, second] }
    }

    /// The exact resources with this canonical host and path; the earlier one has precedence.
    #[inline]
    pub(crate) fn exact<'a>(&'a self, host: &[u8], path: &[u8]) -> impl Iterator<Item = &'a ResourceRules> {
        let every_host = (self.exact_of_every_host > 0).then_some(None);
        let hosts = std::iter::once(Some(host)).chain(every_host);
        hosts.filter_map(move |host| {
            let hash = exact_hash(self.resources.keys(), host, path);
            self.find(hash, Match::Exact, host, path).map(|keyed| &*keyed.rules)
        })
    }

    #[inline]
    fn find(&self, hash: u64, matching: Match, host: Option<&[u8]>, path: &[u8]) -> Option<&Keyed> {
        self.resources.find(hash, |keyed| keyed.hash == hash && keyed.rules.resource.is(matching, host, path))
    }

    /// Every prefix that takes in this canonical host and path; the later one has precedence. Most hosts have none.
    #[inline]
    pub(crate) fn for_each_prefix<'a>(
        &'a self,
        host: &[u8],
        path: &[u8],
        visit: impl FnMut(&'a ResourceRules),
    ) {
        let mut of_host = Prefixes::default();
        if self.prefix_hosts.len() > 0 {
            let start = prefix_start(self.resources.keys(), Some(host));
            let found = self.prefix_hosts.find(start, |other| host_bytes(&other.host) == host);
            of_host = found.map_or(of_host, |found| found.prefixes);
        }
        let of_every_host = self.prefixes_of_every_host;
        if of_host.resources > 0 || of_every_host.resources > 0 {
            self.walk_segments([(None, of_every_host), (Some(host), of_host)], path, visit);
        }
    }

    /// Each segment is hashed once for each of the hosts that have prefixes, and no deeper than the longest of them.
    fn walk_segments<'a>(
        &'a self,
        hosts: [(Option<&[u8]>, Prefixes); 2],
        path: &[u8],
        mut visit: impl FnMut(&'a ResourceRules),
    ) {
        let keys = self.resources.keys();
        let deepest = hosts.iter().map(|(_, prefixes)| prefixes.max_segments).max().unwrap_or(0);
        let mut chains =
            hosts.map(|(host, prefixes)| (prefixes.resources > 0).then(|| (host, prefix_start(keys, host))));
        let mut end = 0;
        let mut rest = segments(path).take(deepest);
        loop {
            // A prefix has no trailing slash, the one of a whole host excepted.
            let prefix = if end == 0 { b"/" } else { &path[..end] };
            for (host, hash) in chains.into_iter().flatten() {
                if let Some(found) = self.find(hash, Match::Prefix, host, prefix) {
                    visit(&found.rules);
                }
            }
            let Some(segment) = rest.next() else { return };
            end += 1 + segment.len();
            for (_, hash) in chains.iter_mut().flatten() {
                *hash = prefix_step(keys, *hash, segment);
            }
        }
    }

    pub(crate) fn hash(&self, resource: &Resource) -> u64 {
        let keys = self.resources.keys();
        let (host, path) = (resource.host.as_ref().map(host_bytes), resource.path.as_str().as_bytes());
        match resource.matching {
            Match::Exact => exact_hash(keys, host, path),
            Match::Prefix => segments(path)
                .fold(prefix_start(keys, host), |hash, segment| prefix_step(keys, hash, segment)),
        }
    }

    /// The rules of exactly this resource.
    pub(crate) fn get(&self, resource: &Resource) -> Option<&Arc<ResourceRules>> {
        let host = resource.host.as_ref().map(host_bytes);
        let path = resource.path.as_str().as_bytes();
        self.find(self.hash(resource), resource.matching, host, path).map(|keyed| &keyed.rules)
    }

    /// Add a rule; answers with the one of the same conditions that it replaced.
    pub(crate) fn insert(&mut self, resource: &Resource, rule: ResourceRule) -> Option<ResourceRule> {
        let empty = || ResourceRules { resource: PackedResource::new(resource), rules: SmallVec::new() };
        let mut changed = self.get(resource).map_or_else(empty, |rules| ResourceRules::clone(rules));
        let at = changed.rules.partition_point(|other| other.conditions > rule.conditions);
        let replaced = match changed.rules.get_mut(at) {
            Some(same) if same.conditions == rule.conditions => Some(std::mem::replace(same, rule)),
            _ => {
                changed.rules.insert(at, rule);
                None
            }
        };
        self.rules += usize::from(replaced.is_none());
        self.set(resource, changed);
        replaced
    }

    /// Take the rule of this slot out.
    pub(crate) fn remove(&mut self, resource: &Resource, slot: u32) -> Option<ResourceRule> {
        let mut changed = ResourceRules::clone(self.get(resource)?);
        let at = changed.rules.iter().position(|rule| rule.slot == slot)?;
        let removed = changed.rules.remove(at);
        self.rules -= 1;
        self.set(resource, changed);
        Some(removed)
    }

    /// Put these in the place of the resource's rules.
    fn set(&mut self, resource: &Resource, rules: ResourceRules) {
        let hash = self.hash(resource);
        let packed = rules.resource.clone();
        let same = |keyed: &Keyed| keyed.rules.resource == packed;
        let (before, after) = if rules.rules.is_empty() {
            (self.resources.remove(hash, same).is_some(), false)
        } else {
            (self.resources.insert(Keyed { hash, rules: Arc::new(rules) }, same).is_some(), true)
        };
        if before != after {
            self.count_resource(resource, after);
        }
    }

    /// A resource came or went.
    fn count_resource(&mut self, resource: &Resource, came: bool) {
        match (resource.matching, &resource.host) {
            (Match::Exact, None) if came => self.exact_of_every_host += 1,
            (Match::Exact, None) => self.exact_of_every_host -= 1,
            (Match::Exact, Some(_)) => {}
            (Match::Prefix, host) => self.count_prefix(host.as_ref(), resource.path.as_str(), came),
        }
    }

    fn count_prefix(&mut self, host: Option<&Host>, path: &str, came: bool) {
        let segments = segments(path.as_bytes()).count();
        let Some(host) = host else {
            self.prefixes_of_every_host = self.prefixes_of_every_host.counting(segments, came);
            return;
        };
        let hash = prefix_start(self.prefix_hosts.keys(), Some(host_bytes(host)));
        let same = |other: &PrefixHost| other.host == *host;
        let before =
            self.prefix_hosts.find(hash, same).map_or_else(Prefixes::default, |found| found.prefixes);
        let prefixes = before.counting(segments, came);
        if prefixes.resources == 0 {
            self.prefix_hosts.remove(hash, same);
        } else {
            self.prefix_hosts.insert(PrefixHost { host: host.clone(), prefixes }, same);
        }
    }

    /// All resources with their rules, in no promised order. Shares the table as it is now.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Arc<ResourceRules>> + use<> {
        let entries: Entries<Keyed> = self.resources.entries();
        entries.map(|keyed| keyed.rules)
    }
}

#[cfg(test)]
mod tests;
