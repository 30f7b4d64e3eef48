//! The table of resource rules.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use ahash::RandomState;
use smallvec::SmallVec;

use super::packed::PackedResource;
use super::{Conditions, Host, Match, Query, Request, Resource};
use crate::Action;
use crate::hash::{Entries, HashTable, Hashed};
use crate::rule::Details;
use crate::snapshot::LEARNED;

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

/// A host that has prefix rules; `None` is every host.
#[derive(Clone, Debug)]
pub(super) struct PrefixHost {
    host: Option<Host>,
    /// How many resources.
    resources: u32,
    /// Segments of the longest; not taken back while one is left.
    max_segments: usize,
}

impl Hashed for PrefixHost {
    fn hash(&self, keys: &RandomState) -> u64 {
        prefix_start(keys, self.host.as_ref().map(host_bytes))
    }
}

/// What is known of a request when a rule is held against it.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    /// Host and path only: a rule with conditions cannot be decided.
    Resource,
    /// Everything.
    Request(&'a Request<'a>, Query<'a>),
}

/// What was found for a request.
#[derive(Clone, Copy)]
pub(crate) enum Found<'a> {
    /// This rule of this resource matches.
    Rule(&'a ResourceRules, &'a ResourceRule),
    /// This rule may match, which its conditions decide.
    Undecided(&'a ResourceRule),
}

impl<'a> Found<'a> {
    pub(crate) fn rule(self) -> &'a ResourceRule {
        let (Self::Rule(_, rule) | Self::Undecided(rule)) = self;
        rule
    }
}

/// The rules of all resources. A clone shares everything.
#[derive(Clone, Debug)]
pub(crate) struct ResourceTable {
    pub(super) resources: HashTable<Keyed>,
    /// Exact resources of every host.
    pub(super) of_every_host: usize,
    pub(super) prefix_hosts: HashTable<PrefixHost>,
    pub(super) rules: usize,
}

fn host_bytes(host: &Host) -> &[u8] {
    host.as_str().as_bytes()
}

/// Hash of an exact resource.
#[inline]
fn exact_hash(keys: &RandomState, host: Option<&[u8]>, path: &[u8]) -> u64 {
    let mut hasher = keys.build_hasher();
    hasher.write_u8(u8::from(host.is_some()));
    hasher.write(host.unwrap_or_default());
    hasher.write(path);
    hasher.finish()
}

/// Hash of the prefix that is all of a host.
fn prefix_start(keys: &RandomState, host: Option<&[u8]>) -> u64 {
    let mut hasher = keys.build_hasher();
    hasher.write_u8(2 + u8::from(host.is_some()));
    hasher.write(host.unwrap_or_default());
    hasher.finish()
}

/// Hash of a prefix with one segment more.
fn prefix_step(keys: &RandomState, hash: u64, segment: &[u8]) -> u64 {
    let mut hasher = keys.build_hasher();
    hasher.write_u64(hash);
    hasher.write(segment);
    hasher.finish()
}

/// The segments of a canonical path: of `/` none, of `/a/` two, the last one empty.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').skip(1).filter(move |_| path.len() > 1)
}

