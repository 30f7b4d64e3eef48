//! The manager is killed, and HAProxy runs on.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_manager::configuration::{Configuration, Patience, Settings};
use edge_manager::haproxy::{Control, Enforcement, Launch, Pace, Program, State, Supervisor};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::{PATIENCE, Steady, eventually};
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
        hang_limit: Duration::from_secs(30),
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
    signal(pid, Signal::KILL);
    let state = eventually("another", || match supervisor.status().state {
        State::Running { master_pid, is_adopted } if master_pid != pid => Some(is_adopted),
        _ => None,
    });
    assert!(!state);
    eventually("it serves", || (home.title().ok()? == "a").then_some(()));
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[test]
fn one_that_nobody_reaches_for_long_is_taken_over_all_the_same() {
    for series in programs::all() {
        let home = Home::new();
        killed_manager(&home, series, "a");
        // As it is for a moment of each reload, or for longer on a machine that has much to do.
        let (socket, aside) = (home.sets().join("master.sock"), home.path("aside.sock"));
        home.master().reload(Instant::now() + PATIENCE, || false).unwrap();
        let pid =
            eventually("a worker", || home.master().worker_set().ok().and(home.master().processes().ok()));
        std::fs::rename(&socket, &aside).unwrap();
        drop(UnixListener::bind(&socket).unwrap());

        let (supervisor, _configuration) = start(&home.sets(), &series.path);
        // In place of that socket, one that hangs up: after so many times it has been asked for long.
        let hangs_up = UnixListener::bind(home.path("hangs-up.sock")).unwrap();
        std::fs::rename(home.path("hangs-up.sock"), &socket).unwrap();
        hangs_up.incoming().take(20).for_each(|asked| drop(asked.unwrap()));
        assert_eq!(supervisor.status().state, State::Waiting);
        std::fs::rename(&aside, &socket).unwrap();
        drop(hangs_up);
        let state = eventually("it answers", || {
            Some(supervisor.status().state).filter(|state| *state != State::Waiting)
        });
        assert_eq!(state, State::Running { master_pid: pid.master_pid, is_adopted: true }, "{series:?}");
        assert_eq!(supervisor.status().exits, 0);
        supervisor.stop();
        assert!(!listens(home.web()), "{series:?}");
    }
}

#[test]
fn a_stop_ends_one_that_does_not_answer_and_leaves_no_socket_of_a_living_one() {
    let home = Home::new();
    killed_manager(&home, programs::installed(), "a");
    let pid = home.master().processes().unwrap().master_pid;
    signal(pid, Signal::STOP);
    let socket = home.sets().join("master.sock");
    let supervisor = Supervisor::start(home.launch(programs::installed().program())).unwrap();
    supervisor.leave();
    assert!(socket.exists() && listens(home.web()), "who is left is not hidden from the next");
    drop(supervisor);
    let supervisor = Supervisor::start(home.launch(programs::installed().program())).unwrap();
    supervisor.stop();
    assert!(!listens(home.web()) && !socket.exists());
}
