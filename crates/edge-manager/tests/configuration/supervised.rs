//! HAProxy, started and watched by us.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use edge_manager::haproxy::{Control, Enforcement, Launch, Pace, Program, State, Supervisor};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::{Steady, eventually, get};
use crate::home::{Home, listens, site, stand_in};
use crate::programs;

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn publications_reload_haproxy_and_no_request_fails() {
    for series in programs::all() {
        let home = Home::new();
        let edge = home.supervised(series);
        assert_eq!(edge.supervisor.status().state, State::Waiting);
        let first = edge.publish("set 1").unwrap();
        assert_eq!((first.set, first.is_changed, first.enforcement), (1, true, Enforcement::InForce));
        assert_eq!(home.title().unwrap(), "set 1");
        let master_pid = edge.master_pid();
        let client = Steady::start(home.web());
        for set in 2..=6 {
            let title = format!("set {set}");
            let published = edge.publish(&title).unwrap();
            assert_eq!((published.set, published.enforcement), (set, Enforcement::InForce), "{series:?}");
            assert_eq!(home.title().unwrap(), title, "{series:?}");
            let again = edge.publish(&title).unwrap();
            assert_eq!((again.set, again.is_changed, again.enforcement), (set, false, Enforcement::InForce));
        }
        let worker = home.master().processes().unwrap().workers;
        let reloaded = edge.configuration.reload().unwrap();
        assert_eq!(
            (reloaded.set, reloaded.is_changed, reloaded.enforcement),
            (6, false, Enforcement::InForce)
        );
        assert_ne!(home.master().processes().unwrap().workers, worker, "{series:?}: a new worker");
        let worker = home.master().processes().unwrap().workers;
        let anew = edge.configuration.publish_anew(&home.site("set 6"), "test").unwrap();
        assert_eq!((anew.set, anew.is_changed, anew.enforcement), (6, false, Enforcement::InForce));
        assert_ne!(home.master().processes().unwrap().workers, worker, "{series:?}: though nothing differs");
        let anew = edge.configuration.publish_anew(&home.site("set 7"), "test").unwrap();
        assert_eq!((anew.set, anew.is_changed, anew.enforcement), (7, true, Enforcement::InForce));
        let answered = client.answered();
        eventually("more answers", || (client.answered() > answered).then_some(()));
        assert_eq!(client.stop(), Vec::<String>::new(), "{series:?}");
        assert_eq!(edge.master_pid(), master_pid);
        assert_eq!(edge.supervisor.status().exits, 0);
    }
}

#[test]
fn a_start_with_what_is_in_force_reloads_nothing() {
    for series in programs::all() {
        let home = Home::new();
        let edge = home.supervised(series);
        edge.publish("a").unwrap();
        edge.supervisor.stop();
        drop(edge);
        for is_there in [false, true] {
            let edge = home.supervised(series);
            // HAProxy is about to be started, or to be found.
            let same = edge.publish("a").unwrap();
            assert_eq!((same.set, same.is_changed, same.enforcement), (1, false, Enforcement::InForce));
            assert_eq!(home.master().processes().unwrap().reloads, 0, "{series:?}, found: {is_there}");
            edge.supervisor.leave();
        }
        drop(home.supervised(series));
    }
}

#[test]
fn one_that_ends_is_started_again() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    edge.publish("a").unwrap();
    for exits in 1..=3 {
        kill(edge.master_pid());
        eventually("the end is noticed", || (edge.supervisor.status().exits == exits).then_some(()));
        edge.master_pid();
        eventually("it serves again", || (home.title().ok()? == "a").then_some(()));
    }
    let last_exit = edge.supervisor.status().last_exit;
    assert_eq!(last_exit.as_deref(), Some("was ended by signal 9"));
}

#[test]
fn a_publication_does_not_wait_for_the_next_start() {
    let home = Home::new();
    let launch = home.launch(programs::installed().program());
    let hour = Duration::from_secs(3600);
    let pace = Pace { first: hour, longest: hour, stable: hour };
    let supervisor = Arc::new(Supervisor::start(Launch { pace, ..launch }).unwrap());
    let control = Control::Supervised(Arc::clone(&supervisor));
    let configuration = home.open(programs::installed().program(), control).unwrap();
    configuration.publish(&home.site("a"), "test").unwrap();
    let State::Running { master_pid, is_adopted: false } =
        eventually("it runs", || Some(supervisor.status().state).filter(|state| *state != State::Starting))
    else {
        panic!("{:?}", supervisor.status())
    };
    kill(master_pid);
    eventually("it waits", || matches!(supervisor.status().state, State::BackingOff { .. }).then_some(()));
    let published = configuration.publish(&home.site("b"), "test").unwrap();
    assert_eq!(published.enforcement, Enforcement::InForce);
    assert_eq!(home.title().unwrap(), "b");
}

