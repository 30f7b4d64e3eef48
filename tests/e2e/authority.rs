//! What a backend may block: the lines of the backend file, and whether it was given `edge_learn` at all.

use std::net::UdpSocket;

use edge_e2e::{Answer, Backend, Edge, Mode, Request, eventually, in_every_mode, tell};

in_every_mode!(
    a_backend_blocks_on_its_own_hosts,
    a_backend_may_not_block_on_other_hosts,
    a_backend_may_not_block_by_prefix_unless_allowed,
    a_backend_may_not_block_clients_unless_allowed,
    a_backend_may_not_block_an_address_of_the_machine,
    a_backend_may_not_block_longer_than_allowed,
    a_backend_without_edge_learn_teaches_nothing,
    refusals_are_logged,
    the_default_line_is_for_every_other_backend,
    the_shipped_default_line_allows_single_resources_only,
);

const SHOP: &str = "shop.example";
const BLOG: &str = "blog.example";
const LEGACY: &str = "legacy.example";

/// `shop` may do everything on its hosts for an hour, `blog` only single paths for ten minutes.
fn start(mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let bind = "  bind \"${FILTER_BIND-127.0.0.1:8080}\"\n";
    let edge = Edge::before(&backend, mode)
        .config("multi-backend.cfg")
        // This machine's own addresses, which the tests come from, are never blocked.
        .edit(bind, &format!("{bind}  http-request set-src hdr_ip(X-Forwarded-For)\n"))
        .start();
    (backend, edge)
}

/// Whether `value`, said on `host`, makes the edge refuse the next request; nothing but that is learned.
fn learns(backend: &Backend, edge: &Edge, host: &str, value: &str) -> bool {
    backend.answer("/dir/yeet", Answer::teaching(value));
    let request = Request::get("/dir/yeet").host(host).forwarded_for("198.51.100.77");
    assert!(edge.send(&request).is_from_backend());
    edge.refuses(&request)
}

/// As [`learns`], where it must not be: both headers are counted as refused.
fn assert_refused(backend: &Backend, edge: &Edge, host: &str, value: &str) {
    let before = edge.metrics();
    assert!(!learns(backend, edge, host, value), "{host} taught {value}");
    let after = edge.metrics();
    assert_eq!(after.refused_headers() - before.refused_headers(), 2.0);
    assert_eq!(after.learned_rules(), before.learned_rules());
}

fn a_backend_blocks_on_its_own_hosts(mode: Mode) {
    let (backend, edge) = start(mode);
    for host in [SHOP, "a.shop.example", "b.a.shop.example", BLOG] {
        assert!(learns(&backend, &edge, host, "false"), "{host} taught nothing");
    }
}

fn a_backend_may_not_block_on_other_hosts(mode: Mode) {
    let (backend, edge) = start(mode);
    for host in ["bank.example", "notshop.example", "shop.example.net", "example"] {
        assert_refused(&backend, &edge, host, "false");
    }
}

fn a_backend_may_not_block_by_prefix_unless_allowed(mode: Mode) {
    let (backend, edge) = start(mode);
    let value = "false; match=prefix; path=\"/dir/\"";
    assert_refused(&backend, &edge, BLOG, value);
    assert!(learns(&backend, &edge, SHOP, value));
}

fn a_backend_may_not_block_clients_unless_allowed(mode: Mode) {
    let (backend, edge) = start(mode);
    let value = "false; scope=client";
    assert_refused(&backend, &edge, BLOG, value);
    assert!(learns(&backend, &edge, SHOP, value));
}

fn a_backend_may_not_block_an_address_of_the_machine(mode: Mode) {
    let Some(own) = own_address() else {
        return tell("NOT TESTED: scope=client for an address of this machine, which has none but loopback");
    };
    let (backend, edge) = start(mode);
    backend.answer("/dir/yeet", Answer::teaching("false; scope=client"));
    let ask = |client: &str| edge.send(&Request::get("/dir/yeet").host(SHOP).forwarded_for(client));
    for client in [&own, "127.0.0.1", "::1"] {
        assert!(ask(client).is_from_backend() && ask(client).is_from_backend(), "{client}");
    }
    assert_eq!(edge.metrics().learned_rules(), 0.0);
    assert!(ask("198.51.100.77").is_from_backend());
    assert!(!ask("198.51.100.77").is_from_backend(), "{}", edge.cli("show edge rules"));
}

/// By which the machine would send to others.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("203.0.113.1", 9)).ok()?;
    socket.local_addr().ok().map(|addr| addr.ip().to_string())
}

fn a_backend_may_not_block_longer_than_allowed(mode: Mode) {
    let (backend, edge) = start(mode);
    assert_refused(&backend, &edge, BLOG, "false; ttl=601");
    assert!(learns(&backend, &edge, BLOG, "false; ttl=600"));
    assert!(learns(&backend, &edge, SHOP, "false; ttl=601"));
}

fn a_backend_without_edge_learn_teaches_nothing(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("false"));
    for _ in 0..2 {
        let answer = edge.send(&Request::get("/yeet").host(LEGACY));
        assert!(answer.is_from_backend());
        assert_eq!(answer.header("x-edge-resource"), None);
    }
    assert_eq!(edge.metrics().sum("edge_filter_learn_total", &[]), 0.0);
}

fn refusals_are_logged(mode: Mode) {
    let (backend, edge) = start(mode);
    assert_refused(&backend, &edge, BLOG, "false; ttl=601");
    eventually("a line that names backend and host", || {
        edge.haproxy()
            .log()
            .lines()
            .any(|line| line.contains("backend blog") && line.contains(BLOG))
            .then_some(())
    });
}

fn the_default_line_is_for_every_other_backend(mode: Mode) {
    let backend = Backend::start();
    let lists = "blog hosts=blog.example prefix\n* max-ttl=60\n";
    let edge = Edge::before(&backend, mode).config("multi-backend.cfg").list("backends.lst", lists).start();
    assert_refused(&backend, &edge, SHOP, "false; ttl=61");
    assert!(learns(&backend, &edge, SHOP, "false; ttl=60"));
    assert!(learns(&backend, &edge, BLOG, "false; ttl=61"));
}

fn the_shipped_default_line_allows_single_resources_only(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .edit("  default_backend site\n", "  default_backend unlisted\n")
        .edit("\nbackend site\n", "\nbackend unlisted\n")
        .start();
    assert_refused(&backend, &edge, SHOP, "false; match=prefix");
    assert_refused(&backend, &edge, SHOP, "false; scope=client");
    assert!(learns(&backend, &edge, SHOP, "false"));
}
