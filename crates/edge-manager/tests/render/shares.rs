//! What one client gets of what all share, in what is rendered: late answers, ACME validation, the limits of an IPv6 network.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::live::{Edge, PATIENCE, echo};

const TOKEN: &str = "/.well-known/acme-challenge/abc_-9";

/// Sends so many requests at once, and waits until all but `held` are answered: with this status.
fn assert_held(edge: &Edge, client: &str, count: usize, held: usize, status: u16) -> Vec<TcpStream> {
    let send = |_| {
        let mut stream = TcpStream::connect(edge.addr()).unwrap();
        let host = "www.example.com";
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Forwarded-For: {client}\r\n\r\n"
        )
        .unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut waiting: Vec<TcpStream> = (0..count).map(send).collect();
    let deadline = Instant::now() + PATIENCE;
    while waiting.len() > held {
        assert!(Instant::now() < deadline, "{client}: {} are held", waiting.len());
        waiting.retain_mut(|stream| {
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes) {
                Ok(read) => {
                    let text = String::from_utf8_lossy(&bytes[..read]);
                    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{client}: {text}");
                    false
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{client}");
                    true
                }
            }
        });
        thread::sleep(Duration::from_millis(10));
    }
    waiting
}

#[test]
fn late_answers_for_clients_over_the_rate_are_few_and_the_rest_is_refused_at_once() {
    let edge = Edge::start(|json| {
        json["global"]["trusted_proxies"] = json!(["127.0.0.1"]);
        json["global"]["limits"] = json!({"slow_requests": 2, "tarpits": 3, "tarpits_per_client": 2});
    });
    let ask = |client: &str| edge.status("/", &format!("X-Forwarded-For: {client}\r\n"));
    for client in ["203.0.113.1", "2001:db8::1", "203.0.113.3"] {
        assert_eq!([ask(client), ask(client)], [200, 200], "{client}");
    }
    let first = assert_held(&edge, "203.0.113.1", 20, 2, 429);
    let second = assert_held(&edge, "2001:db8::1", 20, 1, 429);
    assert!(assert_held(&edge, "2001:db8::ffff:1", 5, 0, 429).is_empty());
    assert!(assert_held(&edge, "203.0.113.3", 5, 0, 429).is_empty());
    assert_eq!(ask("203.0.113.4"), 200);
    drop((first, second));
}

#[test]
fn no_late_answer_takes_more_than_its_part_of_maxconn() {
    let edge = Edge::start(|json| {
        json["global"]["maxconn"] = json!(8);
        json["global"]["limits"] = json!({"slow_requests": 1, "tarpits_per_client": 100});
    });
    assert_eq!(edge.status("/", ""), 200);
    let held = assert_held(&edge, "203.0.113.1", 30, 2, 429);
    drop(held);
}

#[test]
fn an_ipv6_network_of_one_client_has_one_limit() {
    let edge = Edge::start(|json| {
        json["global"]["trusted_proxies"] = json!(["127.0.0.1"]);
        json["global"]["limits"] = json!({"requests": 4});
    });
    let ask = |client: &str| edge.status("/", &format!("X-Forwarded-For: {client}\r\n"));
    let of_one = ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::", "2001:db8:0:1:1:2:3:4"];
    assert_eq!(of_one.map(ask), [200; 4]);
    assert_eq!(ask("2001:db8:0:1::5"), 429);
    assert_eq!(ask("2001:db8:0:2::1"), 200);
    // One IPv4 address in both its forms; and its neighbour is another client.
    let mapped = ["203.0.113.1", "::ffff:203.0.113.1", "203.0.113.1", "::ffff:203.0.113.1"];
    assert_eq!(mapped.map(ask), [200; 4]);
    assert_eq!([ask("203.0.113.1"), ask("203.0.113.2"), ask("::ffff:203.0.113.3")], [429, 200, 200]);
}

#[test]
fn only_the_exact_target_of_acme_validation_passes_the_limits() {
    let edge = Edge::start(|json| {
        json["global"]["acme_validation_server"] = json!(format!("127.0.0.1:{}", echo()));
        json["global"]["limits"] = json!({"requests": 1});
        // What the servers of domains answer is known by it.
        json["backends"][0]["cookie"] = json!("site");
    });
    let status = |target: &str, headers: &str| {
        let answer = edge.get("www.example.com", target, headers);
        assert!(!answer.contains("set-cookie:"), "{target}: {answer}");
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    assert!(edge.get("www.example.com", "/", "").contains("set-cookie: site="));
    for _ in 0..3 {
        assert_eq!(status(TOKEN, ""), 200);
    }
    for target in [
        "/.well-known/acme-challenge/a?b",
        "/.well-known/acme-challenge/a%62",
        "//.well-known/acme-challenge/a",
        "/./.well-known/acme-challenge/a",
        "http://www.example.com/.well-known/acme-challenge/a",
    ] {
        assert!([400, 429].contains(&status(target, "")), "{target}");
    }
    for headers in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n"] {
        assert_eq!(status(TOKEN, headers), 400, "{headers}");
    }
    assert_eq!(status(TOKEN, "Content-Length: 0\r\n"), 200);
}
