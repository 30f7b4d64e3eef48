//! Rules that a manager writes, while HAProxy runs and before.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use edge_e2e::{Edge, ListedRule, Mode, Request, RulesProcess, StateHome, eventually, in_every_mode};

use super::{refuses, start, teach};

in_every_mode!(
    rules_are_in_force_after_sync,
    a_list_is_replaced_at_once,
    rules_are_there_after_a_restart,
    a_rotation_is_followed,
    a_damaged_snapshot_is_not_answered_as_its_revision,
    rules_and_lessons_meet,
);

fn manager(home: &StateHome) -> RulesProcess {
    RulesProcess::spawn(Path::new(env!("CARGO_BIN_EXE_edge-rules-writer")), home).unwrap()
}

fn blocked(addr: &str) -> ListedRule {
    ListedRule { kind: "block", what: addr.into(), ends_at_s: u32::MAX, list: "ours" }
}

fn is_blocked(edge: &Edge, addr: &str) -> bool {
    edge.refuses(&Request::get("/yolo").forwarded_for(addr))
}

/// Has the worker catch up, as a manager does before it says that a rule is in force.
fn sync(edge: &Edge, revision: u64) {
    eventually("the manager's revision in force", || edge.has_rules_of(revision).then_some(()));
}

fn rules_are_in_force_after_sync(mode: Mode) {
    let (_backend, home, edge) = start(mode);
    sync(&edge, 0);
    let mut manager = manager(&home);
    let revision = manager.put(&blocked("198.51.100.7")).unwrap();
    sync(&edge, revision);
    assert!(is_blocked(&edge, "198.51.100.7"));
    assert!(!is_blocked(&edge, "198.51.100.8"));
    assert_eq!(edge.metrics().sum("edge_filter_revision", &[]), revision as f64);

    let resource = ListedRule { kind: "resource", what: "www.example/listed".into(), ..blocked("") };
    manager.put(&resource).unwrap();
    let revision = manager.remove("block", "198.51.100.7").unwrap();
    sync(&edge, revision);
    assert!(!is_blocked(&edge, "198.51.100.7"));
    assert!(refuses(&edge, "/listed"));
    let status = edge.cli("show edge status");
    assert!(status.contains("\"follows\": \"rules.journal.0\""), "{status}");
    assert!(status.contains(&format!("\"revision\": {revision}")), "{status}");
}

fn a_list_is_replaced_at_once(mode: Mode) {
    let (_backend, home, edge) = start(mode);
    let mut manager = manager(&home);
    let many = 20_000;
    manager.bulk("bulk", Ipv4Addr::new(10, 1, 0, 0), many).unwrap();
    let revision = manager.put(&blocked("198.51.100.7")).unwrap();
    sync(&edge, revision);
    assert!(is_blocked(&edge, "10.1.0.0") && is_blocked(&edge, "10.1.78.31"));
    assert!(!is_blocked(&edge, "10.1.78.32"));
    let revision = manager.bulk("bulk", Ipv4Addr::new(10, 1, 78, 0), many).unwrap();
    sync(&edge, revision);
    assert!(is_blocked(&edge, "10.1.78.31") && is_blocked(&edge, "10.1.78.32"));
    assert!(!is_blocked(&edge, "10.1.0.0"));
    assert!(is_blocked(&edge, "198.51.100.7"), "another list");
    let rules = edge.metrics().sum("edge_filter_rules", &[("table", "block")]);
    let shipped =
        edge.cli("show edge rules ip").lines().filter(|line| line.contains("blocked_ips.map")).count();
    assert_eq!(rules as usize - shipped, many as usize + 1);
}

fn rules_are_there_after_a_restart(mode: Mode) {
    let (_backend, home, mut edge) = start(mode);
    let mut manager = manager(&home);
    manager.bulk("bulk", Ipv4Addr::new(10, 1, 0, 0), 1000).unwrap();
    let revision = manager.put(&blocked("198.51.100.7")).unwrap();
    drop(manager);
    edge.crash_and_restart();
    assert!(is_blocked(&edge, "10.1.3.231") && is_blocked(&edge, "198.51.100.7"));
    sync(&edge, revision);
}

fn a_rotation_is_followed(mode: Mode) {
    let (_backend, home, mut edge) = start(mode);
    let mut manager = manager(&home);
    let mut rules = Vec::new();
    for n in 0..4 {
        let rule = blocked(&format!("198.51.100.{n}"));
        manager.put(&rule).unwrap();
        rules.push(rule);
        manager.rotate(&["ours"], rules.iter()).unwrap();
    }
    let revision = manager.put(&blocked("198.51.100.99")).unwrap();
    sync(&edge, revision);
    for addr in ["198.51.100.0", "198.51.100.3", "198.51.100.99"] {
        assert!(is_blocked(&edge, addr), "{addr}");
    }
    edge.crash_and_restart();
    sync(&edge, revision);
    for addr in ["198.51.100.0", "198.51.100.3", "198.51.100.99"] {
        assert!(is_blocked(&edge, addr), "{addr}");
    }
    assert_eq!(edge.metrics().sum("edge_filter_state_problems_total", &[]), 0.0);
}

fn a_damaged_snapshot_is_not_answered_as_its_revision(mode: Mode) {
    let (_backend, home, mut edge) = start(mode);
    let mut manager = manager(&home);
    let rule = blocked("198.51.100.7");
    let revision = manager.put(&rule).unwrap();
    manager.rotate(&["ours"], [&rule].into_iter()).unwrap();
    sync(&edge, revision);
    edge.crash();
    let snapshot = home.path().join("rules.snapshot");
    let mut bytes = fs::read(&snapshot).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    edge.start_again();
    let answer = edge.cli("edge sync");
    // It may say that more is waiting beside: for another thread to take, or to be read once more.
    let (unknown, incomplete) = (", hash unknown,", ", incomplete: EDGE_STATE_DIR: ");
    assert!(answer.contains(unknown) && answer.contains(incomplete), "{answer}");
    assert!(answer.contains("rules.snapshot: damaged"), "{answer}");
    let status = edge.cli("show edge status");
    assert!(status.contains("\"incomplete\": true"), "{status}");
    let revision = manager.put(&rule).unwrap();
    manager.rotate(&["ours"], [&rule].into_iter()).unwrap();
    sync(&edge, revision);
    assert!(is_blocked(&edge, "198.51.100.7"));
}

fn rules_and_lessons_meet(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    let mut manager = manager(&home);
    teach(&backend, &edge, "/yeet");
    let revision = manager.remove("resource", "www.example/yeet").unwrap();
    sync(&edge, revision);
    assert_eq!(edge.metrics().learned_rules(), 0.0, "the manager has the last word");
    edge.crash_and_restart();
    assert_eq!(edge.metrics().learned_rules(), 0.0);
    super::until_it_writes(&edge);
    teach(&backend, &edge, "/yeet");
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet"), "learned after it");
}
