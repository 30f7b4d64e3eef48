//! What it tells: its log, and systemd.

use std::fs;
use std::thread;

use super::{Home, PATIENCE};
use crate::harness::answer;

#[test]
fn each_change_is_a_line_of_the_log_that_says_who_did_what() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let environment = [("EDGE_LOG", "info"), ("EDGE_LOG_FORMAT", "json"), ("HAPROXY_API_KEY", "a key")];
    let serving = home.serve(&[], &environment);
    let body = r#"{"ip_address":"192.0.2.1"}"#;
    let status =
        |method| serving.ask(method, "/api/blocked-ips", &["Authorization: Bearer a key"], body).status;
    assert_eq!([status("POST"), status("POST"), status("DELETE")], [200, 409, 200]);
    let (_, _, log) = serving.stop("TERM");
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    // Its own are those of the first start.
    let is_asked_for = |line: &serde_json::Value| line["message"] == "change" && line["caller"] != "manager";
    let changes: Vec<_> = lines.filter(is_asked_for).collect();
    assert_eq!(changes.len(), 2, "what was refused changed nothing: {log}");
    for (line, operation) in changes.iter().zip(["rules.put", "rules.remove"]) {
        let words = ["level", "caller", "from", "operation", "what", "result"].map(|field| &line[field]);
        assert_eq!(words, ["INFO", "HAPROXY_API_KEY", "127.0.0.1", operation, "block 192.0.2.1", "done"]);
        assert!(line["duration_us"].as_u64() > Some(0), "{line}");
    }
}

#[test]
fn no_key_is_ever_logged() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let (_, key, _) = home.run(&["key", "add", "panel", "--role", "operator"]);
    let key = key.trim();
    for format in ["text", "json"] {
        let logs = home.path(format);
        let args = ["--log-dir", logs.to_str().unwrap(), "--log-format", format];
        let serving = home.serve(&args, &[("HAPROXY_API_KEY", "environment-secret")]);
        let body = r#"{"ip_address":"192.0.2.1","reason":"r"}"#;
        let mut answers = String::new();
        for secret in [key, "environment-secret", "wrong-secret"] {
            let header = format!("Authorization: Bearer {secret}");
            for (method, path) in
                [("POST", "/api/blocked-ips"), ("DELETE", "/api/blocked-ips"), ("GET", "/nothing")]
            {
                let answer = serving.ask(method, path, &[&header], body);
                answers += &format!("{answer:?}");
            }
        }
        let broken = serving.ask("POST", "/api/blocked-ips", &[&format!("Authorization: Bearer {key}")], "{");
        assert_eq!(broken.status, 400);
        let (code, out, error) = serving.stop("TERM");
        assert_eq!((code, out.as_str(), error.as_str()), (0, "", ""));
        let all = fs::read_to_string(logs.join("manager.log")).unwrap();
        let errors = fs::read_to_string(logs.join("manager-error.log")).unwrap();
        for secret in [key, &key[5..], "environment-secret", "wrong-secret"] {
            assert!(!all.contains(secret) && !errors.contains(secret) && !answers.contains(secret), "{all}");
        }
        for word in ["panel", "HAPROXY_API_KEY", "/api/blocked-ips", "192.0.2.1", "duration_us", "127.0.0.1"]
        {
            assert!(all.contains(word), "{word}: {all}");
        }
        assert!(errors.contains("this key is not known") && !errors.contains("INFO"), "{errors}");
        if format == "json" {
            for line in all.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn systemd_is_told() {
    let home = Home::new();
    let socket = std::os::unix::net::UnixDatagram::bind(home.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = home.path("notify");
    let serving = home.serve(&[], &[("NOTIFY_SOCKET", notify.to_str().unwrap()), ("WATCHDOG_USEC", "20000")]);
    let take = move || {
        let mut bytes = [0; 256];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    };
    assert!(take().contains("READY=1"));
    assert!(take().contains("WATCHDOG=1"));
    // As systemd does, which leaves nobody waiting for room.
    let listener = thread::spawn(move || (0..100_000).any(|_| take().contains("STOPPING=1")));
    assert_eq!(serving.stop("TERM").0, 0);
    assert!(listener.join().unwrap());
}

#[test]
fn a_record_that_cannot_be_read_does_not_end_the_manager() {
    let home = Home::new();
    let socket = std::os::unix::net::UnixDatagram::bind(home.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = home.path("notify");
    let logs = home.path("logs");
    let args = ["--log-dir", logs.to_str().unwrap()];
    let environment = [("NOTIFY_SOCKET", notify.to_str().unwrap()), ("WATCHDOG_USEC", "20000")];
    let serving = home.serve(&args, &environment);
    let record = rusqlite::Connection::open(home.path("rules.db")).unwrap();
    record.busy_timeout(PATIENCE).unwrap();
    record.execute_batch("DROP TABLE publication").unwrap();
    let failures = || {
        let log = fs::read_to_string(logs.join("manager-error.log")).unwrap();
        log.lines().filter(|line| line.contains("the record cannot be read")).count()
    };
    let take = || {
        let mut bytes = [0; 256];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    };
    while failures() == 0 {
        take();
    }
    // Empties the socket of what was told before.
    socket.set_nonblocking(true).unwrap();
    while socket.recv(&mut [0; 256]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    for _ in 0..3 {
        assert!(take().contains("WATCHDOG=1"));
    }
    drop(socket);
    serving.stop("KILL");
}
