//! `X-Edge-Resource` with parameters that bind a rule to more than its host and path.

use edge_e2e::{Answer, Backend, Edge, Mode, Request, in_every_mode};

in_every_mode!(
    method_binds_to_the_method,
    src_binds_to_the_client,
    query_binds_to_the_query,
    param_binds_to_one_parameter,
    anon_spares_whoever_has_a_session,
    scope_client_blocks_the_client_everywhere,
    the_rule_that_decided_is_logged,
);

const ONE: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";

/// A backend that may block clients, has said `value` to `request`, and the edge that heard it.
fn taught(value: &str, request: &Request, path: &str, mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode)
        .list("backends.lst", "* prefix client\n")
        .setting("EDGE_SESSION_COOKIES", "sid,token")
        .start();
    backend.answer(path, Answer::teaching(value));
    assert!(edge.send(request).is_from_backend());
    assert!(edge.refuses(request), "{value} taught nothing");
    (backend, edge)
}

fn method_binds_to_the_method(mode: Mode) {
    let (_backend, edge) = taught("false; method", &Request::new("POST", "/yeet"), "/yeet", mode);
    assert!(!edge.refuses(&Request::get("/yeet")));
    // The rule stays, whoever else came by.
    assert!(edge.refuses(&Request::new("POST", "/yeet")));
}

fn src_binds_to_the_client(mode: Mode) {
    let (_backend, edge) = taught("false; src", &Request::get("/yeet").forwarded_for(ONE), "/yeet", mode);
    assert!(!edge.refuses(&Request::get("/yeet").forwarded_for(OTHER)));
    assert!(!edge.refuses(&Request::get("/yolo").forwarded_for(ONE)));
}

fn query_binds_to_the_query(mode: Mode) {
    let (_backend, edge) = taught("false; query", &Request::get("/yeet?a=1&b=2"), "/yeet", mode);
    for target in ["/yeet", "/yeet?a=1", "/yeet?a=1&b=3"] {
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
    assert!(edge.refuses(&Request::get("//yeet?a=1&b=%32")));
}

fn param_binds_to_one_parameter(mode: Mode) {
    let (_backend, edge) = taught("false; param=\"id\"", &Request::get("/yeet?id=7&x=1"), "/yeet", mode);
    for target in ["/yeet", "/yeet?id=8", "/yeet?x=1", "/yeet?grid=7"] {
        assert!(!edge.refuses(&Request::get(target)), "{target} was refused");
    }
    assert!(edge.refuses(&Request::get("/yeet?z&id=7")));
}

fn anon_spares_whoever_has_a_session(mode: Mode) {
    let (_backend, edge) = taught("false; anon", &Request::get("/yeet"), "/yeet", mode);
    let yeet = || Request::get("/yeet");
    assert!(!edge.refuses(&yeet().header("Authorization", "Bearer x")));
    assert!(!edge.refuses(&yeet().header("Cookie", "a=b; sid=1")));
    assert!(!edge.refuses(&yeet().header("Cookie", "token=1")));
    assert!(edge.refuses(&yeet().header("Cookie", "a=b")));
}

fn scope_client_blocks_the_client_everywhere(mode: Mode) {
    let value = "false; scope=client";
    let (_backend, edge) = taught(value, &Request::get("/yeet").forwarded_for(ONE), "/yeet", mode);
    assert!(edge.refuses(&Request::get("/yolo").host("other.example").forwarded_for(ONE)));
    assert!(!edge.refuses(&Request::get("/yolo").forwarded_for(OTHER)));
    assert!(!edge.refuses(&Request::get("/yeet").forwarded_for(OTHER)));
}

fn the_rule_that_decided_is_logged(mode: Mode) {
    let (_backend, edge) = taught("false; method", &Request::get("/yeet"), "/yeet", mode);
    edge_e2e::eventually("a log line that names the rule", || {
        let log = edge.haproxy().log();
        log.lines().any(|line| line.contains("edge=0/404") && line.contains("www.example/yeet")).then_some(())
    });
}