#[test]
fn one_that_never_starts_is_tried_again_and_told() {
    let home = Home::new();
    fs::create_dir_all(home.sets().join("current")).unwrap();
    fs::write(home.sets().join("current/haproxy.cfg"), "").unwrap();
    let program = stand_in(&home.path(""), "exit 3");
    let supervisor = Supervisor::start(home.launch(program)).unwrap();
    eventually("three ends", || (supervisor.status().exits >= 3).then_some(()));
    assert_eq!(supervisor.status().last_exit.as_deref(), Some("exited with status 3"));
    supervisor.stop();
    assert_eq!(supervisor.status().state, State::Stopped);

    let missing = home.launch(Program::new("/none/haproxy"));
    let supervisor = Supervisor::start(Launch { socket: home.path("other.sock"), ..missing }).unwrap();
    let told = eventually("its end", || supervisor.status().last_exit);
    assert_eq!(told, "/none/haproxy: No such file or directory (os error 2)");
}

#[test]
fn a_stop_ends_haproxy_and_leaves_no_socket() {
    for series in programs::all() {
        let home = Home::new();
        let edge = home.supervised(series);
        edge.publish("a").unwrap();
        let socket = home.sets().join("master.sock");
        assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
        edge.supervisor.stop();
        assert_eq!(edge.supervisor.status().state, State::Stopped);
        assert!(!listens(home.web()) && !socket.exists(), "{series:?}");
        let error = edge.publish("b").unwrap_err().to_string();
        assert!(error.starts_with("HAProxy was stopped"), "{error}");
    }
}

#[test]
fn a_panic_of_the_manager_leaves_haproxy_running() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    edge.publish("a").unwrap();
    let master_pid = edge.master_pid();
    edge.supervisor.leave();
    drop(edge);
    let launch = home.launch(programs::installed().program());
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _supervisor = Supervisor::start(launch).unwrap();
        panic!("a fault of the manager");
    }));
    assert!(panicked.is_err());
    let edge = home.supervised(programs::installed());
    let state = eventually("it answers", || Some(edge.supervisor.status().state).filter(is_running));
    assert_eq!(state, State::Running { master_pid, is_adopted: true });
}

fn is_running(state: &State) -> bool {
    matches!(state, State::Running { .. })
}

#[test]
fn a_worker_that_hangs_does_not_outlive_its_master() {
    for series in programs::all() {
        let home = Home::new();
        let edge = home.supervised(series);
        edge.publish("a").unwrap();
        let (master_pid, worker) = (edge.master_pid(), home.master().processes().unwrap().workers[0]);
        kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), Signal::STOP).unwrap();
        kill(master_pid);
        // Whoever has ended has no arguments, though nobody may have waited for it.
        let is_gone = || fs::read(format!("/proc/{worker}/cmdline")).unwrap_or_default().is_empty();
        eventually("the end of the worker", || is_gone().then_some(()));
        eventually("it serves again", || (home.title().ok()? == "a").then_some(()));
    }
}

#[test]
fn two_do_not_supervise_one_haproxy() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    let error = Supervisor::start(home.launch(programs::installed().program())).unwrap_err().to_string();
    let lock = home.sets().join("master.sock.lock");
    assert_eq!(error, format!("{}: another process supervises HAProxy here", lock.display()));
    drop(edge);
    Supervisor::start(home.launch(programs::installed().program())).unwrap();
}

/// Sends a command to the worker.
fn tell(home: &Home, command: &str) -> String {
    let mut stream = UnixStream::connect(home.master().socket()).unwrap();
    stream.write_all(format!("@1 {command}\n").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_a_worker_knows_of_its_servers_outlives_it() {
    for series in programs::all() {
        let home = Home::new();
        let edge = home.supervised(series);
        let with_state = |title: &str| {
            let mut json = home.json(title);
            json["global"]["server_state_file"] = json!(home.path("servers.state"));
            site(json)
        };
        edge.configuration.publish(&with_state("a"), "test").unwrap();
        let status = || get(home.web(), "www.example.com").unwrap().split(' ').nth(1).unwrap().to_owned();
        assert_eq!(status(), "200");
        assert_eq!(tell(&home, "set server web/one state maint").trim(), "");
        edge.configuration.publish(&with_state("b"), "test").unwrap();
        assert_eq!((home.title().unwrap().as_str(), status().as_str()), ("b", "503"), "{series:?}");
        tell(&home, "set server web/one state ready");
        edge.configuration.publish(&with_state("c"), "test").unwrap();
        assert_eq!(status(), "200", "{series:?}");
    }
}

#[test]
fn arguments_and_environment_of_haproxy_hold_no_secret() {
    let home = Home::new();
    let edge = home.supervised(programs::installed());
    edge.publish("a").unwrap();
    let read = |file: &str| {
        let bytes = fs::read(format!("/proc/{}/{file}", edge.master_pid())).unwrap();
        String::from_utf8(bytes).unwrap().replace('\0', " ")
    };
    let arguments = read("cmdline");
    let words = ["-W", "-S", "master.sock,level,admin,mode,600", "-f", "current/haproxy.cfg"];
    assert!(words.iter().all(|word| arguments.contains(word)), "{arguments}");
    let names: Vec<String> =
        read("environ").split_whitespace().map(|entry| entry.split('=').next().unwrap().to_owned()).collect();
    let foreign = names.iter().find(|name| {
        !name.starts_with("HAPROXY_") && !["PATH", "TZ", "MANAGER_SET"].contains(&name.as_str())
    });
    assert_eq!(foreign, None, "{names:?}");
    assert!(!names.iter().any(|name| name == "HAPROXY_API_KEY"));
}
