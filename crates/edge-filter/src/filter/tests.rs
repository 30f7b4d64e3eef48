//! The filter as its users see it: operations in, verdicts out.

use std::net::IpAddr;
use std::sync::Arc;

use crate::filter::QUEUE;
use crate::*;

mod half_open;

const NOW_S: u32 = 1_000_000;

fn filter() -> Filter {
    Filter::new(Settings::default())
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn client_rule(list: List, net: &str, expires_at_s: u32) -> Rule {
    Rule {
        target: Target::Client(list, net.parse().unwrap()),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s,
        origin: Origin::List("list".into()),
        reason: "".into(),
    }
}

fn resource(text: &str) -> Resource {
    let (text, is_prefix) = text.strip_suffix("/*").map_or((text, false), |text| (text, true));
    let (host, path) = split_base(text.as_bytes());
    let host = (!host.is_empty()).then(|| Host::parse(str::from_utf8(host).unwrap()).unwrap());
    let path = if path.is_empty() { b"/" } else { path };
    let path = CanonicalPath::parse(path, ParameterSegments::Keep, 1024).unwrap();
    if is_prefix { Resource::prefix(host, path) } else { Resource::exact(host, path) }
}

fn resource_rule(text: &str, conditions: Conditions, status: u16) -> Rule {
    Rule {
        target: Target::Resource(resource(text), conditions),
        action: Action::Deny(Status::new(status).unwrap()),
        expires_at_s: NEVER,
        origin: Origin::List("list".into()),
        reason: "".into(),
    }
}

fn learned(text: &str, expires_at_s: u32) -> Rule {
    let provenance = Provenance {
        backend: "app".into(),
        learned_at_us: u64::from(NOW_S) * 1_000_000,
        ..Provenance::default()
    };
    Rule {
        expires_at_s,
        origin: Origin::Learned(Arc::new(provenance)),
        ..resource_rule(text, Conditions::default(), 404)
    }
}

fn put(filter: &Filter, rule: Rule) {
    filter.submit(Operation::Put(rule), NOW_S).unwrap();
}

fn of_resource(filter: &Filter, base: &str) -> i16 {
    filter.reader().resource(base.as_bytes(), NOW_S).code()
}

fn of_client(filter: &Filter, client: &str) -> i16 {
    filter.reader().address(addr(client), NOW_S).code()
}

#[test]
fn an_allowed_address_is_never_blocked_whatever_the_lengths() {
    let filter = filter();
    put(&filter, client_rule(List::Block, "192.0.2.0/24", NEVER));
    put(&filter, client_rule(List::Block, "192.0.2.7", NEVER));
    assert_eq!((of_client(&filter, "192.0.2.7"), of_client(&filter, "192.0.3.7")), (403, 0));
    put(&filter, client_rule(List::Allow, "192.0.2.0/28", NEVER));
    assert_eq!((of_client(&filter, "192.0.2.7"), of_client(&filter, "192.0.2.77")), (0, 403));
    assert_eq!(of_client(&filter, "::ffff:192.0.2.77"), 403, "a mapped address is its IPv4 address");
}

#[test]
fn an_expired_rule_never_matches_swept_or_not_and_a_shorter_prefix_takes_over() {
    let filter = filter();
    put(&filter, client_rule(List::Block, "2001:db8::/32", NEVER));
    put(&filter, Rule { action: Action::Drop, ..client_rule(List::Block, "2001:db8::1", NOW_S + 10) });
    let mut reader = filter.reader();
    assert_eq!(reader.address(addr("2001:db8::1"), NOW_S + 9), Verdict::Drop);
    assert_eq!(reader.address(addr("2001:db8::1"), NOW_S + 10).code(), 403);
    assert_eq!(filter.snapshot().counts().block, 2);
    filter.upkeep(NOW_S + 10, 100);
    assert_eq!(filter.snapshot().counts().block, 1);
    assert_eq!(filter.counters().changes.expired, 1);
    assert_eq!(reader.address(addr("2001:db8::1"), NOW_S + 10).code(), 403);
}

#[test]
fn the_seed_rules_of_paths_hold() {
    let filter = filter();
    put(&filter, resource_rule("a.example/yeet", Conditions::default(), 404));
    put(&filter, resource_rule("a.example/adm/*", Conditions::default(), 410));
    for (base, verdict) in [
        ("a.example/yeet", 404),
        ("A.Example:8080//yeet", 404),
        ("a.example/%79eet", 404),
        ("a.example/a/../yeet", 404),
        ("a.example/yeetish", 0),
        ("a.example/YEET", 0),
        ("a.example/yeet/x", 0),
        ("b.example/yeet", 0),
        ("/yeet", 0),
        ("a.example/adm/x", 410),
        ("a.example/adm/x/y", 410),
        ("a.example/adm/", 410),
        ("a.example/adm", 410),
        ("a.example/admin", 0),
        ("a.example*", 0),
    ] {
        assert_eq!(of_resource(&filter, base), verdict, "{base}");
    }
}

#[test]
fn the_more_specific_resource_decides() {
    let filter = filter();
    for (text, status) in [
        ("/*", 400),
        ("a.example/*", 401),
        ("/a/*", 402),
        ("a.example/a/*", 403),
        ("/a/b", 404),
        ("a.example/a/b", 405),
    ] {
        put(&filter, resource_rule(text, Conditions::default(), status));
    }
    for (base, verdict) in [
        ("b.example/", 400),
        ("a.example/", 401),
        ("b.example/a/x", 402),
        ("a.example/a/x", 403),
        ("b.example/a/b", 404),
        ("a.example/a/b", 405),
    ] {
        assert_eq!(of_resource(&filter, base), verdict, "{base}");
    }
}

#[test]
fn a_rule_with_conditions_asks_and_check_answers() {
    let filter = filter();
    let conditions = Conditions { method: Some("POST".into()), ..Conditions::default() };
    put(&filter, resource_rule("a.example/form", conditions, 429));
    assert_eq!(of_resource(&filter, "a.example/form"), -1);
    let check = |method: &[u8]| {
        let request = Request {
            host: b"a.example",
            path: b"/form",
            query: b"",
            method,
            anonymous: true,
            client: Some(addr("192.0.2.1")),
        };
        filter.reader().check(&request, NOW_S)
    };
    assert_eq!(check(b"POST").verdict.code(), 429);
    assert_eq!(check(b"GET"), Decision { verdict: Verdict::Pass, rule: None });
    put(&filter, resource_rule("a.example/form", Conditions::default(), 404));
    assert_eq!((check(b"POST").verdict.code(), check(b"GET").verdict.code()), (429, 404));
}

#[test]
fn check_refuses_a_blocked_client_whatever_it_asks_for() {
    let filter = filter();
    put(&filter, Rule { reason: "scanner".into(), ..client_rule(List::Block, "192.0.2.1", NEVER) });
    let request = Request {
        host: b"a.example",
        path: b"/",
        query: b"",
        method: b"GET",
        anonymous: true,
        client: Some(addr("192.0.2.1")),
    };
    let decision = filter.reader().check(&request, NOW_S);
    assert_eq!(decision.verdict.code(), 403);
    assert_eq!(&*decision.rule.unwrap().reason, "scanner");
}

#[test]
fn a_backend_takes_back_what_was_learned_and_nothing_else() {
    let filter = filter();
    put(&filter, resource_rule("a.example/listed", Conditions::default(), 403));
    put(&filter, learned("a.example/learned", NOW_S + 100));
    for text in ["a.example/listed", "a.example/learned"] {
        filter.submit(Operation::ForgetResource(resource(text)), NOW_S).unwrap();
    }
    assert_eq!(
        (of_resource(&filter, "a.example/listed"), of_resource(&filter, "a.example/learned")),
        (403, 0)
    );
    assert_eq!(filter.snapshot().counts().learned, 0);
}

#[test]
fn a_backend_cannot_end_an_operators_rule_by_learning_it() {
    let filter = filter();
    put(&filter, resource_rule("a.example/x", Conditions::default(), 403));
    put(&filter, learned("a.example/x", NOW_S + 1));
    filter.upkeep(NOW_S + 5, 10);
    assert_eq!(filter.reader().resource(b"a.example/x", NOW_S + 5).code(), 403);
    assert_eq!(filter.counters().changes.refused, 1);
}

#[test]
fn what_a_list_refuses_stays_refused_whatever_is_learned() {
    let filter = filter();
    let post = Conditions { method: Some("POST".into()), ..Conditions::default() };
    put(&filter, resource_rule("a.example/pay", post.clone(), 403));
    put(&filter, resource_rule("/adm/*", Conditions::default(), 410));
    let observing = |text: &str| Rule { action: Action::Observe, ..learned(text, NOW_S + 100) };
    put(&filter, observing("a.example/pay"));
    put(&filter, observing("a.example/adm/x"));
    assert_eq!((of_resource(&filter, "a.example/pay"), of_resource(&filter, "a.example/adm/x")), (-1, 410));
    let check = |method: &[u8]| {
        let request =
            Request { host: b"a.example", path: b"/pay", query: b"", method, anonymous: true, client: None };
        filter.reader().check(&request, NOW_S).verdict.code()
    };
    assert_eq!((check(b"POST"), check(b"GET")), (403, 1));
    // Nor does the half-open request of a learned rule pass what a list refuses.
    put(&filter, learned("a.example/adm/y", NOW_S + 100));
    assert_eq!(filter.reader().resource(b"a.example/adm/y", NOW_S + 95).code(), 410);

    put(&filter, client_rule(List::Block, "192.0.2.0/24", NEVER));
    let client = client_rule(List::Block, "192.0.2.1", NOW_S + 100);
    put(&filter, Rule { target: client.target, ..observing("/") });
    assert_eq!(of_client(&filter, "192.0.2.1"), 403);
    let explanation = filter.reader().explain_address(addr("192.0.2.1"), NOW_S);
    assert_eq!((explanation.verdict.code(), explanation.rules[0].part), (403, Part::Decides));
}

#[test]
fn a_backend_that_fills_the_filter_gives_way_to_the_others() {
    let settings = Settings { max_learned: 4, ..Settings::default() };
    let filter = Filter::new(settings);
    let of = |backend: &str, text: &str, ttl_s: u32| {
        let from = Provenance {
            backend: backend.into(),
            learned_at_us: u64::from(NOW_S) * 1_000_000,
            ..Provenance::default()
        };
        put(&filter, Rule { origin: Origin::Learned(Arc::new(from)), ..learned(text, NOW_S + ttl_s) });
    };
    for host in 0..9 {
        of("greedy", &format!("h{host}.example/x"), 86_400);
    }
    of("modest", "m.example/x", 60);
    of("modest", "m.example/y", 60);
    assert_eq!((of_resource(&filter, "m.example/x"), of_resource(&filter, "m.example/y")), (404, 404));
    of("greedy", "h9.example/x", 86_400);
    assert_eq!((of_resource(&filter, "m.example/x"), of_resource(&filter, "m.example/y")), (404, 404));
    assert_eq!(filter.snapshot().counts().learned, 4);
}

#[test]
fn a_learned_rule_displaces_no_rule_of_a_list() {
    let filter = Filter::new(Settings { max_rules: 1, ..Settings::default() });
    put(&filter, client_rule(List::Block, "192.0.2.1", NOW_S + 5));
    put(&filter, learned("a.example/x", NOW_S + 100));
    assert_eq!((of_client(&filter, "192.0.2.1"), of_resource(&filter, "a.example/x")), (403, 0));
}

#[test]
fn replacing_a_list_leaves_other_lists_alone_and_keeps_hits() {
    let filter = filter();
    let list = |nets: &[&str]| nets.iter().map(|net| client_rule(List::Block, net, NEVER)).collect();
    let replace = |name: &str, nets: &[&str]| {
        crate::edit::tests::replace(&filter, name, list(nets), NOW_S);
    };
    replace("one", &["192.0.2.1", "192.0.2.2", "198.51.100.0/24"]);
    replace("two", &["192.0.2.3"]);
    assert_eq!(of_client(&filter, "192.0.2.2"), 403);
    replace("one", &["192.0.2.2"]);
    let listed: Vec<_> =
        ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1"].map(|a| of_client(&filter, a)).into();
    assert_eq!(listed, [0, 403, 403, 0]);
    let hits: u64 = filter.rules(Kind::Client).map(|(_, hits)| hits).sum();
    assert_eq!(hits, 3);
}

#[test]
fn at_the_caps_the_rule_that_ends_first_gives_way() {
    let settings = Settings { max_learned: 3, max_learned_per_host: 2, max_rules: 5, ..Settings::default() };
    let filter = Filter::new(settings);
    put(&filter, learned("a.example/1", NOW_S + 100));
    put(&filter, learned("a.example/2", NOW_S + 200));
    put(&filter, learned("a.example/3", NOW_S + 300));
    assert_eq!(of_resource(&filter, "a.example/1"), 0, "the host is at its cap");
    put(&filter, learned("a.example/0", NOW_S + 50));
    assert_eq!(of_resource(&filter, "a.example/0"), 0, "the new one ends first of all");
    put(&filter, learned("b.example/1", NOW_S + 400));
    put(&filter, learned("b.example/2", NOW_S + 500));
    assert_eq!(of_resource(&filter, "a.example/2"), 0, "all hosts together are at the cap");
    assert_eq!(filter.snapshot().counts().learned, 3);
    for net in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        put(&filter, client_rule(List::Block, net, NEVER));
    }
    assert_eq!(of_resource(&filter, "a.example/3"), 0, "the filter is full");
    assert_eq!(of_client(&filter, "192.0.2.3"), 403);
    put(&filter, client_rule(List::Block, "192.0.2.4", NEVER));
    put(&filter, client_rule(List::Block, "192.0.2.5", NEVER));
    put(&filter, client_rule(List::Block, "192.0.2.6", NEVER));
    assert_eq!(of_client(&filter, "192.0.2.6"), 0, "rules without an end do not give way");
    let RuleCounts { allow, block, resource, learned } = filter.snapshot().counts();
    assert_eq!((allow, block, resource, learned), (0, 5, 0, 0));
}

