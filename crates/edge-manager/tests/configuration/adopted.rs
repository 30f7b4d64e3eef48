//! The manager is killed, and HAProxy runs on.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use edge_manager::configuration::{Configuration, Patience, Settings};
use edge_manager::haproxy::{Control, Enforcement, Launch, Pace, Program, State, Supervisor};
use serde_json::Value;

use crate::client::{Steady, eventually};
use crate::home::{Home, listens, site};
use crate::programs::{self, Series};

/// What the child is to do, as JSON; without it the test that is the child does nothing.
const ORDER: &str = "EDGE_MANAGER_TEST_ORDER";

fn start(sets: &Path, program: &Path) -> (Arc<Supervisor>, Configuration) {
    let launch = Launch {
        program: Program::new(program),
        configuration: sets.join("current/haproxy.cfg"),
        socket: sets.join("master.sock"),
        pace: Pace::default(),
        grace: Duration::from_millis(500),
    };
    std::fs::create_dir_all(sets).unwrap();
    let supervisor = Arc::new(Supervisor::start(launch).unwrap());
    let configuration = Configuration::open(Settings {
        dir: sets.into(),
        templates: None,
        program: Program::new(program),
        control: Control::Supervised(Arc::clone(&supervisor)),
        patience: Patience::default(),
    });
    (supervisor, configuration.unwrap())
}

#[test]
fn child_that_supervises() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Value = serde_json::from_str(&order).unwrap();
    let path = |name: &str| PathBuf::from(order[name].as_str().unwrap());
    let (_supervisor, configuration) = start(&path("sets"), &path("program"));
    let published = configuration.publish(&site(order["site"].clone()), "child").unwrap();
    assert_eq!(published.enforcement, Enforcement::InForce);
    std::io::stdout().write_all(b"published\n").unwrap();
    std::thread::sleep(Duration::from_secs(3600));
}

/// Runs a manager until it has published, and kills it.
fn killed_manager(home: &Home, series: &Series, title: &str) {
    let order = serde_json::json!({"sets": home.sets(), "program": series.path, "site": home.json(title)});
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["adopted::child_that_supervises", "--exact", "--nocapture", "--test-threads=1"])
        .env(ORDER, order.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("published")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn haproxy_outlives_its_manager_and_is_taken_over_by_the_next() {
    for series in programs::all() {
        let home = Home::new();
        killed_manager(&home, series, "a");
        let client = Steady::start(home.web());
        let pid = home.master().processes().unwrap().master_pid;
        assert_eq!(home.title().unwrap(), "a", "{series:?}");

        let (supervisor, configuration) = start(&home.sets(), &series.path);
        let state = eventually("it is found", || {
            Some(supervisor.status().state).filter(|state| *state != State::Waiting)
        });
        assert_eq!(state, State::Running { master_pid: pid, is_adopted: true });
        let same = configuration.publish(&home.site("a"), "test").unwrap();
        assert_eq!((same.set, same.is_changed, same.enforcement), (1, false, Enforcement::InForce));
        let next = configuration.publish(&home.site("b"), "test").unwrap();
        assert_eq!((next.set, next.enforcement), (2, Enforcement::InForce));
        assert_eq!(home.title().unwrap(), "b");
        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");

        supervisor.stop();
        assert!(!listens(home.web()), "{series:?}");
    }
}

#[test]
fn one_that_is_left_serves_on_until_the_next() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    edge.publish("a").unwrap();
    let pid = edge.master_pid();
    edge.supervisor.leave();
    drop(edge);
    assert_eq!(home.title().unwrap(), "a");
    let edge = home.supervised(programs::installed());
    assert_eq!(edge.master_pid(), pid);
    edge.supervisor.stop();
    assert!(!listens(home.web()));
}

#[test]
fn a_manager_that_cannot_start_leaves_haproxy_running() {
    let home = Home::new();
    killed_manager(&home, programs::installed(), "a");
    let pid = home.master().processes().unwrap().master_pid;
    let output = Command::new(env!("CARGO_BIN_EXE_edge-manager"))
        .args(["serve", "--supervise", "--listen", "0.0.0.0:0"])
        .env_remove("HAPROXY_API_KEY")
        .env("EDGE_DATABASE", home.path("rules.db"))
        .env("EDGE_STATE_DIR", home.path("state"))
        .env("EDGE_SOCKET", home.path("edge.sock"))
        .env("EDGE_CONFIG_DIR", home.sets())
        .env("EDGE_HAPROXY", &programs::installed().path)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && error.contains("without a key"), "{error}");
    assert_eq!(home.master().processes().unwrap().master_pid, pid);
    assert_eq!(home.title().unwrap(), "a");
    let edge = home.supervised(programs::installed());
    assert_eq!(edge.master_pid(), pid);
}

#[test]
fn one_that_was_taken_over_and_ends_is_started_again() {
    let home = Home::new();
    killed_manager(&home, programs::installed(), "a");
    let pid = home.master().processes().unwrap().master_pid;
    let (supervisor, _configuration) = start(&home.sets(), &programs::installed().path);
    eventually("it is found", || matches!(supervisor.status().state, State::Running { .. }).then_some(()));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let state = eventually("another", || match supervisor.status().state {
        State::Running { master_pid, is_adopted } if master_pid != pid => Some(is_adopted),
        _ => None,
    });
    assert!(!state);
    eventually("it serves", || (home.title().ok()? == "a").then_some(()));
}
