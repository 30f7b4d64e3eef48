//! Block and allow lists, and which address a request is judged by.

use std::os::unix::net::UnixStream;

use edge_e2e::{Backend, Edge, Mode, Request, eventually, in_every_mode};

in_every_mode!(
    listed_networks_are_refused,
    an_allowed_address_inside_a_blocked_network_passes,
    a_map_file_is_a_list,
    ipv6_clients_are_judged,
    mapped_addresses_are_ipv4,
    a_spoofed_header_is_not_believed,
    only_what_trusted_proxies_wrote_is_believed,
    the_backend_gets_the_judged_address,
    a_bad_line_is_reported_and_skipped,
    several_files_are_read,
    a_client_is_looked_up_once_a_request,
    edge_check_alone_judges_the_client,
    a_client_without_an_address_meets_the_resources,
);

/// An address that no list of the tests has.
const UNLISTED: &str = "192.0.2.99";

fn blocking(list: &str, mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).list("blocked_ips.map", list).start();
    (backend, edge)
}

fn refuses(edge: &Edge, client: &str) -> bool {
    edge.refuses(&Request::get("/yolo").forwarded_for(client))
}

fn listed_networks_are_refused(mode: Mode) {
    let (_backend, edge) = blocking("203.0.113.0/24\n198.51.100.23\n", mode);
    for client in ["203.0.113.0", "203.0.113.255", "198.51.100.23"] {
        assert!(refuses(&edge, client), "{client} was let through");
    }
    for client in ["203.0.114.0", "203.0.112.255", "198.51.100.22", "198.51.100.24", UNLISTED] {
        assert!(!refuses(&edge, client), "{client} was refused");
    }
    let metrics = edge.metrics();
    assert_eq!(metrics.sum("edge_filter_rules", &[("table", "block")]), 2.0);
    assert_eq!(metrics.sum("edge_filter_verdicts_total", &[("table", "address"), ("verdict", "deny")]), 3.0);
    assert_eq!(metrics.sum("edge_filter_lookups_total", &[("table", "address")]), 8.0);
}

fn an_allowed_address_inside_a_blocked_network_passes(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("blocked_ips.map", "203.0.113.0/24\n203.0.113.7\n2001:db8:bad::/48\n")
        .list("allowed.lst", "203.0.113.0/29\n2001:db8:bad:cafe::/64\n")
        .start();
    for client in ["203.0.113.1", "203.0.113.7", "2001:db8:bad:cafe::1"] {
        assert!(!refuses(&edge, client), "{client} was refused");
    }
    for client in ["203.0.113.8", "2001:db8:bad:beef::1"] {
        assert!(refuses(&edge, client), "{client} was let through");
    }
}

fn a_map_file_is_a_list(mode: Mode) {
    let text =
        "# a comment\n; another\n\n203.0.113.0/24 true\n  198.51.100.23\t1 more # words\r\n192.0.2.1 # one\n";
    let (_backend, edge) = blocking(text, mode);
    for client in ["203.0.113.9", "198.51.100.23", "192.0.2.1"] {
        assert!(refuses(&edge, client), "{client} was let through");
    }
    assert_eq!(edge.metrics().sum("edge_filter_list_bad_lines_total", &[]), 0.0);
}

fn ipv6_clients_are_judged(mode: Mode) {
    let (_backend, edge) = blocking("2001:db8:bad::/48\n2001:db8::1\n", mode);
    for client in ["2001:db8:bad::", "2001:DB8:0bad:ffff::1", "2001:db8:0::1"] {
        assert!(refuses(&edge, client), "{client} was let through");
    }
    for client in ["2001:db8:bae::1", "2001:db8::2"] {
        assert!(!refuses(&edge, client), "{client} was refused");
    }
}

fn mapped_addresses_are_ipv4(mode: Mode) {
    let (_backend, edge) = blocking("203.0.113.0/24\n::ffff:198.51.100.23\n", mode);
    assert!(refuses(&edge, "::ffff:203.0.113.9"));
    assert!(refuses(&edge, "198.51.100.23"));
}

fn a_spoofed_header_is_not_believed(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("blocked_ips.map", "127.0.0.2\n203.0.113.0/24\n")
        .list("allowed.lst", "198.51.100.1\n")
        .list("trusted_proxies.lst", "127.0.0.3\n")
        .list("trusted_cf_connecting_ip.lst", "127.0.0.4\n")
        .start();
    for (header, proxy) in [("X-Forwarded-For", "127.0.0.3"), ("CF-Connecting-IP", "127.0.0.4")] {
        let spoofed = |from: &str, client: &str| {
            edge.refuses(&Request::get("/yolo").from(from.parse().unwrap()).header(header, client))
        };
        // A stranger neither frees itself nor has somebody else refused.
        assert!(spoofed("127.0.0.2", "198.51.100.1"), "{header}");
        assert!(!spoofed("127.0.0.1", "203.0.113.9"), "{header}");
        // The same from the proxy is believed.
        assert!(spoofed(proxy, "203.0.113.9"), "{header}");
    }
}

