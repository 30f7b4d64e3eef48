//! What workers learn outlives them, and each gets what the others learn.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use edge_e2e::{Answer, Backend, Edge, Mode, Request, StateHome, eventually, in_every_mode};
use nix::sys::signal::Signal;

use super::{eventually_refuses, lines, refuses, start, teach, until_it_writes};

in_every_mode!(
    a_learned_rule_survives_a_restart,
    a_learned_rule_survives_a_kill,
    what_was_taken_back_stays_taken_back,
    the_ttl_goes_on,
    an_expired_rule_stays_dead,
    workers_learn_from_each_other,
    a_journal_is_compacted,
    a_check_touches_nothing,
);

fn a_learned_rule_survives_a_restart(mode: Mode) {
    let (backend, _home, mut edge) = start(mode);
    teach(&backend, &edge, "/yeet");
    edge.stop().unwrap();
    edge.start_again();
    assert!(refuses(&edge, "/yeet"));
    assert_eq!(backend.asked("/yeet"), 1);
    let rule = edge.cli("get edge www.example/yeet");
    assert!(rule.contains("learned from site/site1 by GET www.example/yeet id="), "{rule}");
}

fn a_learned_rule_survives_a_kill(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    for round in 0..3 {
        teach(&backend, &edge, &format!("/yeet/{round}"));
        edge.crash_and_restart();
        for known in 0..=round {
            assert!(refuses(&edge, &format!("/yeet/{known}")), "round {round}");
        }
        until_it_writes(&edge);
    }
    assert_eq!(edge.metrics().learned_rules(), 3.0);
    eventually("the dead leave nothing behind", || (home.learned().len() == 1).then_some(()));
}

fn what_was_taken_back_stays_taken_back(mode: Mode) {
    let (backend, _home, mut edge) = start(mode);
    teach(&backend, &edge, "/stays");
    backend.answer("/yeet", Answer::teaching("false; method; ttl=3600"));
    edge.get("/yeet");
    assert!(refuses(&edge, "/yeet"));
    backend.answer("/yeet", Answer::status(200).header("X-Edge-Resource", "true; method=any"));
    edge.send(&Request::new("POST", "/yeet"));
    assert!(!refuses(&edge, "/yeet"));
    for _ in 0..2 {
        edge.crash_and_restart();
        assert_eq!(edge.metrics().learned_rules(), 1.0);
        assert!(refuses(&edge, "/stays"));
        until_it_writes(&edge);
    }
}

fn the_ttl_goes_on(mode: Mode) {
    let (backend, _home, mut edge) = start(mode);
    teach(&backend, &edge, "/yeet");
    let taught = Instant::now();
    backend.answer("/ends", Answer::teaching("false; ttl=2"));
    edge.get("/ends");
    backend.answer("/ends", Answer::status(200));
    eventually("two seconds", || (!refuses(&edge, "/ends")).then_some(()));
    edge.crash_and_restart();
    let asked = taught.elapsed().as_secs();
    let rules = edge.cli("show edge rules resource");
    let left_s =
        rules.split_once(" s left").and_then(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok());
    // The end is rounded up to a second.
    assert!(left_s.is_some_and(|left_s| left_s <= 3600 - asked + 1), "after {asked} s: {rules}");
}

fn an_expired_rule_stays_dead(mode: Mode) {
    let (backend, _home, mut edge) = start(mode);
    backend.answer("/yeet", Answer::teaching("false; ttl=1"));
    edge.get("/yeet");
    let taught = Instant::now();
    edge.crash();
    // Its end is rounded up to a second.
    eventually("the end of the TTL", || (taught.elapsed() > Duration::from_secs(2)).then_some(()));
    edge.start_again();
    assert_eq!(edge.metrics().learned_rules(), 0.0);
    backend.answer("/yeet", Answer::status(200));
    assert!(!refuses(&edge, "/yeet"));
}

