//! The life of the process: rights, threads, reload, end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;

use edge_e2e::{Answer, Backend, Edge, Mode, Request, eventually, in_every_mode};
use nix::sys::signal::Signal;
use nix::unistd::Uid;

in_every_mode!(no_thread_is_made, requests_and_lessons_at_once_do_no_harm);

fn no_thread_is_made(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).start();
    backend.answer("/yeet", Answer::teaching("false; ttl=1"));
    edge.get("/yeet");
    // Upkeep has run once the rule is gone.
    eventually("the rule is swept", || (edge.metrics().learned_rules() == 0.0).then_some(()));
    let threads = fs::read_dir(format!("/proc/{}/task", edge.worker_pid())).unwrap().count();
    assert_eq!(threads, 2, "the two threads of nbthread");
}

fn requests_and_lessons_at_once_do_no_harm(mode: Mode) {
    let backend = Backend::start();
    let edge = Edge::before(&backend, mode).setting("EDGE_MAX_LEARNED", "50").start();
    for n in 0..100 {
        backend.answer(&format!("/yeet/{n}"), Answer::teaching("false; ttl=1"));
    }
    thread::scope(|scope| {
        for client in 0..4 {
            let edge = &edge;
            scope.spawn(move || {
                for n in 0..100 {
                    assert_eq!(edge.get(&format!("/yeet/{n}")).status, 404);
                    assert_eq!(edge.get(&format!("/yolo/{client}/{n}")).status, 200);
                }
            });
        }
    });
    assert!(edge.metrics().learned_rules() <= 50.0);
}

/// Where the tests do not run as root, there are no rights to give up.
#[test]
fn the_worker_gives_up_its_rights() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::WORKER).start();
    if !Uid::effective().is_root() {
        return;
    }
    let process = format!("/proc/{}", edge.worker_pid());
    assert_ne!(fs::metadata(&process).unwrap().uid(), 0);
    assert_eq!(fs::read_link(format!("{process}/root")).unwrap().to_str(), Some("/var/lib/haproxy"));
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let processes: Vec<&str> = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max processes"))
        .map(|values| values.split_whitespace().collect())
        .unwrap();
    assert_eq!(processes[..2], ["0", "0"], "the worker could make threads");
}

#[test]
fn a_reload_takes_new_lists_in() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::WORKER).list("blocked_ips.map", "203.0.113.1\n").start();
    let refuses = |client: &str| edge.refuses(&Request::get("/yolo").forwarded_for(client));
    assert!(refuses("203.0.113.1"));
    assert!(!refuses("203.0.113.2"));
    let old = edge.worker_pid();
    fs::write(edge.dir().join("lists/blocked_ips.map"), "203.0.113.2\n").unwrap();
    edge.haproxy().signal(Signal::SIGUSR2);
    eventually("the new worker refuses by the new list", || {
        (refuses("203.0.113.2") && !refuses("203.0.113.1")).then_some(())
    });
    eventually("the stats socket is that of the new worker", || (edge.worker_pid() != old).then_some(()));
    eventually("the old worker is gone", || (!fs::exists(format!("/proc/{old}")).unwrap()).then_some(()));
}

#[test]
fn a_reload_with_a_bad_setting_leaves_the_old_worker() {
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::WORKER).list("blocked_ips.map", "203.0.113.1\n").start();
    let old = edge.worker_pid();
    let config = edge.dir().join("haproxy.cfg");
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("  nbthread 2\n", "  nbthread 2\n  setenv EDGE_LEARN_TTL soon\n");
    fs::write(&config, text).unwrap();
    edge.haproxy().signal(Signal::SIGUSR2);
    eventually("the setting is named", || edge.haproxy().log().contains("EDGE_LEARN_TTL").then_some(()));
    assert!(edge.refuses(&Request::get("/yolo").forwarded_for("203.0.113.1")));
    assert_eq!(edge.worker_pid(), old);
}

#[test]
fn a_soft_stop_ends_without_a_crash() {
    for per_thread in [true, false] {
        let backend = Backend::start();
        let mut edge = Edge::before(&backend, Mode { per_thread, ..Mode::DEFAULT }).start();
        edge.get("/yolo");
        assert!(edge.stop().unwrap().success(), "{}", edge.haproxy().log());
    }
}