impl ResourceTable {
    pub(crate) fn new(keys: &RandomState) -> Self {
        Self {
            resources: HashTable::new(keys.clone()),
            of_every_host: 0,
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
    /// stays refused, whatever was learned: a backend must not open what the operator has closed.
    ///
    /// O(length of host and path) and of the rules found; allocates nothing and cannot panic.
    pub(crate) fn decide(&self, host: &[u8], path: &[u8], known: Known<'_>, now_s: u32) -> Option<Found<'_>> {
        let mut of_all = None;
        let mut of_lists = None;
        self.matching(host, path, |resource| {
            let (mut first, mut first_listed) = (None, None);
            for rule in resource.rules.iter().filter(|rule| now_s < rule.expires_at_s) {
                let found = match (&rule.conditions, known) {
                    (None, _) => Found::Rule(resource, rule),
                    (Some(_), Known::Resource) => Found::Undecided(rule),
                    (Some(conditions), Known::Request(request, query))
                        if conditions.hold(request, &query) =>
                    {
                        Found::Rule(resource, rule)
                    }
                    _ => continue,
                };
                first = first.or(Some(found));
                if rule.source != LEARNED {
                    first_listed = Some(found);
                    break;
                }
            }
            of_all = first.or(of_all);
            of_lists = first_listed.or(of_lists);
        });
        of_lists.filter(|found| found.rule().action.refuses()).or(of_all)
    }

    /// Every resource that takes in this canonical host and path; the later one has precedence.
    #[inline]
    pub(crate) fn matching<'a>(&'a self, host: &[u8], path: &[u8], mut visit: impl FnMut(&'a ResourceRules)) {
        if self.prefix_hosts.len() > 0 {
            self.matching_prefixes(host, path, &mut visit);
        }
        if self.of_every_host > 0 {
            self.exact(None, path).into_iter().for_each(&mut visit);
        }
        if self.resources.len() > 0 {
            self.exact(Some(host), path).into_iter().for_each(&mut visit);
        }
    }

    fn exact(&self, host: Option<&[u8]>, path: &[u8]) -> Option<&ResourceRules> {
        let hash = exact_hash(self.resources.keys(), host, path);
        self.find(hash, Match::Exact, host, path).map(|keyed| &*keyed.rules)
    }

    fn find(&self, hash: u64, matching: Match, host: Option<&[u8]>, path: &[u8]) -> Option<&Keyed> {
        self.resources.find(hash, |keyed| keyed.hash == hash && keyed.rules.resource.is(matching, host, path))
    }

    /// Each segment is hashed once, and no deeper than the longest rule.
    fn matching_prefixes<'a>(&'a self, host: &[u8], path: &[u8], visit: &mut impl FnMut(&'a ResourceRules)) {
        let keys = self.resources.keys();
        let chain = |host: Option<&'_ [u8]>| {
            let start = prefix_start(keys, host);
            let with_rules =
                self.prefix_hosts.find(start, |other| other.host.as_ref().map(host_bytes) == host)?;
            Some((start, with_rules.max_segments))
        };
        let mut of_every_host = chain(None);
        let mut of_host = chain(Some(host));
        let max_segments = |chain: Option<(u64, usize)>| chain.map_or(0, |(_, max_segments)| max_segments);
        let deepest = max_segments(of_every_host).max(max_segments(of_host));
        let mut end = 0;
        let mut rest = segments(path).take(deepest);
        loop {
            // A prefix has no trailing slash, the one of a whole host excepted.
            let prefix = if end == 0 { b"/" } else { &path[..end] };
            for (chain, host) in [(of_every_host, None), (of_host, Some(host))] {
                let found = chain.and_then(|(hash, _)| self.find(hash, Match::Prefix, host, prefix));
                found.into_iter().for_each(|keyed| visit(&keyed.rules));
            }
            let Some(segment) = rest.next() else { return };
            end += 1 + segment.len();
            for chain in [&mut of_every_host, &mut of_host].into_iter().flatten() {
                chain.0 = prefix_step(keys, chain.0, segment);
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
        let change = |count: usize| if came { count + 1 } else { count - 1 };
        match (resource.matching, &resource.host) {
            (Match::Exact, None) => self.of_every_host = change(self.of_every_host),
            (Match::Exact, Some(_)) => {}
            (Match::Prefix, host) => {
                let hash = prefix_start(self.resources.keys(), host.as_ref().map(host_bytes));
                let same = |other: &PrefixHost| other.host == *host;
                let none = || PrefixHost { host: host.clone(), resources: 0, max_segments: 0 };
                let mut changed = self.prefix_hosts.find(hash, same).map_or_else(none, Clone::clone);
                changed.resources = change(changed.resources as usize) as u32;
                let segments = segments(resource.path.as_str().as_bytes()).count();
                changed.max_segments = changed.max_segments.max(segments);
                if changed.resources == 0 {
                    self.prefix_hosts.remove(hash, same);
                } else {
                    self.prefix_hosts.insert(changed, same);
                }
            }
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