fn workers_learn_from_each_other(mode: Mode) {
    let (backend, home, one) = start(mode);
    let other = Edge::before(&backend, mode).state(&home).start();
    until_it_writes(&other);
    teach(&backend, &one, "/one");
    teach(&backend, &other, "/other");
    eventually_refuses(&other, "/one");
    eventually_refuses(&one, "/other");
    assert_eq!((backend.asked("/one"), backend.asked("/other")), (1, 1));
    assert_eq!(home.learned().len(), 2, "one journal each");
    drop(one);
    // Its journal goes when the other one has taken it over.
    eventually("one journal", || (home.learned().len() == 1).then_some(()));
    let third = Edge::before(&backend, mode).state(&home).start();
    assert!(refuses(&third, "/one") && refuses(&third, "/other"));
}

fn a_journal_is_compacted(mode: Mode) {
    let backend = Backend::start();
    let home = StateHome::new(mode);
    let limit = 65_536;
    let mut edge = Edge::before(&backend, mode)
        .state(&home)
        .setting("EDGE_MAX_JOURNAL_BYTES", &limit.to_string())
        .start();
    until_it_writes(&edge);
    let journal = home.learned();
    // The same lesson of some hundred bytes, renewed near its end, or for other requests: 64 rules at most.
    backend.answer("/yeet", Answer::teaching("false; param=\"a\"; ttl=3600"));
    let bytes = |edge: &Edge| edge.metrics().sum("edge_filter_state_journal_bytes", &[]);
    for n in 0..600 {
        edge.get(&format!("/yeet?a={n}"));
    }
    eventually("another journal", || {
        let now = home.learned();
        (now.len() == 1 && now != journal).then_some(())
    });
    assert!(bytes(&edge) < f64::from(limit), "{}", bytes(&edge));
    let rules = edge.metrics().learned_rules();
    edge.crash_and_restart();
    assert_eq!(edge.metrics().learned_rules(), rules);
}

/// Path, length, time of change and content of all that is there.
fn everything(home: &StateHome) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let files = home.files().into_iter().map(|name| home.path().join(name));
    let directories = [home.path(), home.path().join("learned")];
    let of = |path: PathBuf| {
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        let content = fs::read(&path).unwrap_or_default();
        (path, (changed, content))
    };
    files.chain(directories).map(of).collect()
}

fn a_check_touches_nothing(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    teach(&backend, &edge, "/yeet");
    edge.crash();
    let before = everything(&home);
    assert_eq!(before.len(), 3, "{before:?}");
    let checked = Edge::before(&backend, mode).state(&home).check();
    assert!(checked.valid, "{}", checked.log);
    assert_eq!(everything(&home), before);
}

#[test]
fn lessons_cross_a_reload_both_ways() {
    let (backend, home, edge) = start(Mode::WORKER);
    teach(&backend, &edge, "/before");
    let old = edge.worker_pid();
    // A request that has begun keeps the old worker.
    let mut begun = TcpStream::connect(edge.web_addr()).unwrap();
    begun.write_all(b"GET /drained HTTP/1.1\r\nHost: www.example\r\n").unwrap();
    edge.haproxy().signal(Signal::SIGUSR2);
    eventually("a new worker", || edge.try_worker_pid().filter(|pid| *pid != old));
    assert!(refuses(&edge, "/before"));
    until_it_writes(&edge);
    backend.answer("/drained", Answer::teaching("false; ttl=3600"));
    begun.write_all(b"Connection: close\r\n\r\n").unwrap();
    begun.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(backend.asked("/drained"), 1, "the old worker asked");
    eventually_refuses(&edge, "/drained");
    assert_eq!(backend.asked("/drained"), 1);
    eventually("one journal", || (home.learned().len() == 1).then_some(()));
}

#[test]
fn reloads_leave_one_journal() {
    let (backend, home, edge) = start(Mode::WORKER);
    for n in 0..5 {
        teach(&backend, &edge, &format!("/yeet/{n}"));
        edge.reload();
        until_it_writes(&edge);
    }
    for n in 0..5 {
        assert!(refuses(&edge, &format!("/yeet/{n}")));
    }
    eventually("one journal", || (home.learned().len() == 1).then_some(()));
    assert_eq!(lines(&edge, "learned"), 0, "{}", edge.haproxy().log());
}
