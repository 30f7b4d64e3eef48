use std::io::{Read, Write};
use std::net::TcpStream;

use edge_manager::api::{MAX_BODY_BYTES, list};

use crate::harness::{Manager, answer};

const PATH: &str = "/api/blocked-ips";

fn error(message: &str) -> String {
    format!(r#"{{"status":"error","message":"{message}"}}"#)
}

#[test]
fn an_unknown_path_is_told() {
    let manager = Manager::start();
    for path in ["/nothing", "/api", "/api/", "/api/blocked-ips/", "/health/", "//"] {
        let answer = manager.get(path);
        assert_eq!(answer.said(), (404, error(&format!("no such path: {path}")).as_str()));
        assert!(answer.head.contains("\r\ncontent-type: application/json"), "{answer:?}");
    }
    let long = manager.get(&format!("/{}", "x".repeat(10_000)));
    assert_eq!(long.status, 404);
    assert!(long.body.len() < 2200, "{}", long.body.len());
}

#[test]
fn a_wrong_method_is_told_with_those_that_there_are() {
    let manager = Manager::with_key(Some("secret"));
    let routes = list();
    for route in &routes {
        let path = route.path.replace(['{', '}'], "");
        let answer = manager.ask("PATCH", &path, &[], b"");
        if routes.iter().any(|other| other.path == route.path && other.method == "PATCH") {
            continue;
        }
        assert_eq!(answer.said(), (405, error(&format!("{path}: no PATCH here")).as_str()));
        let allow = answer.head.split("\r\nallow: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let method = route.method.as_str().to_ascii_lowercase();
        assert!(allow.split(',').any(|allowed| allowed == method), "{route:?} {answer:?}");
    }
}

#[test]
fn a_body_that_is_no_json_is_told_with_the_place() {
    let manager = Manager::start();
    for (body, message) in [
        ("", "the body: EOF while parsing a value at line 1 column 0"),
        ("{", "the body: EOF while parsing an object at line 1 column 1"),
        ("{\"ip_address\":\"192.0.2.1\"} x", "the body: trailing characters at line 1 column 28"),
        ("ip_address=192.0.2.1", "the body: expected value at line 1 column 1"),
        (
            "{\"ip_address\":5}",
            "the body: ip_address: invalid type: integer `5`, expected a string at line 1 column 15",
        ),
        ("[]", "the body: it must be an object, not an array"),
        (" [\"192.0.2.1\"]", "the body: it must be an object, not an array"),
        ("null", "the body: invalid type: null, expected struct BlockRequest at line 1 column 4"),
    ] {
        assert_eq!(manager.send("POST", PATH, body).said(), (400, error(message).as_str()), "{body:?}");
    }
    let bytes = manager.ask("POST", PATH, &["Content-Type: application/json"], b"{\"ip_address\":\"\xff\"}");
    assert_eq!(bytes.status, 400, "{bytes:?}");
    let deep = manager.send("POST", PATH, &"[".repeat(100_000));
    assert_eq!(deep.status, 400, "{deep:?}");
    assert_eq!(manager.get(PATH).said(), (200, "[]"), "nothing was made");
}

#[test]
fn json_is_taken_without_its_type_and_refused_with_another() {
    let manager = Manager::start().with_haproxy();
    let body = |n: u8| format!(r#"{{"ip_address":"192.0.2.{n}"}}"#);
    let good = [
        &[][..],
        &["Content-Type: application/json; charset=utf-8"],
        &["content-type: Application/JSON"],
        &["Content-Type: application/problem+json"],
        &["Content-Type: "],
    ];
    for (n, headers) in (0..).zip(good) {
        assert_eq!(manager.ask("POST", PATH, headers, body(n).as_bytes()).status, 200, "{headers:?}");
    }
    for bad in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"] {
        let answer = manager.ask("POST", PATH, &[&format!("Content-Type: {bad}")], body(99).as_bytes());
        let message = format!(r#"Content-Type: \"{bad}\": the body must be application/json"#);
        assert_eq!(answer.said(), (415, error(&message).as_str()));
    }
}

#[test]
fn a_body_that_is_too_long_is_told() {
    let manager = Manager::start().with_haproxy();
    let padded = |bytes: usize| {
        let body = r#"{"ip_address":"192.0.2.1"}"#;
        body.to_owned() + &" ".repeat(bytes - body.len())
    };
    let long = manager.send("POST", PATH, &padded(MAX_BODY_BYTES + 1));
    assert_eq!(long.said(), (413, error("the body is too long").as_str()));
    assert_eq!(manager.send("POST", PATH, &padded(MAX_BODY_BYTES)).status, 200);
}

#[test]
fn what_is_no_http_ends_the_connection_and_nothing_else() {
    let manager = Manager::start();
    let _silent = TcpStream::connect(manager.address).unwrap();
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/9.9\r\n\r\n", &[b'x'; 100_000]] {
        let mut stream = TcpStream::connect(manager.address).unwrap();
        // It may be closed before all is sent.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        assert_eq!(manager.get(PATH).said(), (200, "[]"));
    }
}

#[test]
fn health_says_what_is_wrong() {
    let manager = Manager::with_key(Some("secret"));
    let reason = format!(
        "HAProxy does not run: {}: No such file or directory (os error 2)",
        manager.socket().display()
    );
    let sick = serde_json::json!({
        "status": "unhealthy", "haproxy_status": "stopped", "database": "connected", "reason": reason
    });
    let answered = manager.get("/health");
    assert_eq!((answered.status, answered.json()), (500, sick));
    answer(&manager.socket());
    let well = r#"{"status":"healthy","haproxy_status":"running","database":"connected"}"#;
    // The last look at HAProxy may be a moment old.
    let health =
        edge_e2e::eventually("health", || Some(manager.get("/health")).filter(|answer| answer.status == 200));
    assert_eq!(health.said(), (200, well));
}

#[test]
fn many_clients_at_once_lose_nothing() {
    let manager = Manager::start().with_haproxy();
    let (clients, each) = (40_u8, 5_u8);
    std::thread::scope(|scope| {
        for client in 0..clients {
            let manager = &manager;
            scope.spawn(move || {
                for n in 0..each {
                    let body = format!(r#"{{"ip_address":"10.0.{client}.{n}"}}"#);
                    let blocked = manager.send("POST", PATH, &body);
                    assert_eq!(blocked.status, 200, "{blocked:?}");
                    assert_eq!(manager.get(PATH).status, 200);
                }
                let body = format!(r#"{{"ip_address":"10.0.{client}.0"}}"#);
                assert_eq!(manager.send("DELETE", PATH, &body).status, 200);
            });
        }
    });
    let left = usize::from(clients) * usize::from(each - 1);
    assert_eq!(manager.get(PATH).json().as_array().unwrap().len(), left);
}
