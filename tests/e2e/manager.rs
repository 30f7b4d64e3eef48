//! Rules that an operator makes on the command line of the manager, and what HAProxy does then.

use std::fs;
use std::path::Path;

use edge_e2e::{Backend, Edge, Manager, Mode, Request, StateHome, eventually, in_every_mode};

in_every_mode!(
    what_is_blocked_is_refused_from_the_next_request_on,
    a_block_ends_with_its_ttl,
    thousands_in_one_command_outlive_every_kill,
    what_haproxy_misses_it_has_when_it_starts,
    a_directory_that_was_emptied_is_filled_again_under_a_running_haproxy,
);

fn manager(home: &StateHome) -> Manager<'_> {
    Manager::beside(Path::new(env!("CARGO_BIN_EXE_edge-rules-writer")), home)
}

fn start(mode: Mode) -> (Backend, StateHome) {
    (Backend::start(), StateHome::new(mode))
}

fn is_refused(edge: &Edge, addr: &str) -> bool {
    edge.refuses(&Request::get("/yolo").forwarded_for(addr))
}

/// Lists rules.
fn list(manager: &Manager<'_>, edge: &Edge, args: &[&str]) -> String {
    let said = manager.run(edge, &[&["list"], args].concat(), "");
    assert_eq!(said.code, Some(0), "{args:?}: {}{}", said.out, said.error);
    said.out
}

/// Changes rules, with all the time that a slow machine may need; the command must end with this status.
fn change(manager: &Manager<'_>, edge: &Edge, args: &[&str], input: &str, code: i32) -> String {
    let said = manager.run(edge, &[args, &["--wait", "60s"]].concat(), input);
    assert_eq!(said.code, Some(code), "{args:?}: {}{}", said.out, said.error);
    said.out
}

fn what_is_blocked_is_refused_from_the_next_request_on(mode: Mode) {
    let (backend, home) = start(mode);
    let edge = Edge::before(&backend, mode).state(&home).start();
    let manager = manager(&home);
    let change = |args: &[&str]| {
        let out = change(&manager, &edge, args, "", 0);
        assert!(out.contains("in force at revision "), "{out}");
    };
    change(&["block", "198.51.100.0/24", "2001:db8::7"]);
    assert!(is_refused(&edge, "198.51.100.7") && is_refused(&edge, "2001:db8::7"));
    assert!(!is_refused(&edge, "198.51.101.7"));
    change(&["allow", "198.51.100.7"]);
    assert!(!is_refused(&edge, "198.51.100.7") && is_refused(&edge, "198.51.100.8"));
    change(&["disallow", "198.51.100.7"]);
    assert!(is_refused(&edge, "198.51.100.7"));
    change(&["block", "www.example/adm/*", "--action", "deny 410", "--if", "method=POST"]);
    assert_eq!(edge.send(&Request::new("POST", "/adm//%78")).status, 410);
    assert!(edge.get("/adm/x").is_from_backend());
    change(&["unblock", "www.example/adm/*", "--if", "method=POST"]);
    assert!(edge.send(&Request::new("POST", "/adm/x")).is_from_backend());
    change(&["unblock", "198.51.100.0/24", "2001:db8::7"]);
    assert!(!is_refused(&edge, "198.51.100.7") && !is_refused(&edge, "2001:db8::7"));
    assert_eq!(list(&manager, &edge, &["--ended"]), "");
}

fn a_block_ends_with_its_ttl(mode: Mode) {
    let (backend, home) = start(mode);
    let edge = Edge::before(&backend, mode).state(&home).start();
    let manager = manager(&home);
    change(&manager, &edge, &["block", "198.51.100.7", "--ttl", "1h"], "", 0);
    assert!(is_refused(&edge, "198.51.100.7"));
    change(&manager, &edge, &["block", "198.51.100.7", "--ttl", "1s", "--replace"], "", 0);
    eventually("the end of the block", || (!is_refused(&edge, "198.51.100.7")).then_some(()));
    eventually("its end in the record", || list(&manager, &edge, &[]).is_empty().then_some(()));
}

fn thousands_in_one_command_outlive_every_kill(mode: Mode) {
    let (backend, home) = start(mode);
    let mut edge = Edge::before(&backend, mode).state(&home).start();
    let manager = manager(&home);
    let many: String = (0..10_000).map(|n| format!("10.1.{}.{}\n", n / 256, n % 256)).collect();
    let out = change(&manager, &edge, &["block", "-"], &many, 0);
    assert_eq!(out.lines().next(), Some("10000 rules"));
    let ends = ["10.1.0.0", "10.1.39.15"];
    assert!(ends.iter().all(|addr| is_refused(&edge, addr)) && !is_refused(&edge, "10.1.39.16"));
    edge.crash_and_restart();
    assert!(ends.iter().all(|addr| is_refused(&edge, addr)) && !is_refused(&edge, "10.1.39.16"));
    assert_eq!(list(&manager, &edge, &[]).lines().count(), 10_000);
    change(&manager, &edge, &["unblock", "-"], &many, 0);
    assert!(!ends.iter().any(|addr| is_refused(&edge, addr)));
}

fn what_haproxy_misses_it_has_when_it_starts(mode: Mode) {
    let (backend, home) = start(mode);
    let mut edge = Edge::before(&backend, mode).state(&home).start();
    let manager = manager(&home);
    edge.crash();
    let out = change(&manager, &edge, &["block", "198.51.100.7"], "", 3);
    assert!(out.contains("stored, not yet enforced: "), "{out}");
    edge.start_again();
    assert!(is_refused(&edge, "198.51.100.7"));
}

/// As where the manager was killed between its record and the directory, only worse.
fn a_directory_that_was_emptied_is_filled_again_under_a_running_haproxy(mode: Mode) {
    let (backend, home) = start(mode);
    let edge = Edge::before(&backend, mode).state(&home).start();
    let manager = manager(&home);
    for addr in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        change(&manager, &edge, &["block", addr], "", 0);
    }
    change(&manager, &edge, &["unblock", "198.51.100.3"], "", 0);
    for name in home.files().iter().filter(|name| name.starts_with("rules.")) {
        fs::remove_file(home.path().join(name)).unwrap();
    }
    change(&manager, &edge, &["block", "198.51.100.4"], "", 0);
    for addr in ["198.51.100.1", "198.51.100.2", "198.51.100.4"] {
        assert!(is_refused(&edge, addr), "{addr}");
    }
    assert!(!is_refused(&edge, "198.51.100.3"));
}
