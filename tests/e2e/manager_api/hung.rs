//! A HAProxy that is there and does not answer.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use edge_e2e::{Request, eventually, tell};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Beside, Supervised, alone};

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids {
        // One of them may have ended since.
        let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
    }
}

/// Waits until health is bad; for how long, and the reason.
fn until_sick(served: &Supervised) -> (Duration, String) {
    let (mut api, began) = (served.manager.api(), Instant::now());
    let sick = eventually("a health that is not good", || {
        Some(api.get("/health")).filter(|answer| answer.status == 500)
    });
    (began.elapsed(), sick.json()["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_stopped_worker_is_told_within_seconds_and_no_change_waits_for_it() {
    let served = Supervised::start();
    for which in ["worker", "master", "both"] {
        let mut api = served.manager.api();
        // A reload has made another worker.
        let processes = served.manager.haproxy();
        let stopped = match which {
            "worker" => &processes[1..],
            "master" => &processes[..1],
            _ => &processes[..],
        };
        signal(stopped, Signal::SIGSTOP);
        let (took, reason) = until_sick(&served);
        tell(format!("a stopped HAProxy was told after {:.1} s: {reason}", took.as_secs_f64()));
        assert!(reason.contains("does not answer"), "{reason}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        let began = Instant::now();
        let answer = api.post("/api/domain", &served.domain("late.example", "late").to_string());
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        assert!(answer.body.contains("no answer from HAProxy"), "{answer:?}");
        if which != "master" {
            let began = Instant::now();
            let answer = api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#);
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
            assert!(answer.body.contains("not yet enforced"), "{answer:?}");
        }
        signal(stopped, Signal::SIGCONT);
        eventually("health", || (api.get("/health").status == 200).then_some(()));
        eventually("the domain", || served.is_served("late.example").then_some(()));
        assert!(served.is_refused("198.51.100.7") || which == "master");
        let gone = api.delete("/api/domain", r#"{"domain":"late.example"}"#);
        assert_eq!(gone.status, 200, "{gone:?}");
        api.delete("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#);
    }
}

#[test]
fn a_haproxy_that_does_not_answer_for_long_is_started_again() {
    for which in [0, 1] {
        let served = Supervised::start_with(|builder| builder.env("EDGE_HANG_LIMIT", "10s"));
        let mut api = served.manager.api();
        assert_eq!(api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#).status, 200);
        let before = served.manager.haproxy();
        signal(&before[which..=which], Signal::SIGSTOP);
        eventually("another HAProxy", || {
            let running = served.manager.haproxy();
            (!running.is_empty() && !running.iter().any(|pid| before.contains(pid))).then_some(())
        });
        eventually("its service", || Request::get("/yolo").send(served.manager.web_addr()).ok());
        eventually("health", || (api.get("/health").status == 200).then_some(()));
        assert!(served.is_refused("198.51.100.7") && served.is_served("www.example"));
        assert!(served.manager.log().contains("and was killed"), "{}", served.manager.log());
    }
}

#[test]
fn a_haproxy_that_hangs_while_it_starts_is_started_again() {
    // In place of HAProxy: stops itself before it becomes HAProxy, once, where it is told to.
    let haproxy = std::env::var("EDGE_HAPROXY").unwrap_or_else(|_| "haproxy".to_owned());
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" -W \"*) rm \"$0.hold\" 2>/dev/null && kill -STOP $$ ;; esac\nexec '{haproxy}' \"$@\"\n"
    );
    let served = Supervised::start_with(|builder| {
        let program = builder.dir().join("starter");
        fs::write(&program, &script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        builder.env("EDGE_HAPROXY", program).env("EDGE_HANG_LIMIT", "3s")
    });
    let mut api = served.manager.api();
    let before = served.manager.haproxy();
    fs::write(served.manager.dir().join("starter.hold"), "").unwrap();
    signal(&before[..1], Signal::SIGKILL);
    eventually("a health that is not good", || (api.get("/health").status == 500).then_some(()));
    eventually("the end of the one that hangs", || {
        let log = served.manager.log();
        let seconds =
            log.split("did not answer for ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok());
        seconds.max().filter(|longest: &u32| *longest >= 30)
    });
    eventually("health", || (api.get("/health").status == 200).then_some(()));
    assert!(served.is_served("www.example"));
}

#[test]
fn a_stop_ends_a_haproxy_that_does_not_answer() {
    for which in [0, 1] {
        let mut served = Supervised::start();
        let processes = served.manager.haproxy();
        signal(&processes[which..=which], Signal::SIGSTOP);
        let began = Instant::now();
        assert!(served.manager.stop().unwrap().success());
        let took = began.elapsed();
        tell(format!("a manager with a stopped HAProxy ended after {:.1} s", took.as_secs_f64()));
        assert!(took < Duration::from_secs(12), "{took:?}");
        eventually("the end of HAProxy", || served.manager.haproxy().is_empty().then_some(()));
    }
}

#[test]
fn a_socket_that_takes_connections_and_answers_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let silent = dir.path().join("silent.sock");
    let _listener = UnixListener::bind(&silent).unwrap();
    let manager = alone().env("EDGE_SOCKET", &silent).start();
    let mut api = manager.api();
    let sick = eventually("a health that is not good", || {
        Some(api.get("/health")).filter(|answer| answer.body.contains("does not answer"))
    });
    assert_eq!(sick.status, 500);
    let answer = api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#);
    assert!(answer.body.contains("no answer from HAProxy in time"), "{answer:?}");
}

#[test]
fn an_attached_haproxy_that_is_stopped_is_told_and_left_alone() {
    let served = Beside::start();
    let mut api = served.manager.api();
    eventually("health", || (api.get("/health").status == 200).then_some(()));
    let pids = [served.edge.worker_pid()];
    signal(&pids, Signal::SIGSTOP);
    let sick = eventually("a health that is not good", || {
        Some(api.get("/health")).filter(|answer| answer.status == 500)
    });
    assert!(sick.body.contains("does not answer"), "{sick:?}");
    signal(&pids, Signal::SIGCONT);
    eventually("health", || (api.get("/health").status == 200).then_some(()));
    assert_eq!([served.edge.worker_pid()], pids);
}
