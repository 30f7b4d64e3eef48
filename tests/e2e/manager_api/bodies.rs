//! What clients send that nobody asked for: bodies too long, of another kind, to places that are none.

use edge_e2e::Request;
use serde_json::json;

use super::{alone, blocked, refused};

const MIB: usize = 1 << 20;

#[test]
fn a_body_that_is_too_long_is_refused_and_the_next_request_is_served() {
    let manager = alone().start();
    let long = format!(r#"{{"ip_address":"192.0.2.1","reason":"{}"}}"#, "x".repeat(MIB));
    for target in ["/api/blocked-ips", "/api/domain", "/api/security/temporary-block"] {
        let mut api = manager.api();
        refused(&api.post(target, &long), 413);
        assert_eq!(blocked(&mut manager.api()), Vec::<String>::new());
    }
}

/// An attacker has a say in what panels take from logs.
#[test]
fn whatever_the_reason_is_the_block_is_made() {
    let manager = alone().start();
    let mut api = manager.api();
    for (ip, reason) in [("192.0.2.1", "x".repeat(2000)), ("192.0.2.2", "login: root\n\u{1b}[2J".to_owned())]
    {
        let body = json!({"ip_address": ip, "reason": reason, "blocked_by": reason}).to_string();
        assert_eq!(api.post("/api/blocked-ips", &body).status, 200, "{body}");
    }
    let listed = api.get("/api/blocked-ips").json();
    assert_eq!(
        (&listed[0]["reason"], &listed[0]["blocked_by"]),
        (&json!("x".repeat(1024)), &json!("x".repeat(128)))
    );
    assert_eq!(listed[1]["reason"], "login: root  [2J");
    assert_eq!(blocked(&mut api), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_place_that_is_none_is_not_found_in_the_form_of_errors() {
    let manager = alone().start();
    let mut api = manager.api();
    for target in ["/api/nothing", "/nothing", "/api", "/api/blocked-ips/", "/api/../health"] {
        refused(&api.get(target), 404);
    }
    refused(&api.call("PUT", "/api/blocked-ips", "{}"), 405);
    refused(&api.post("/health", "{}"), 405);
}

/// Panels of today forget to say what they send. A page of somebody else cannot send JSON without saying so.
#[test]
fn json_need_not_be_said_to_be_json_but_must_not_be_said_to_be_anything_else() {
    let manager = alone().start();
    let host = manager.addr().to_string();
    let body = r#"{"ip_address":"192.0.2.1"}"#;
    let request = |method: &str| Request::new(method, "/api/blocked-ips").host(&host).body(body);
    let answer = |request: Request| request.send(manager.addr()).unwrap();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        refused(&answer(request("POST").header("Content-Type", kind)), 415);
    }
    assert_eq!(answer(request("POST")).status, 200);
    assert_eq!(
        answer(request("DELETE").header("Content-Type", "application/json; charset=utf-8")).status,
        200
    );
}

/// Without keys whoever can connect may do everything: but not for a page that a browser on this machine has open.
#[test]
fn without_keys_a_page_of_somebody_else_gets_nothing() {
    let manager = alone().start();
    let ask = |host: &str, origin: &str| {
        let request = Request::get("/api/blocked-ips").host(host);
        let request = if origin.is_empty() { request } else { request.header("Origin", origin) };
        request.send(manager.addr()).unwrap()
    };
    let port = manager.addr().port();
    for (host, origin) in [("evil.example", ""), ("localhost", "http://evil.example"), ("localhost", "null")]
    {
        refused(&ask(&format!("{host}:{port}"), origin), 403);
    }
    for name in ["localhost", "127.0.0.1"] {
        assert_eq!(ask(&format!("{name}:{port}"), "").status, 200, "{name}");
        assert_eq!(ask(&format!("{name}:{port}"), &format!("http://{name}:{port}")).status, 200, "{name}");
    }
}