#[test]
fn explain_agrees_with_the_lookup_and_names_what_is_overridden() {
    let filter = filter();
    put(&filter, client_rule(List::Block, "192.0.2.0/24", NEVER));
    put(&filter, client_rule(List::Block, "192.0.2.1", NOW_S + 60));
    let mut reader = filter.reader();
    let explanation = reader.explain_address(addr("192.0.2.1"), NOW_S).to_string();
    assert_eq!(
        explanation,
        "192.0.2.1: deny 403\n  decides: block 192.0.2.1: deny 403, 60 s left, list, 0 hits\n  \
         overridden: block 192.0.2.0/24: deny 403, no end, list, 0 hits\n"
    );
    put(&filter, resource_rule("a.example/x", Conditions::default(), 404));
    put(&filter, resource_rule("/x", Conditions { anonymous: true, ..Conditions::default() }, 403));
    let explanation = reader.explain_resource(b"https://A.example//x?y", NOW_S).to_string();
    assert_eq!(
        explanation,
        "a.example/x: deny 404\n  decides: a.example/x: deny 404, no end, list, 0 hits\n  \
         overridden: /x anon: deny 403, no end, list, 0 hits\n"
    );
    let explanation = reader.explain_resource(b"b.example/x", NOW_S);
    assert_eq!((explanation.verdict, explanation.rules[0].part), (Verdict::Ask, Part::Conditional));
}

