//! What the rendered frontend takes from requests before a server gets them.

use serde_json::json;

use crate::live::Edge;

const KEY: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The lines of the echoed head with this name, in lower case.
fn values(answer: &str, name: &str) -> Vec<String> {
    let head = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_ascii_lowercase();
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
    head.lines().filter_map(value).collect()
}

#[test]
fn a_server_sees_no_upgrade_but_a_websockets() {
    let edge = Edge::start(|_| ());
    let get = |headers: &str| edge.get("www.example.com", "/", headers);
    let answer = get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for name in ["upgrade", "connection", "http2-settings"] {
        assert_eq!(values(&answer, name), [""; 0], "{answer}");
    }
    let answer = get(&format!("Connection: X-Real-IP, upgrade\r\nUpgrade: h2c, WebSocket\r\n{KEY}"));
    assert_eq!(values(&answer, "upgrade"), ["websocket"], "{answer}");
    assert_eq!(values(&answer, "connection"), ["upgrade"], "{answer}");
    let connect = edge.send("CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com:80\r\n\r\n");
    assert!(connect.starts_with("HTTP/1.1 405 "), "{connect}");
}

#[test]
fn a_backend_without_websockets_refuses_them() {
    let edge = Edge::start(|json| json["backends"][0]["websocket"] = json!(false));
    let headers = format!("Connection: upgrade\r\nUpgrade: websocket\r\n{KEY}");
    assert_eq!(edge.status("/", &headers), 403);
    assert_eq!(edge.status("/", "Connection: upgrade\r\nUpgrade: h2c\r\n"), 200);
}
