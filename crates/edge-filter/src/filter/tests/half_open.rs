//! The one request that a learned rule lets through near its end.

use super::*;

const REQUEST: Request<'_> =
    Request { host: b"a.example", path: b"/x", query: b"", method: b"GET", anonymous: true, client: None };

/// What the resource alone comes to, and then the whole request of this client.
fn ask(filter: &Filter, client: &str, now_s: u32) -> (i16, i16) {
    let of_resource = filter.reader().resource(b"a.example/x", now_s).code();
    let request = Request { client: Some(addr(client)), ..REQUEST };
    (of_resource, filter.reader().check_resource(&request, now_s).verdict.code())
}

#[test]
fn a_learned_rule_lets_one_request_through_near_its_end() {
    let filter = filter();
    put(&filter, learned("a.example/x", NOW_S + 100));
    let at = |now_s| ask(&filter, "192.0.2.1", now_s);
    assert_eq!([at(NOW_S + 89), at(NOW_S + 90), at(NOW_S + 91)], [(404, 404), (-1, 0), (404, 404)]);
    assert_eq!(filter.counters().half_open, 1);
    put(&filter, learned("a.example/x", NOW_S + 190));
    assert_eq!([at(NOW_S + 91), at(NOW_S + 189), at(NOW_S + 189)], [(404, 404), (-1, 0), (404, 404)]);
    assert_eq!(at(NOW_S + 190), (0, 0));
    let Counters { resource, half_open, .. } = filter.counters();
    assert_eq!((resource.lookups, resource.ask, resource.deny, half_open), (14, 2, 8, 2));
}

#[test]
fn that_request_comes_from_another_network_than_the_one_that_caused_the_rule() {
    let filter = filter();
    let caused_by = |client: &str, expires_at_s| {
        let from = Provenance {
            learned_at_us: u64::from(expires_at_s - 100) * 1_000_000,
            client_network: Some(ClientNet::of_client(addr(client))),
            ..Provenance::default()
        };
        put(
            &filter,
            Rule { origin: Origin::Learned(Arc::new(from)), ..learned("a.example/x", expires_at_s) },
        );
    };
    caused_by("192.0.2.1", NOW_S + 100);
    for client in ["192.0.2.1", "192.0.2.255", "::ffff:192.0.2.7"] {
        assert_eq!(ask(&filter, client, NOW_S + 95), (-1, 404), "{client}");
    }
    let unknown = Request { client: None, ..REQUEST };
    assert_eq!(filter.reader().check(&unknown, NOW_S + 95).verdict.code(), 404);
    assert_eq!(ask(&filter, "192.0.3.1", NOW_S + 95), (-1, 0));
    assert_eq!(ask(&filter, "192.0.3.1", NOW_S + 96), (404, 404));
    caused_by("2001:db8:1::1", NOW_S + 150);
    assert_eq!(ask(&filter, "2001:db8:1:9::9", NOW_S + 145), (-1, 404));
    assert_eq!(
        ask(&filter, "2001:db8:2::1", NOW_S + 145),
        (-1, 0),
        "the renewed rule has a window of its own"
    );
    let Counters { resource, half_open, .. } = filter.counters();
    assert_eq!((resource.deny, half_open), (4 + 2 + 1, 2));
}

#[test]
fn a_learned_rule_about_a_client_lets_nothing_through() {
    let filter = filter();
    let client = client_rule(List::Block, "192.0.2.1", NEVER);
    put(&filter, Rule { target: client.target, ..learned("a.example/", NOW_S + 100) });
    let at = |now_s| filter.reader().address(addr("192.0.2.1"), now_s).code();
    assert_eq!([at(NOW_S + 91), at(NOW_S + 99), at(NOW_S + 100)], [404, 404, 0]);
    assert_eq!(filter.counters().half_open, 0);
}
