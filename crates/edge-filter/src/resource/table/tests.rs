//! The table held against a linear search.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{CanonicalPath, NEVER, ParameterSegments, Status};

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

/// A rule to put, by its end, or one to take out.
fn change() -> impl Strategy<Value = (Key, Option<u32>)> {
    let end = prop_oneof![2 => 1..20u32, 1 => Just(NEVER)];
    ((resource(), conditions()), proptest::option::weighted(0.75, end))
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
        let mut oracle: BTreeMap<Key, (u32, u32)> = BTreeMap::new();
        for (slot, ((resource, conditions), expires_at_s)) in (0..).zip(changes) {
            let key = (resource.clone(), conditions.clone());
            match expires_at_s {
                Some(expires_at_s) => {
                    let action = Action::Deny(Status::FORBIDDEN);
                    let rule = ResourceRule { conditions, details: None, action, expires_at_s, slot, source: 0 };
                    let replaced = table.insert(&resource, rule).map(|rule| (rule.expires_at_s, rule.slot));
                    prop_assert_eq!(replaced, oracle.insert(key, (expires_at_s, slot)));
                }
                None => {
                    let expected = oracle.remove(&key);
                    let removed = table.remove(&resource, expected.map_or(u32::MAX, |(_, slot)| slot));
                    prop_assert_eq!(removed.map(|rule| (rule.expires_at_s, rule.slot)), expected);
                }
            }
        }
        prop_assert_eq!(table.len(), oracle.len());
        let all: BTreeMap<Key, (u32, u32)> = table
            .entries()
            .flat_map(|of| of.rules.iter().map(|rule| (
                (of.resource(), rule.conditions.clone()),
                (rule.expires_at_s, rule.slot),
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
                .filter(|((resource, _), (end_s, _))| takes_in(resource, host, &path) && now_s < *end_s)
                .collect();
            live.sort_by_key(|(key, _)| std::cmp::Reverse(precedence(key)));
            let first = live.first().map(|((_, conditions), (_, slot))| conditions.is_none().then_some(*slot));
            let found = table.decide(host_bytes, path_bytes, Known::Resource, now_s);
            prop_assert_eq!(slot_of(found), first, "{}{}", host, path);

            let (mut parameters, query_keys) = (Vec::with_capacity(4), RandomState::new());
            let query = Query::new(b"", &mut [], &mut parameters, &query_keys);
            let holds = |conditions: &Conditions| conditions.hold(&request, &query);
            let holding = live.iter().find(|((_, own), _)| own.as_deref().is_none_or(holds));
            let found = table.decide(host_bytes, path_bytes, Known::Request(&request, query), now_s);
            prop_assert_eq!(slot_of(found), holding.map(|(_, (_, slot))| Some(*slot)), "{}{}", host, path);
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
    assert_eq!((table.prefix_hosts.len(), table.of_every_host, table.len()), (2, 1, 3));
    for (slot, resource) in (0..).zip(&resources) {
        assert!(table.remove(resource, slot).is_some());
    }
    assert_eq!((table.prefix_hosts.len(), table.of_every_host, table.len()), (0, 0, 0));
}
