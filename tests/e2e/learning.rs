//! `X-Edge-Resource`: what a backend teaches, how long it lasts, how it is taken back.

use edge_e2e::{Answer, Backend, Edge, Mode, Request, eventually, in_every_mode};

in_every_mode!(
    the_edge_answers_what_it_was_taught,
    the_header_never_reaches_the_client,
    a_learned_rule_ends_with_its_ttl,
    a_header_without_ttl_gets_the_default_one,
    a_backend_takes_its_block_back,
    another_host_is_untouched,
    a_prefix_is_learned_by_whole_segments,
    the_status_is_that_of_the_header_or_of_a_4xx,
    near_its_end_one_request_asks_the_backend,
    learned_rules_are_capped,
    learned_rules_of_a_host_are_capped,
    long_paths_are_not_learned,
);

fn start(mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).start();
    (backend, edge)
}

fn the_edge_answers_what_it_was_taught(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("false"));
    let first = edge.get("/yeet");
    assert!(first.is_from_backend());
    // New connections go to either thread.
    for _ in 0..10 {
        let next = edge.get("/yeet");
        assert_eq!((next.status, next.is_from_backend()), (404, false));
    }
    assert_eq!(backend.asked("/yeet"), 1);
    let metrics = edge.metrics();
    assert_eq!(metrics.learned_rules(), 1.0);
    assert_eq!(metrics.sum("edge_filter_learn_total", &[("result", "learned")]), 1.0);
    assert_eq!(
        metrics.sum("edge_filter_verdicts_total", &[("table", "resource"), ("verdict", "deny")]),
        10.0
    );
}

fn the_header_never_reaches_the_client(mode: Mode) {
    let (backend, edge) = start(mode);
    for (path, value) in [("/good", "false"), ("/back", "true"), ("/bad", "(((")] {
        backend.answer(path, Answer::teaching(value));
        let answer = edge.get(path);
        assert!(answer.is_from_backend());
        assert_eq!(answer.header("x-edge-resource"), None, "{value}");
    }
}

fn a_learned_rule_ends_with_its_ttl(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("false; ttl=10"));
    edge.get("/yeet");
    assert!(edge.refuses(&Request::get("/yeet")));
    backend.answer("/yeet", Answer::status(200));
    eventually("the backend is asked again", || edge.get("/yeet").is_from_backend().then_some(()));
    eventually("the rule is swept", || (edge.metrics().learned_rules() == 0.0).then_some(()));
}

fn a_header_without_ttl_gets_the_default_one(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).setting("EDGE_LEARN_TTL", "10").start();
    backend.answer("/yeet", Answer::teaching("false"));
    edge.get("/yeet");
    assert!(edge.refuses(&Request::get("/yeet")));
    eventually("the backend is asked again", || edge.get("/yeet").is_from_backend().then_some(()));
}

fn a_backend_takes_its_block_back(mode: Mode) {
    for value in ["true; method=any", "?1; method=any"] {
        let (backend, edge) = start(mode);
        // Bound to the method, so that a POST still reaches the backend, which then thinks better of it.
        backend.answer("/yeet", Answer::teaching("false; method"));
        edge.get("/yeet");
        assert!(edge.refuses(&Request::get("/yeet")));
        backend.answer("/yeet", Answer::status(200).header("X-Edge-Resource", value));
        edge.send(&Request::new("POST", "/yeet"));
        assert!(!edge.refuses(&Request::get("/yeet")), "{value} took nothing back");
        let metrics = edge.metrics();
        assert_eq!(metrics.learned_rules(), 0.0);
        assert!(metrics.sum("edge_filter_learn_total", &[("result", "taken_back")]) >= 1.0);
    }
}

fn another_host_is_untouched(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("false"));
    edge.send(&Request::get("/yeet").host("one.example"));
    assert!(edge.refuses(&Request::get("/yeet").host("one.example")));
    assert!(edge.refuses(&Request::get("/yeet").host("ONE.example:80")));
    assert!(!edge.refuses(&Request::get("/yeet").host("two.example")));
}

fn a_prefix_is_learned_by_whole_segments(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/adm/x", Answer::teaching("false; match=prefix; path=\"/adm/\""));
    edge.get("/adm/x");
    for target in ["/adm/x", "/adm/y", "/adm/y/z"] {
        assert!(edge.refuses(&Request::get(target)), "{target} reached the backend");
    }
    assert!(!edge.refuses(&Request::get("/admin")));
}

fn the_status_is_that_of_the_header_or_of_a_4xx(mode: Mode) {
    let (backend, edge) = start(mode);
    let teaching = |status, value| Answer::status(status).header("X-Edge-Resource", value);
    for (path, answer, expected) in [
        ("/as-answered", teaching(410, "false"), 410),
        ("/as-told", teaching(404, "false; status=429"), 429),
        ("/from-200", teaching(200, "false"), 403),
        ("/from-500", teaching(500, "false"), 403),
    ] {
        backend.answer(path, answer);
        edge.get(path);
        let refused = edge.get(path);
        assert_eq!((refused.status, refused.is_from_backend()), (expected, false), "{path}");
    }
}

fn near_its_end_one_request_asks_the_backend(mode: Mode) {
    let (backend, edge) = start(mode);
    let yeet = |client: &str| Request::get("/yeet").forwarded_for(client);
    // The shortest TTL with a half-open window, which is its last tenth.
    backend.answer("/yeet", Answer::teaching("false; ttl=10"));
    // Of two networks, one has not caused the rule.
    eventually("a request is let through before the end", || {
        for client in ["192.0.2.1", "198.51.100.1"] {
            edge.send(&yeet(client));
        }
        (edge.metrics().sum("edge_filter_half_open_total", &[]) >= 1.0).then_some(())
    });
    // The backend renewed the rule.
    let asked = backend.asked("/yeet");
    assert!(asked >= 2);
    assert!(edge.refuses(&yeet("192.0.2.1")) && edge.refuses(&yeet("198.51.100.1")));
    assert_eq!(backend.asked("/yeet"), asked);
}

fn learned_rules_are_capped(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).setting("EDGE_MAX_LEARNED", "20").start();
    for n in 0..60 {
        let path = format!("/yeet/{n}");
        backend.answer(&path, Answer::teaching("false"));
        edge.send(&Request::get(&path).host(&format!("h{n}.example")));
    }
    let metrics = edge.metrics();
    assert_eq!(metrics.learned_rules(), 20.0);
    assert_eq!(metrics.sum("edge_filter_evicted_total", &[]), 40.0);
}

fn learned_rules_of_a_host_are_capped(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).setting("EDGE_MAX_LEARNED_PER_HOST", "5").start();
    backend.answer("/quiet", Answer::teaching("false"));
    edge.send(&Request::get("/quiet").host("quiet.example"));
    for n in 0..20 {
        let path = format!("/yeet/{n}");
        backend.answer(&path, Answer::teaching("false"));
        edge.send(&Request::get(&path).host("noisy.example"));
    }
    assert_eq!(edge.metrics().learned_rules(), 6.0);
    assert!(edge.refuses(&Request::get("/quiet").host("quiet.example")));
}

fn long_paths_are_not_learned(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).setting("EDGE_MAX_PATH_BYTES", "64").start();
    let path = format!("/{}", "y".repeat(64));
    backend.answer(&path, Answer::teaching("false"));
    edge.get(&path);
    assert!(!edge.refuses(&Request::get(&path)));
    let metrics = edge.metrics();
    assert_eq!((metrics.learned_rules(), metrics.refused_headers()), (0.0, 2.0));
}
