//! In force means in force: after the answer, the next request is refused.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use edge_e2e::{eventually, tell};

use super::{Beside, Supervised, blocked};

#[test]
fn each_of_three_hundred_blocks_is_refused_by_the_next_request() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    let mut times = Vec::new();
    for n in 0..300 {
        let addr = format!("198.51.{}.{}", 100 + n / 250, n % 250);
        assert!(!served.is_refused(&addr), "{addr} is refused before it is blocked");
        let started = Instant::now();
        let answer = api.post("/api/blocked-ips", &format!(r#"{{"ip_address":"{addr}"}}"#));
        assert_eq!(answer.body, done(n + 1, &addr));
        assert!(served.is_refused(&addr), "{addr} is blocked, and served");
        times.push(started.elapsed());
    }
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
    tell(format!("from the order to the refusal: p50 {:.1} ms, p99 {:.1} ms", at(50), at(99)));
    let answer = api.delete("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#);
    assert_eq!(answer.body, r#"{"status":"success","message":"IP 198.51.100.7 has been unblocked"}"#);
    assert!(!served.is_refused("198.51.100.7") && served.is_refused("198.51.100.8"));
    assert_eq!(blocked(&mut api).len(), 299);
}

#[test]
fn what_haproxy_missed_it_has_when_it_is_back() {
    let mut served = Beside::start();
    let mut api = served.manager.api();
    served.edge.crash();
    let answer = api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("stored, not yet enforced"), "{answer:?}");
    served.edge.start_again();
    assert!(served.is_refused("198.51.100.7"));
    let answer = api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.8"}"#);
    assert!(answer.status == 200 && !answer.body.contains("not yet enforced"), "{answer:?}");
}

#[test]
fn a_rule_with_a_ttl_ends_by_itself() {
    let served = Beside::start();
    let mut api = served.manager.api();
    let answer = api.post("/api/rules", r#"{"target":"198.51.100.7","ttl":15,"reason":"for a moment"}"#);
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.json()["enforcement"], "in_force", "{answer:?}");
    assert!(served.is_refused("198.51.100.7"));
    eventually("its end", || (!served.is_refused("198.51.100.7")).then_some(()));
    eventually("its end in the record", || blocked(&mut api).is_empty().then_some(()));
}

fn done(id: u32, addr: &str) -> String {
    format!(r#"{{"status":"success","blocked_ip_id":{id},"message":"IP {addr} has been blocked"}}"#)
}

/// A reload ends no connection: what comes on one from before it is judged by the worker from before it.
#[test]
fn workers_that_a_reload_has_replaced_have_a_rule_too() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    for n in 0..10 {
        let path = format!("/replaced-{n}");
        let mut begun: Vec<_> = (0..4).map(|_| begin(&served, &path)).collect();
        assert_eq!(api.post("/api/configuration/reload", "{}").status, 200);
        let rule = format!(r#"{{"target":"www.example{path}"}}"#);
        let answer = api.post("/api/rules", &rule);
        assert_eq!(answer.json()["enforcement"], "in_force", "{answer:?}");
        for stream in &mut begun {
            assert_eq!(end(stream), "HTTP/1.1 403", "{path}: {}", served.manager.log());
        }
    }
}

/// A request whose head has no end yet.
fn begin(served: &Supervised, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.manager.web_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: www.example\r\n").unwrap();
    stream
}

/// Ends the head. Version and status of the answer.
fn end(stream: &mut TcpStream) -> String {
    stream.write_all(b"\r\n").unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8_lossy(&line).into_owned()
}
