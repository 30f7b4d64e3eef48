//! Headers that are wrong change nothing, and are counted.

use edge_e2e::{Answer, Backend, Edge, Mode, Request, eventually, in_every_mode};

in_every_mode!(
    malformed_headers_change_nothing,
    an_eight_kilobyte_header_changes_nothing,
    two_headers_change_nothing,
    a_ttl_of_nothing_changes_nothing,
    a_ttl_beyond_the_cap_is_clipped,
    a_malformed_header_takes_nothing_back,
    malformed_headers_are_logged_once_a_host,
);

/// Has the backend say `answer` twice: both times it is asked, and both headers are refused and counted.
fn assert_refused(backend: &Backend, edge: &Edge, what: &str, answer: Answer) {
    let before = edge.metrics();
    backend.answer("/yeet", answer);
    for _ in 0..2 {
        assert!(!edge.refuses(&Request::get("/yeet")), "{what} was learned");
    }
    let after = edge.metrics();
    assert_eq!(after.refused_headers() - before.refused_headers(), 2.0, "{what} was not counted");
    assert_eq!(after.learned_rules(), before.learned_rules(), "{what} made a rule");
}

fn start(mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).start();
    (backend, edge)
}

fn malformed_headers_change_nothing(mode: Mode) {
    let (backend, edge) = start(mode);
    for value in [
        "maybe",
        "FALSE",
        "0",
        "\"false\"",
        "?2",
        "?",
        "false;",
        "false; ttl",
        "false; ttl=soon",
        "false; ttl=\"60\"",
        "false; ttl=1.5",
        "false; ttl=9999999999999999",
        "false; colour=red",
        "false; match=sometimes",
        "false; match",
        "false; path=/yeet",
        "false; path=\"/elsewhere\"",
        "false; path=\"yeet\"",
        "false; method=get",
        "false; method=ANY",
        "false; confirm=0",
        "false; confirm=17",
        "false; confirm",
        "false; param",
        "false; param=id",
        "false; scope=world",
        "false; status=200",
        "false; status=600",
        "false; action=explode",
        "false; reason=because",
        "false, true",
        "false; ttl=60, false",
        "(false)",
        "false \u{e4}",
    ] {
        assert_refused(&backend, &edge, value, Answer::teaching(value));
    }
}

fn an_eight_kilobyte_header_changes_nothing(mode: Mode) {
    let (backend, edge) = start(mode);
    let value = format!("false; reason=\"{}\"", "x".repeat(8 * 1024));
    assert_refused(&backend, &edge, "8 KB", Answer::teaching(&value));
}

fn two_headers_change_nothing(mode: Mode) {
    let (backend, edge) = start(mode);
    let twice = |second| Answer::teaching("false").header("x-edge-resource", second);
    for second in ["false", "true", "ttl=60"] {
        assert_refused(&backend, &edge, second, twice(second));
    }
}

fn a_ttl_of_nothing_changes_nothing(mode: Mode) {
    let (backend, edge) = start(mode);
    for value in ["false; ttl=0", "false; ttl=-1", "false; ttl=-999999999999999"] {
        assert_refused(&backend, &edge, value, Answer::teaching(value));
    }
}

fn a_ttl_beyond_the_cap_is_clipped(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("backends.lst", "* prefix\n")
        .setting("EDGE_LEARN_TTL", "1")
        .setting("EDGE_MAX_TTL", "2")
        .start();
    backend.answer("/yeet", Answer::teaching("false; ttl=999999999999999"));
    edge.get("/yeet");
    assert!(edge.refuses(&Request::get("/yeet")));
    assert_eq!(edge.metrics().sum("edge_filter_learn_total", &[("result", "clipped")]), 1.0);
    eventually("the clipped rule ends", || edge.get("/yeet").is_from_backend().then_some(()));
}

fn a_malformed_header_takes_nothing_back(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("false; method"));
    edge.get("/yeet");
    backend.answer("/yeet", Answer::teaching("true; method=any; colour=red"));
    edge.send(&Request::new("POST", "/yeet"));
    assert!(edge.refuses(&Request::get("/yeet")));
}

fn malformed_headers_are_logged_once_a_host(mode: Mode) {
    let (backend, edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("maybe"));
    for _ in 0..3 {
        edge.send(&Request::get("/yeet").host("one.example"));
    }
    // Hosts may share a place in the gate, but not all of these the same one.
    for n in 0..8 {
        edge.send(&Request::get("/yeet").host(&format!("other{n}.example")));
    }
    let lines_with = |word: &str| {
        // HAProxy says a warning once more on stderr, with its time before it.
        let is_it = |line: &&str| line.starts_with("Edge Filter:") && line.contains(word);
        edge.haproxy().log().lines().filter(is_it).count()
    };
    eventually("another host is logged", || (lines_with("host other") >= 1).then_some(()));
    assert_eq!(lines_with("host one.example"), 1, "{}", edge.haproxy().log());
}
