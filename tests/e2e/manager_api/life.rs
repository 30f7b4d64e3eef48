//! Starting, stopping, and being killed.

use std::fs;

use edge_e2e::{Request, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{Supervised, alone, blocked};

fn many() -> Vec<String> {
    (0..10_000).map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect()
}

#[test]
fn a_stop_ends_haproxy_too_and_a_start_brings_everything_back() {
    let mut served = Supervised::start();
    let mut api = served.manager.api();
    assert_eq!(api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#).status, 200);
    let processes = served.manager.haproxy();
    assert!(!processes.is_empty());
    let status = served.manager.stop().unwrap();
    assert!(status.success(), "{status}: {}", served.manager.log());
    eventually("the end of HAProxy", || {
        let is_there = |pid: &u32| fs::exists(format!("/proc/{pid}")).unwrap_or(false);
        (!processes.iter().any(is_there)).then_some(())
    });
    assert!(Request::get("/").send(served.manager.web_addr()).is_err(), "somebody serves");
    served.manager.start_again();
    assert!(served.is_refused("198.51.100.7") && served.is_served("www.example"));
}

#[test]
fn thousands_of_rules_and_the_domains_outlive_a_kill_of_everything() {
    let mut served = Supervised::start();
    let bulk = many();
    for _ in 0..2 {
        put(&served, &bulk);
        assert!(["10.1.0.0", "10.1.39.15"].iter().all(|addr| served.is_refused(addr)));
        assert!(!served.is_refused("10.1.39.16"));
        served.manager.kill_9();
        assert!(Request::get("/").send(served.manager.web_addr()).is_err(), "somebody serves");
        served.manager.start_again();
        assert!(["10.1.0.0", "10.1.39.15"].iter().all(|addr| served.is_refused(addr)));
        assert!(!served.is_refused("10.1.39.16") && served.is_served("www.example"));
        assert_eq!(blocked(&mut served.manager.api()).len(), bulk.len());
    }
}

#[test]
fn a_haproxy_that_was_killed_is_started_again() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    assert_eq!(api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#).status, 200);
    let killed = served.manager.haproxy();
    let master = Pid::from_raw(killed[0].cast_signed());
    kill(master, Signal::SIGKILL).unwrap();
    // Its worker goes too, as soon as it sees that.
    eventually("another HAProxy", || {
        let running = served.manager.haproxy();
        (!running.is_empty() && !running.iter().any(|pid| killed.contains(pid))).then_some(())
    });
    eventually("its service", || Request::get("/yolo").send(served.manager.web_addr()).ok());
    assert!(served.is_refused("198.51.100.7"));
    eventually("health", || (api.get("/health").status == 200).then_some(()));
}

#[test]
fn a_manager_that_was_killed_alone_starts_again_and_goes_on() {
    let mut served = Supervised::start();
    assert_eq!(served.manager.api().post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#).status, 200);
    served.manager.kill_9_alone();
    served.manager.start_again();
    eventually("HAProxy", || Request::get("/yolo").send(served.manager.web_addr()).ok());
    assert!(served.is_refused("198.51.100.7") && served.is_served("www.example"));
    let answer = served.manager.api().post("/api/blocked-ips", r#"{"ip_address":"198.51.100.8"}"#);
    assert!(answer.status == 200 && !answer.body.contains("not yet enforced"), "{answer:?}");
    assert!(served.is_refused("198.51.100.8"));
}

#[test]
fn a_second_manager_on_the_same_record_is_refused() {
    let first = alone().start();
    let dir = first.dir().to_owned();
    let second = alone()
        .env("EDGE_DATABASE", dir.join("record/rules.db"))
        .env("EDGE_STATE_DIR", dir.join("state"))
        .try_start();
    let failure = second.unwrap_err();
    assert!(failure.status.is_some_and(|status| !status.success()), "{failure:?}");
    assert_eq!(first.api().get("/api/blocked-ips").status, 200);
}

/// All of them in one request.
fn put(served: &Supervised, addresses: &[String]) {
    let rules: Vec<Value> = addresses.iter().map(|addr| json!({"target": addr, "replace": true})).collect();
    let answer = served.manager.api().post("/api/rules/bulk", &Value::from(rules).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["enforcement"], "in_force", "{answer:?}");
}
