//! What haproxy.cfg makes of each verdict.

use edge_e2e::{Answer, Backend, Edge, Mode, Request, eventually, in_every_mode};

in_every_mode!(
    a_status_is_answered_as_it_is,
    a_status_that_is_not_listed_becomes_403,
    a_tarpit_holds_and_then_refuses,
    a_dropped_request_gets_no_answer,
    observed_requests_pass_and_are_counted,
    the_default_status_is_a_setting,
    an_answer_of_the_edge_does_not_name_it,
);

/// The edge, taught `value` for `/yeet` by an answer with `status`.
fn taught(status: u16, value: &str, mode: Mode) -> (Backend, Edge) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).edit("timeout tarpit 10s", "timeout tarpit 300ms").start();
    backend.answer("/yeet", Answer::status(status).header("X-Edge-Resource", value));
    assert!(edge.get("/yeet").is_from_backend());
    (backend, edge)
}

fn verdicts(edge: &Edge, verdict: &str) -> f64 {
    edge.metrics().sum("edge_filter_verdicts_total", &[("table", "resource"), ("verdict", verdict)])
}

fn a_status_is_answered_as_it_is(mode: Mode) {
    const STATUSES: [u16; 12] = [400, 401, 402, 404, 410, 418, 422, 429, 451, 500, 503, 511];
    let backend = Backend::start();
    let rules: String = STATUSES.iter().map(|status| format!("/s/{status} GET {status}\n")).collect();
    let edge = Edge::before(&backend, mode).list("resources.lst", &rules).start();
    for status in STATUSES {
        let answer = edge.get(&format!("/s/{status}"));
        assert_eq!((answer.status, answer.is_from_backend()), (status, false));
    }
}

fn a_status_that_is_not_listed_becomes_403(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).list("resources.lst", "/yeet GET 599\n").start();
    assert_eq!(edge.get("/yeet").status, 403);
}

fn a_tarpit_holds_and_then_refuses(mode: Mode) {
    let (backend, edge) = taught(404, "false; action=tarpit", mode);
    let answer = edge.get("/yeet");
    assert_eq!((answer.status, answer.is_from_backend()), (403, false));
    assert_eq!(backend.asked("/yeet"), 1);
    assert_eq!(verdicts(&edge, "tarpit"), 1.0);
    // HAProxy's termination state: the proxy refused, in the tarpit.
    eventually("a log line of a tarpit", || edge.haproxy().log().contains(" PT id=").then_some(()));
}

fn a_dropped_request_gets_no_answer(mode: Mode) {
    let (backend, edge) = taught(404, "false; action=drop", mode);
    assert!(edge.try_send(&Request::get("/yeet")).is_err());
    assert_eq!(backend.asked("/yeet"), 1);
    assert_eq!(verdicts(&edge, "drop"), 1.0);
}

fn observed_requests_pass_and_are_counted(mode: Mode) {
    let (backend, edge) = taught(404, "false; action=observe", mode);
    for _ in 0..3 {
        assert!(edge.get("/yeet").is_from_backend());
    }
    assert_eq!(backend.asked("/yeet"), 4);
    assert_eq!(verdicts(&edge, "observe"), 3.0);
    eventually("a log line of an observed request", || {
        edge.haproxy().log().contains("edge=0/1 ").then_some(())
    });
}

fn the_default_status_is_a_setting(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).setting("EDGE_DEFAULT_STATUS", "410").start();
    backend.answer("/yeet", Answer::status(200).header("X-Edge-Resource", "false"));
    edge.get("/yeet");
    let answer = edge.get("/yeet");
    assert_eq!((answer.status, answer.is_from_backend()), (410, false));
}

/// Whoever probes a site need not learn what stands before it.
fn an_answer_of_the_edge_does_not_name_it(mode: Mode) {
    let (_backend, edge) = taught(404, "false", mode);
    let answer = edge.get("/yeet");
    assert!(!answer.is_from_backend());
    for (name, value) in &answer.headers {
        assert!(!name.contains("edge") && !value.to_lowercase().contains("edge"), "{name}: {value}");
    }
}
