//! The table held against a linear search.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::snapshot::LEARNED;
use crate::{CanonicalPath, NEVER, ParameterSegments, Query, Request, Status};

const HOSTS: [Option<&str>; 3] = [None, Some("a.example"), Some("b.example")];

/// Paths of few segments that begin alike, with and without a slash at the end.
fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![Just("a"), Just("ab"), Just("a%2Fb"), Just("b")];
    (proptest::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, is_open)| {
        let end = if is_open && !segments.is_empty() { "/" } else { "" };
        format!("/{}{end}", segments.join("/"))
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    (0..HOSTS.len(), path(), any::<bool>()).prop_map(|(host, path, is_prefix)| {
        let host = HOSTS[host].map(|host| Host::parse(host).unwrap());
        let path = CanonicalPath::parse(path, ParameterSegments::Keep, 99).unwrap();
        if is_prefix { Resource::prefix(host, path) } else { Resource::exact(host, path) }
    })
}

fn conditions() -> impl Strategy<Value = Option<Arc<Conditions>>> {
    let given = (proptest::option::of(prop_oneof![Just("GET"), Just("POST")]), any::<bool>());
    given.prop_map(|(method, anonymous)| {
        let conditions = Conditions { method: method.map(Box::from), anonymous, ..Conditions::default() };
        (!conditions.is_empty()).then(|| Arc::new(conditions))
    })
}

type Key = (Resource, Option<Arc<Conditions>>);

/// What of a rule decides besides its key.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Put {
    expires_at_s: u32,
    slot: u32,
    source: u8,
    action: Action,
}

impl From<&ResourceRule> for Put {
    fn from(rule: &ResourceRule) -> Self {
        let &ResourceRule { expires_at_s, slot, source, action, .. } = rule;
        Self { expires_at_s, slot, source, action }
    }
}

/// A rule to put, learned or of a list, or one to take out.
fn change() -> impl Strategy<Value = (Key, Option<Put>)> {
    let end = prop_oneof![2 => 1..20u32, 1 => Just(NEVER)];
    let action = prop_oneof![Just(Action::Deny(Status::FORBIDDEN)), Just(Action::Observe)];
    let put = (end, LEARNED..LEARNED + 2, action);
    let put = put.prop_map(|(expires_at_s, source, action)| Put { expires_at_s, slot: 0, source, action });
    ((resource(), conditions()), proptest::option::weighted(0.75, put))
}

/// Whether the resource takes the path in, told as lists of segments.
fn takes_in(resource: &Resource, host: &str, path: &str) -> bool {
    let own = resource.path.as_str();
    let covers = match resource.matching {
        Match::Exact => own == path,
        Match::Prefix => {
            let names =
                |path: &str| path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            names(path).starts_with(&names(own))
        }
    };
    covers && resource.host.as_ref().is_none_or(|own| own.as_str() == host)
}

/// What has precedence is greater.
fn precedence((resource, conditions): &Key) -> impl Ord + use<> {
    let segments = resource.path.as_str().split('/').filter(|segment| !segment.is_empty()).count();
    (resource.matching == Match::Exact, segments, resource.host.is_some(), conditions.clone())
}

/// Of rules that match, in the order of precedence: the first, unless the first of a list refuses, or has conditions that
/// may hide one that does.
fn deciding<'a>(live: &[(&'a Key, &'a Put)], knows_conditions: bool) -> Option<(&'a Key, &'a Put)> {
    let listed = live.iter().find(|(_, put)| put.source != LEARNED);
    let may_refuse = |((_, conditions), put): &&(&Key, &Put)| {
        put.action.refuses() || !knows_conditions && conditions.is_some()
    };
    listed.filter(may_refuse).or(live.first()).copied()
}

fn slot_of(found: Option<Found<'_>>) -> Option<Option<u32>> {
    found.map(|found| match found {
        Found::Rule(_, rule) => Some(rule.slot),
        Found::Undecided(_) => None,
    })
}