#[test]
fn a_full_queue_turns_operations_away_and_loses_none_of_the_others() {
    let filter = filter();
    let rule = |at: u32| client_rule(List::Block, &std::net::Ipv4Addr::from_bits(at).to_string(), NEVER);
    let applying = filter.rules.lock();
    let mut at = 0;
    while filter.submit(Operation::Put(rule(at)), NOW_S).is_ok() {
        at += 1;
    }
    assert_eq!(at as usize, QUEUE);
    assert_eq!(filter.submit(Operation::Put(rule(at)), NOW_S), Err(QueueFull));
    assert_eq!((filter.counters().queue_full, filter.snapshot().counts().block), (2, 0));
    drop(applying);
    filter.submit(Operation::Put(rule(at)), NOW_S).unwrap();
    assert_eq!(filter.snapshot().counts().block, QUEUE + 1);
    let of = |at: u32| filter.reader().address(std::net::Ipv4Addr::from_bits(at).into(), NOW_S).code();
    assert_eq!((of(at - 1), of(at)), (403, 403));
}

#[test]
fn whoever_gets_the_lock_applies_its_own_operation_too() {
    let filter = filter();
    let rule = |at: u32| client_rule(List::Block, &std::net::Ipv4Addr::from_bits(at).to_string(), NEVER);
    let applying = filter.rules.lock();
    for at in 1..QUEUE as u32 {
        filter.submit(Operation::Put(rule(at)), NOW_S).unwrap();
    }
    drop(applying);
    put(&filter, rule(0));
    assert_eq!(of_client(&filter, "0.0.0.0"), 403);
}
