//! From start to stop, and after a kill.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use edge_e2e::eventually;

use super::{Home, PATIENCE, Serving};
use crate::harness::answer;

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let home = Home::new();
    for signal in ["TERM", "INT"] {
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
fn a_hang_up_opens_the_log_anew_and_ends_nothing() {
    let home = Home::new();
    let serving = home.serve(&["--log-dir", home.path("logs").to_str().unwrap()], &[("EDGE_LOG", "info")]);
    for name in ["manager.log", "manager-error.log"] {
        fs::rename(home.path("logs").join(name), home.path("logs").join(format!("{name}.moved"))).unwrap();
    }
    serving.signal("HUP");
    let log = |name: &str| fs::read_to_string(home.path("logs").join(name)).unwrap_or_default();
    eventually("the new log", || log("manager.log").contains("SIGHUP").then_some(()));
    assert!(home.path("logs/manager-error.log").exists());
    let moved = log("manager.log.moved");
    assert!(moved.contains("ready") && !moved.contains("SIGHUP"), "{moved}");
    assert_eq!(serving.ask("GET", "/api/blocked-ips", &[], "").said(), (200, "[]"));
    assert_eq!(serving.stop("TERM").0, 0);
    assert!(log("manager.log").contains("stopped"));
}

#[test]
fn as_many_files_may_be_open_as_the_machine_allows() {
    let home = Home::new();
    let manager = env!("CARGO_BIN_EXE_edge-manager");
    let script = format!("ulimit -Sn 300 && ulimit -Hn 4000 && exec {manager} serve --ready-file ready");
    let like = home.command(&[]);
    let command = Command::new("sh")
        .args(["-c", &script])
        .current_dir(home.path(""))
        .envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("HAPROXY_API_KEY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let serving = Serving { child: Some(command.unwrap()), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    eventually("it is ready", || home.path("ready").exists().then_some(()));
    let limits =
        fs::read_to_string(format!("/proc/{}/limits", serving.child.as_ref().unwrap().id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).collect::<Vec<_>>(), ["4000", "4000", "files"]);
    serving.stop("TERM");
}

#[test]
fn a_stop_during_the_start_is_obeyed() {
    let home = Home::new();
    let program = home.path("stand-in");
    let check = "echo >${0%/*}/begun; while [ ! -e ${0%/*}/go ]; do sleep 0.01; done";
    let version = "echo 'HAProxy version 2.6.12 2026/01/01'";
    fs::write(&program, format!("#!/bin/sh\ncase $1 in -v) {version};; *) {check};; esac\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut child = home.command(&["serve"]).env("EDGE_HAPROXY", &program).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let serving = Serving { child: Some(child), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    eventually("a publication", || home.path("begun").exists().then_some(()));
    serving.signal("TERM");
    assert!(lines.any(|line| line.contains("stopping")));
    fs::write(home.path("go"), "").unwrap();
    let log: String = lines.collect();
    let (code, out, _) = serving.stop("TERM");
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
    let obstacle = edge_e2e::obstruct_snapshot(&home.path("state"));
    record.execute_batch("UPDATE publication SET revision = 9").unwrap();
    let blocked = serving.ask("POST", "/api/blocked-ips", &[], r#"{"ip_address":"192.0.2.1"}"#);
    assert!(blocked.status == 200 && blocked.body.contains("stored, not yet enforced"), "{blocked:?}");
    assert!(!home.path("state/rules.snapshot").exists());
    fs::remove_dir_all(&obstacle).unwrap();
    eventually("a publication", || home.path("state/rules.snapshot").exists().then_some(()));
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
    let count = || {
        let figures = serving.ask("GET", "/metrics", &[], "").body;
        let line = figures.lines().find_map(|line| line.strip_prefix(r#"edge_manager_rules{kind="block"} "#));
        line.unwrap().to_owned()
    };
    let fewer = eventually("one rule less", || Some(count()).filter(|count| count != "3"));
    assert_eq!(fewer, "2", "one that has just ended stays, and one without an end");
}
