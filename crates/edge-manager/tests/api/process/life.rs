//! From start to stop, and after a kill.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::{Home, PATIENCE, Serving};
use crate::harness::answer;

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let home = Home::new();
    for signal in ["TERM", "INT", "HUP"] {
        let serving = home.serve(&[], &[]);
        assert_eq!(serving.ask("GET", "/api/blocked-ips", &[], "").said(), (200, "[]"));
        let control = UnixStream::connect(home.path("rules.db.sock")).unwrap();
        drop(control);
        // A connection that nobody uses does not hold it up.
        let _idle = TcpStream::connect(serving.address).unwrap();
        let (code, out, log) = serving.stop(signal);
        assert_eq!((code, out.as_str()), (0, ""), "{signal} {log}");
        assert!(log.contains("ready") && log.contains("stopped"), "{log}");
        assert!(!home.path("rules.db.sock").exists());
    }
}

#[test]
fn the_publication_of_the_start_is_counted() {
    let home = Home::new();
    let serving = home.serve(&[], &[]);
    let figures = serving.ask("GET", "/metrics", &[], "").body;
    let done = r#"edge_manager_reloads_total{result="done"} 1"#;
    assert!(figures.lines().any(|line| line == done), "{figures}");
}

#[test]
fn a_stop_during_the_start_is_obeyed() {
    let home = Home::new();
    let program = home.path("stand-in");
    let check = "echo >${0%/*}/begun; while [ ! -e ${0%/*}/go ]; do sleep 0.01; done";
    let version = "echo 'HAProxy version 2.6.12 2026/01/01'";
    fs::write(&program, format!("#!/bin/sh\ncase $1 in -v) {version};; *) {check};; esac\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let child = home.command(&["serve"]).env("EDGE_HAPROXY", &program).spawn().unwrap();
    let serving = Serving { child: Some(child), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    let began = Instant::now();
    while !home.path("begun").exists() {
        assert!(began.elapsed() < PATIENCE, "nothing is published");
        thread::sleep(Duration::from_millis(5));
    }
    let stopping = thread::spawn(move || serving.stop("TERM"));
    thread::sleep(Duration::from_millis(100));
    fs::write(home.path("go"), "").unwrap();
    let (code, out, log) = stopping.join().unwrap();
    assert_eq!((code, out.as_str()), (0, ""), "{log}");
    assert!(log.contains("stopped") && !home.path("rules.db.sock").exists(), "{log}");
}

#[test]
fn what_cannot_be_published_at_once_is_published_without_another_change() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let serving = home.serve(&[], &[]);
    let record = rusqlite::Connection::open(home.path("rules.db")).unwrap();
    record.busy_timeout(PATIENCE).unwrap();
    // As after an append that failed; and no snapshot can be written.
    let obstacle = home.path("state/rules.snapshot.new");
    fs::create_dir(&obstacle).unwrap();
    record.execute_batch("UPDATE publication SET revision = 9").unwrap();
    let blocked = serving.ask("POST", "/api/blocked-ips", &[], r#"{"ip_address":"192.0.2.1"}"#);
    assert!(blocked.status == 200 && blocked.body.contains("stored, not yet enforced"), "{blocked:?}");
    assert!(!home.path("state/rules.snapshot").exists());
    fs::remove_dir(&obstacle).unwrap();
    let began = Instant::now();
    while !home.path("state/rules.snapshot").exists() {
        assert!(began.elapsed() < PATIENCE, "it is not published");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_blocked_outlives_a_kill() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let serving = home.serve(&[], &[]);
    let blocked = serving.ask("POST", "/api/blocked-ips", &[], r#"{"ip_address":"192.0.2.1"}"#);
    assert_eq!(blocked.status, 200, "{blocked:?}");
    assert_eq!(serving.stop("KILL").0, -1);
    assert!(home.path("rules.db.sock").exists(), "nobody removed it");
    let serving = home.serve(&[], &[]);
    let listed = serving.ask("GET", "/api/blocked-ips", &[], "").json();
    assert_eq!(listed[0]["ip_address"], "192.0.2.1");
}

#[test]
fn rules_that_have_ended_long_ago_leave_the_record() {
    let home = Home::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(home.run(&["block", client, "--wait", "1ms"]).0, 3, "stored");
    }
    let record = rusqlite::Connection::open(home.path("rules.db")).unwrap();
    let end = "UPDATE rules SET expires_at_s = unixepoch() - ? WHERE target = ?";
    for (ago_s, client) in [(60, "192.0.2.2"), (3700, "192.0.2.3")] {
        assert_eq!(record.execute(end, (ago_s, client)).unwrap(), 1);
    }
    drop(record);
    let serving = home.serve(&[], &[]);
    let began = Instant::now();
    let count = || {
        let figures = serving.ask("GET", "/metrics", &[], "").body;
        let line = figures.lines().find_map(|line| line.strip_prefix(r#"edge_manager_rules{kind="block"} "#));
        line.unwrap().to_owned()
    };
    while count() == "3" && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(count(), "2", "one that has just ended stays, and one without an end");
}
