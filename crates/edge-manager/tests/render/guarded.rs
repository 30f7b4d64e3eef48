//! What the rendered frontend takes from requests before a server gets them.

use serde_json::json;

use crate::live::Edge;
use crate::sites;

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

fn behind(proxies: serde_json::Value) -> Edge {
    Edge::start(|json| json["global"]["trusted_proxies"] = proxies)
}

#[test]
fn the_client_is_whom_the_last_element_names_and_one_that_cannot_be_read_is_refused() {
    let edge = behind(json!(["127.0.0.0/8"]));
    let get = |value: &str| edge.get("www.example.com", "/", &format!("X-Forwarded-For: {value}\r\n"));
    for (value, client) in [
        ("\", 203.0.113.9", "203.0.113.9"),
        ("x, [2001:db8::1]:443", "2001:db8::1"),
        ("203.0.113.9:1, 127.0.0.4:2, 127.0.0.5", "203.0.113.9"),
        ("\r\nX-Forwarded-For: ::ffff:203.0.113.9\r\nX-Forwarded-For: 127.0.0.4", "203.0.113.9"),
    ] {
        let answer = get(value);
        assert_eq!(values(&answer, "x-forwarded-for"), [client], "{value}: {answer}");
        assert_eq!(values(&answer, "x-real-ip"), [client], "{value}: {answer}");
    }
    for value in ["203.0.113.9, unknown", "203.0.113.9, ", "\"203.0.113.9\"", "203.0.113.9, x, 127.0.0.4"] {
        assert!(get(value).starts_with("HTTP/1.1 400 "), "{value}");
    }
    assert_eq!(edge.status("/", ""), 400, "nobody is named");
    assert_eq!(edge.status("/", "X-Real-IP: 203.0.113.9\r\n"), 400, "another header stands in");
}

#[test]
fn each_group_of_proxies_has_its_header_and_may_ask_for_itself_where_it_says_so() {
    let group = |own| json!([{"header": "CF-Connecting-IP", "networks": ["127.0.0.1"], "own_requests": own}, "192.0.2.1"]);
    let edge = behind(group(true));
    let both = "X-Forwarded-For: 198.51.100.1\r\nCF-Connecting-IP: 203.0.113.9\r\n";
    let answer = edge.get("www.example.com", "/", both);
    assert_eq!(values(&answer, "x-forwarded-for"), ["203.0.113.9"], "{answer}");
    assert_eq!(values(&answer, "cf-connecting-ip"), [""; 0], "{answer}");
    assert_eq!(edge.status("/", "CF-Connecting-IP: unknown\r\n"), 400);
    assert_eq!(edge.status("/", "X-Forwarded-For: 198.51.100.1\r\n"), 200, "the proxy's own");
    assert_eq!(behind(group(false)).status("/", "X-Forwarded-For: 198.51.100.1\r\n"), 400);
}

#[test]
fn limits_hold_for_the_client_of_a_balancer_that_speaks_the_proxy_protocol() {
    let edge = Edge::start_at(
        |json| {
            json["global"]["proxy_protocol"] = json!(["127.0.0.0/8"]);
            json["global"]["limits"] = json!({"connections": 3});
        },
        |stream| std::io::Write::write_all(stream, b"PROXY TCP4 192.0.2.77 192.0.2.1 1 80\r\n").unwrap(),
    );
    let ask = |client: &str| {
        let head = "GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n";
        edge.send(&format!("PROXY TCP4 {client} 192.0.2.1 1 80\r\n{head}"))
    };
    let answer = ask("203.0.113.9");
    assert_eq!(values(&answer, "x-forwarded-for"), ["203.0.113.9"], "{answer}");
    let answers: Vec<bool> = (0..5).map(|_| ask("203.0.113.10").starts_with("HTTP/1.1 200 ")).collect();
    assert_eq!(answers, [true, true, true, false, false]);
    assert!(ask("203.0.113.11").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_server_gets_a_path_and_no_header_that_chooses_another() {
    let edge = Edge::start(|_| ());
    let answer = edge.get(
        "www.example.com",
        "http://www.example.com/a?b",
        "X-Original-URL: /c\r\nx_http_method_override: PUT\r\n",
    );
    assert!(answer.contains("GET /a?b HTTP/1.1\r\n"), "{answer}");
    assert!(!answer.contains("/c") && !answer.contains("PUT"), "{answer}");
    assert!(edge.get("www.example.com", "//x/a", "").contains("GET /x/a HTTP/1.1\r\n"));
    for target in [
        "http://www.example.com?p=1@www.example.com/a",
        "http://x@www.example.com/",
        "ftp://www.example.com/",
        "/a#b",
        "/\\a",
    ] {
        assert_eq!(edge.status(target, ""), 400, "{target}");
    }
    let keeping = Edge::start(|json| json["global"]["keep_headers"] = json!(["X-Forwarded-Host"]));
    let answer = keeping.get("www.example.com", "/", "X-Forwarded-Host: a.example\r\nX-Host: b.example\r\n");
    assert_eq!(values(&answer, "x-forwarded-host"), ["a.example"], "{answer}");
    assert_eq!(values(&answer, "x-host"), [""; 0], "{answer}");
}

/// The shipped files are written by hand, so they could fall behind.
#[test]
fn the_shipped_files_delete_the_same_headers() {
    let deleted = |text: &str| -> Vec<String> {
        let starts = ["  http-request del-header '^", "  acl may_choose "];
        let is_one = |line: &&str| starts.iter().any(|start| line.starts_with(start));
        text.lines().filter(is_one).map(str::to_owned).collect()
    };
    let site = edge_manager::site::Site::parse(&sites::input(sites::json("minimal"))).unwrap();
    let rendered = sites::templates().render(&site, sites::version("2.6")).unwrap();
    let expected = deleted(rendered.get("haproxy.cfg").unwrap());
    assert_eq!(expected.len(), 6);
    for name in ["haproxy.cfg", "minimal.cfg", "multi-backend.cfg"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../haproxy").join(name);
        assert_eq!(deleted(&std::fs::read_to_string(path).unwrap()), expected, "{name}");
    }
}