proptest! {
    #[test]
    fn the_rule_that_decides_is_that_of_a_linear_search(
        changes in proptest::collection::vec(change(), 1..60),
        probes in proptest::collection::vec((1..=3usize, path(), any::<bool>(), any::<bool>()), 1..20),
        now_s in 0..20u32,
    ) {
        let mut table = ResourceTable::new(&RandomState::new());
        let mut oracle: BTreeMap<Key, Put> = BTreeMap::new();
        for (slot, ((resource, conditions), put)) in (0..).zip(changes) {
            let key = (resource.clone(), conditions.clone());
            match put {
                Some(put) => {
                    let Put { expires_at_s, source, action, .. } = put;
                    let rule = ResourceRule { conditions, details: None, action, expires_at_s, slot, source };
                    let replaced = table.insert(&resource, rule);
                    let expected = oracle.insert(key, Put { slot, ..put });
                    prop_assert_eq!(replaced.as_ref().map(Put::from), expected);
                }
                None => {
                    let expected = oracle.remove(&key);
                    let removed = table.remove(&resource, expected.map_or(u32::MAX, |put| put.slot));
                    prop_assert_eq!(removed.as_ref().map(Put::from), expected);
                }
            }
        }
        prop_assert_eq!(table.len(), oracle.len());
        let all: BTreeMap<Key, Put> = table
            .entries()
            .flat_map(|of| of.rules.iter().map(|rule| (
                (of.resource(), rule.conditions.clone()), Put::from(rule),
            )).collect::<Vec<_>>())
            .collect();
        prop_assert_eq!(&all, &oracle);

        for (host, path, is_post, anonymous) in probes {
            let host = HOSTS.get(host).copied().flatten().unwrap_or("c.example");
            let method: &[u8] = if is_post { b"POST" } else { b"GET" };
            let (host_bytes, path_bytes) = (host.as_bytes(), path.as_bytes());
            let request =
                Request { host: host_bytes, path: path_bytes, query: b"", method, anonymous, client: None };
            let mut live: Vec<_> = oracle
                .iter()
                .filter(|((resource, _), put)| takes_in(resource, host, &path) && now_s < put.expires_at_s)
                .collect();
            live.sort_by_key(|(key, _)| std::cmp::Reverse(precedence(key)));
            let slot = |((_, conditions), put): (&Key, &Put)| conditions.is_none().then_some(put.slot);
            let known = slot_of(table.decide(host_bytes, path_bytes, Known::Resource, now_s));
            prop_assert_eq!(known, deciding(&live, false).map(slot), "{}{}", host, path);

            let (mut parameters, query_keys) = (Vec::with_capacity(4), RandomState::new());
            let query = Query::new(b"", &mut [], &mut parameters, &query_keys);
            live.retain(|((_, own), _)| {
                own.as_deref().is_none_or(|own| own.hold(&request, &query) == Some(true))
            });
            let found = table.decide(host_bytes, path_bytes, Known::Request(&request, query), now_s);
            let expected = deciding(&live, true).map(|(_, put)| Some(put.slot));
            prop_assert_eq!(slot_of(found), expected, "{}{}", host, path);
            if let Some(Some(_)) = known {
                prop_assert_eq!(slot_of(found), known, "what the resource alone decides, the request does too");
            }
        }
    }
}

#[test]
fn a_table_emptied_again_looks_nowhere() {
    let mut table = ResourceTable::new(&RandomState::new());
    let path = |text| CanonicalPath::parse(text, ParameterSegments::Keep, 99).unwrap();
    let resources = [
        Resource::prefix(None, path("/a/b")),
        Resource::prefix(Host::parse("a.example").ok(), path("/")),
        Resource::exact(None, path("/a")),
    ];
    for (slot, resource) in (0..).zip(&resources) {
        let action = Action::Drop;
        let rule =
            ResourceRule { conditions: None, details: None, action, expires_at_s: NEVER, slot, source: 0 };
        assert!(table.insert(resource, rule).is_none());
    }
    let counts = |table: &ResourceTable| {
        (table.prefix_hosts.len(), table.prefixes_of_every_host.resources, table.exact_of_every_host)
    };
    assert_eq!(counts(&table), (1, 1, 1));
    for (slot, resource) in (0..).zip(&resources) {
        assert!(table.remove(resource, slot).is_some());
    }
    assert_eq!(counts(&table), (0, 0, 0));
}
