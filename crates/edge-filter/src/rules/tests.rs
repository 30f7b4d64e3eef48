//! What changes of rules do at their edges: ends, caps, lists.

use std::sync::Arc;

use super::*;
use crate::*;

const NOW_S: u32 = 1_000_000;

fn client(net: &str, expires_at_s: u32) -> Rule {
    Rule {
        target: Target::Client(List::Block, net.parse().unwrap()),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s,
        origin: Origin::List("list".into()),
        reason: "".into(),
    }
}

fn on(path: &str, method: Option<&str>, expires_at_s: u32) -> Rule {
    let path = CanonicalPath::parse(path, ParameterSegments::Keep, 1024).unwrap();
    let resource = Resource::exact(Host::parse("a.example").ok(), path);
    let conditions = Conditions { method: method.map(Box::from), ..Conditions::default() };
    Rule { target: Target::Resource(resource, conditions), ..client("192.0.2.1", expires_at_s) }
}

fn learned(rule: Rule) -> Rule {
    let provenance = Provenance { learned_at_us: u64::from(NOW_S) * 1_000_000, ..Provenance::default() };
    Rule { origin: Origin::Learned(Arc::new(provenance)), ..rule }
}

fn put(filter: &Filter, rule: Rule, now_s: u32) {
    filter.submit(Operation::Put(rule), now_s).unwrap();
}

fn is_held(filter: &Filter, rule: &Rule) -> bool {
    let kind = if matches!(rule.target, Target::Client(..)) { Kind::Client } else { Kind::Resource };
    filter.rules(kind).any(|(other, _)| other == *rule)
}

#[test]
fn a_learned_rule_without_an_end_meets_the_caps() {
    let filter = Filter::new(Settings { max_learned: 1, ..Settings::default() });
    put(&filter, learned(on("/a", None, NEVER)), NOW_S);
    put(&filter, learned(on("/b", None, NEVER)), NOW_S);
    let RuleCounts { resource, learned, .. } = filter.snapshot().counts();
    assert_eq!((resource, learned), (1, 1));
}

#[test]
fn the_order_in_which_rules_came_does_not_decide() {
    let post = Rule { action: Action::Drop, ..on("/a", Some("POST"), NEVER) };
    let mut anonymous = Rule { action: Action::Tarpit, ..on("/a", None, NEVER) };
    if let Target::Resource(_, conditions) = &mut anonymous.target {
        conditions.anonymous = true;
    }
    let request = Request {
        host: b"a.example",
        path: b"/a",
        query: b"",
        method: b"POST",
        anonymous: true,
        client: None,
    };
    for rules in [[&post, &anonymous], [&anonymous, &post]] {
        let filter = Filter::new(Settings::default());
        for rule in rules {
            put(&filter, rule.clone(), NOW_S);
        }
        assert_eq!(filter.reader().check(&request, NOW_S).rule.as_ref(), Some(&post));
    }
}

#[test]
fn nothing_gives_way_to_a_rule_that_is_refused() {
    let filter = Filter::new(Settings { max_learned_per_host: 1, ..Settings::default() });
    let first = learned(on("/a", None, NOW_S + 10));
    put(&filter, first.clone(), NOW_S);
    for at in 0..MAX_RULES_PER_RESOURCE {
        put(&filter, on("/full", Some(&format!("M{at}")), NEVER), NOW_S);
    }
    put(&filter, learned(on("/full", None, NOW_S + 20)), NOW_S);
    assert!(is_held(&filter, &first), "it made room for a rule that its resource had no place for");
    assert_eq!(filter.counters().changes, ChangeCounts { refused: 1, ..ChangeCounts::default() });
}

#[test]
fn a_learned_rule_gives_way_to_a_list_whichever_ends_first() {
    let method = |at: usize| format!("M{at}");
    let filter = Filter::new(Settings::default());
    let listed = on("/full", None, NOW_S + 10);
    put(&filter, listed.clone(), NOW_S);
    for at in 1..MAX_RULES_PER_RESOURCE {
        put(&filter, learned(on("/full", Some(&method(at)), NOW_S + 100)), NOW_S);
    }
    let late = on("/full", Some("LATE"), NOW_S + 5);
    put(&filter, late.clone(), NOW_S);
    assert!(is_held(&filter, &late) && is_held(&filter, &listed), "on one resource");

    let filter = Filter::new(Settings { max_rules: 2, ..Settings::default() });
    put(&filter, listed.clone(), NOW_S);
    put(&filter, learned(on("/other", None, NOW_S + 100)), NOW_S);
    put(&filter, late.clone(), NOW_S);
    assert!(is_held(&filter, &late) && is_held(&filter, &listed), "in all");
    assert_eq!(filter.counters().changes, ChangeCounts { evicted: 1, ..ChangeCounts::default() });
}