fn only_what_trusted_proxies_wrote_is_believed(mode: Mode) {
    let (_backend, edge) = blocking("203.0.113.0/24\n", mode);
    for chain in [
        "203.0.113.9",
        "192.0.2.1, 203.0.113.9",
        "192.0.2.1, 203.0.113.9, 127.0.0.1",
        "192.0.2.1, 203.0.113.9, 127.0.0.4, ::1",
    ] {
        assert!(refuses(&edge, chain), "{chain} was let through");
    }
    for chain in ["203.0.113.9, 192.0.2.1", "203.0.113.9, 192.0.2.1, 127.0.0.1"] {
        assert!(!refuses(&edge, chain), "{chain} was refused");
    }
}

fn the_backend_gets_the_judged_address(mode: Mode) {
    let (backend, edge) = blocking("", mode);
    let request =
        Request::get("/yolo").forwarded_for("10.9.9.9, 192.0.2.1").header("CF-Connecting-IP", "10.8.8.8");
    edge.send(&request);
    let received = backend.last();
    assert_eq!(received.header("x-forwarded-for"), Some("192.0.2.1"));
    assert_eq!(received.header("cf-connecting-ip"), None);
}

fn a_bad_line_is_reported_and_skipped(mode: Mode) {
    let (_backend, edge) = blocking("203.0.113.0/24\nnonsense true\n198.51.100.23\n1.2.3.4/33\n", mode);
    assert!(refuses(&edge, "203.0.113.9"));
    assert!(refuses(&edge, "198.51.100.23"));
    assert!(!refuses(&edge, "1.2.3.4"));
    assert_eq!(edge.metrics().sum("edge_filter_list_bad_lines_total", &[]), 2.0);
    // In the words of HAProxy's own warnings, which a reader of its output looks for.
    for line in ["blocked_ips.map:2:", "blocked_ips.map:4:"] {
        let log = edge.haproxy().log();
        let naming: Vec<&str> = log.lines().filter(|said| said.contains(line)).collect();
        assert_eq!(naming.len(), 1, "{line}: {log}");
        assert!(naming[0].starts_with("[WARNING]  Edge Filter: "), "{log}");
    }
}

fn several_files_are_read(mode: Mode) {
    let backend = Backend::start();
    let lists = "${FILTER_LISTS}";
    let edge = Edge::before(&backend, mode)
        .list("one.lst", "203.0.113.1\n")
        .list("two.lst", "203.0.113.2\n")
        .list("three.lst", "203.0.113.3\n")
        .setting("EDGE_BLOCK_FILES", &format!("{lists}/one.lst:{lists}/two.lst,{lists}/three.lst"))
        .start();
    for client in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        assert!(refuses(&edge, client), "{client} was let through");
    }
    assert!(!refuses(&edge, "203.0.113.4"));
}

/// Only native converters work before HTTP is parsed. In Lua the rule never holds there, and the client is refused after.
#[test]
fn a_connection_can_be_refused_before_http() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::DEFAULT)
        .list("blocked_ips.map", "127.0.0.2\n")
        .edit("#tcp-request connection reject", "tcp-request connection reject")
        .start();
    let from = |addr: &str| edge.try_send(&Request::get("/yolo").from(addr.parse().unwrap()));
    let refused = from("127.0.0.2").ok().map(|answer| answer.status);
    assert_eq!(refused, (!Mode::DEFAULT.runs_native()).then_some(403));
    assert!(from("127.0.0.1").is_ok());
    assert_eq!(backend.asked("/yolo"), 1);
}

fn a_client_is_looked_up_once_a_request(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).list("resources.lst", "/yeet POST\n").start();
    let lookups = || edge.metrics().sum("edge_filter_lookups_total", &[("table", "address")]);
    for (n, (method, refused)) in [("POST", true), ("GET", false)].into_iter().enumerate() {
        // Both ask edge_check, since the rule has a condition.
        assert_eq!(edge.refuses(&Request::new(method, "/yeet")), refused, "{method}");
        assert_eq!(lookups(), n as f64 + 1.0, "{method}");
    }
}

fn edge_check_alone_judges_the_client(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("blocked_ips.map", "203.0.113.1\n")
        .list("resources.lst", "/yeet\n")
        .edit("  http-request set-var(txn.edge.client) src,lua.edge_ip\n", "")
        .edit(
            "  http-request set-var(txn.edge.verdict) base,lua.edge_resource unless { var(txn.edge.verdict) -m int gt 1 }\n",
            "",
        )
        .edit("lua.edge_check if { var(txn.edge.verdict) -m int lt 0 }", "lua.edge_check")
        .start();
    assert!(refuses(&edge, "203.0.113.1"));
    assert!(!refuses(&edge, UNLISTED));
    assert!(edge.refuses(&Request::get("/yeet").forwarded_for(UNLISTED)));
}

fn a_client_without_an_address_meets_the_resources(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("resources.lst", "/yeet\n/here POST\n")
        .edit("frontend web\n", "frontend web\n  bind \"unix@${FILTER_RUN}/web.sock\"\n")
        .start();
    let socket = edge.dir().join("web.sock");
    eventually("the socket listens", || UnixStream::connect(&socket).ok());
    let refuses = |request: &Request| !request.send_to_socket(&socket).unwrap().is_from_backend();
    assert!(refuses(&Request::get("/yeet")));
    assert!(refuses(&Request::new("POST", "/here")));
    assert!(!refuses(&Request::get("/here")));
    assert!(!refuses(&Request::get("/yolo")));
}