#[test]
fn one_rule_gives_way_where_that_is_enough() {
    let settings = Settings { max_learned: 2, max_learned_per_host: 1, max_rules: 2, ..Settings::default() };
    let filter = Filter::new(settings);
    put(&filter, learned(client("192.0.2.1", NOW_S + 10)), NOW_S);
    put(&filter, learned(on("/a", None, NOW_S + 20)), NOW_S);
    put(&filter, learned(on("/b", None, NOW_S + 30)), NOW_S);
    assert_eq!(filter.snapshot().counts().learned, 2);
    assert_eq!(filter.counters().changes, ChangeCounts { evicted: 1, ..ChangeCounts::default() });
}

#[test]
fn a_full_filter_takes_a_new_list_in_place_of_the_old() {
    let filter = Filter::new(Settings { max_rules: 2, ..Settings::default() });
    for nets in [["192.0.2.1", "192.0.2.2"], ["192.0.2.3", "192.0.2.4"]] {
        let rules = nets.map(|net| client(net, NEVER)).to_vec();
        crate::edit::tests::replace(&filter, "list", rules.clone(), NOW_S);
        assert!(rules.iter().all(|rule| is_held(&filter, rule)));
    }
    assert_eq!(filter.counters().changes, ChangeCounts::default());
}

#[test]
fn there_are_at_most_255_lists() {
    let filter = Filter::new(Settings::default());
    let of_list = |at: u8, name: &str| Rule {
        origin: Origin::List(name.into()),
        ..client(&format!("192.0.2.{at}"), NEVER)
    };
    filter.edit(NOW_S).unwrap().draft_addresses(&"no rules, no list".into(), &"".into(), [[]]);
    for at in 0..255 {
        put(&filter, of_list(at, &format!("list {at}")), NOW_S);
    }
    put(&filter, of_list(255, "one list more"), NOW_S);
    put(&filter, of_list(255, "list 254"), NOW_S);
    assert_eq!(filter.snapshot().counts().block, 256);
    assert_eq!(filter.counters().changes.refused, 1);
}

#[test]
fn a_rule_that_ended_stands_in_nobodys_way_swept_or_not() {
    let filter = Filter::new(Settings::default());
    put(&filter, on("/a", None, NOW_S + 10), NOW_S);
    let taught = learned(on("/a", None, NOW_S + 20));
    put(&filter, taught.clone(), NOW_S + 10);
    assert!(is_held(&filter, &taught));
    assert_eq!(filter.counters().changes, ChangeCounts { expired: 1, ..ChangeCounts::default() });
}

#[test]
fn a_flood_of_distinct_paths_costs_no_more_than_the_caps() {
    const FLOOD: u32 = 1_000_000;
    const HOSTS: u32 = 15;
    let settings = Settings::default();
    let (max_learned, of_host) = (settings.max_learned as usize, settings.max_learned_per_host as usize);
    let mut rules = Rules::new(&RandomState::new());
    let hosts: Vec<_> = (0..HOSTS).map(|at| Host::parse(&format!("h{at}.example")).unwrap()).collect();
    let pending = |_: u32| 0;
    let context = |now_s| Context { now_s, settings: &settings, pending: &pending, is_draft: false };
    let put = |rules: &mut Rules, at: u32, host: &Host| {
        let path = CanonicalPath::parse(format!("/{at}"), ParameterSegments::Keep, 1024).unwrap();
        let target = Target::Resource(Resource::exact(Some(host.clone()), path), Conditions::default());
        let rule = Rule { target, ..learned(on("/", None, NOW_S + 300 + at / 1000)) };
        rules.apply(Operation::Put(rule), context(NOW_S));
    };
    for at in 0..FLOOD / 4 {
        put(&mut rules, at, &hosts[0]);
    }
    assert_eq!(rules.expiry.sizes(), [of_host, of_host, 1, of_host], "one host has its own cap");
    for at in FLOOD / 4..FLOOD {
        put(&mut rules, at, &hosts[(at % HOSTS) as usize]);
        if at % 10_000 == 0 {
            rules.publish();
        }
    }
    assert_eq!(rules.expiry.sizes(), [max_learned, max_learned, HOSTS as usize, max_learned]);
    assert_eq!((rules.slots.count() as usize, rules.slots.unused()), (max_learned, 0));
    let counts = rules.publish().counts();
    assert_eq!((counts.resource, counts.learned), (max_learned, max_learned));
    let evicted = u64::from(FLOOD) - max_learned as u64;
    assert_eq!(rules.counts(), ChangeCounts { evicted, ..ChangeCounts::default() });

    rules.sweep(usize::MAX, context(NEVER - 1));
    assert_eq!((rules.expiry.sizes(), rules.len()), ([0; 4], 0));
    assert_eq!((rules.slots.count() as usize, rules.slots.unused()), (max_learned, max_learned));
}
