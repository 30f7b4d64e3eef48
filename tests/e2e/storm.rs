//! Fifty reloads under constant load, beside those of a plain HAProxy under the same load.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_e2e::{Answer, Backend, Edge, KeepAlive, Mode, Process, Request, StateHome, eventually, tell};

const RELOADS: usize = 50;
/// After so many reloads, and each time as many more, what they have left behind is looked at.
const LOOK_EVERY: usize = 5;

/// Between two requests of a client: the load is constant, and leaves some of the machine to the reloads.
const PAUSE: Duration = Duration::from_millis(2);

/// HAProxy itself now and then loses a connection to a listener that changes hands, so of two like it either may be the one
/// that lost more. Fifty reloads that each cost a request are far beyond this.
const NOISE: u64 = 5;

/// A worker that has just started may not have touched all its memory yet. Each is a process of its own, so what only one
/// leaks is not added up; what it needs for lessons, at most a KiB each, comes on top.
const GROWTH_KIB: u64 = 512;

/// How the requests of one HAProxy went.
#[derive(Debug, Default)]
struct Outcome {
    answered: AtomicU64,
    failed: AtomicU64,
    /// On a kept connection that was closed just then; not failed.
    retried: AtomicU64,
}

/// What a reload has left behind.
#[derive(Clone, Copy, Debug)]
struct Held {
    worker_sockets: u64,
    worker_files: u64,
    master_sockets: u64,
    master_files: u64,
    worker_kib: u64,
    master_kib: u64,
    state_files: u64,
}

#[test]
fn reloads_cost_no_request_no_rule_and_no_memory() {
    let backend = Backend::start();
    let home = StateHome::new(Mode::WORKER);
    // As operators do who reload under load: the new worker gets the sockets of the old one.
    let handover = |edge: edge_e2e::EdgeBuilder| edge.edit("mode 600", "mode 600 expose-fd listeners");
    let filtered = handover(Edge::before(&backend, Mode::WORKER).state(&home)).start();
    let plain = handover(Edge::before(&backend, Mode::WORKER).without_filter()).start();
    let outcomes = [Outcome::default(), Outcome::default()];
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let (held, lessons) = thread::scope(|scope| {
        for (edge, outcome) in [&filtered, &plain].into_iter().zip(&outcomes) {
            for _ in 0..2 {
                scope.spawn(|| keep_asking(edge, outcome, &stop));
                scope.spawn(|| ask_anew(edge, outcome, &stop));
            }
        }
        let teacher = scope.spawn(|| teach(&filtered, &backend, &stop));
        let mut held = Vec::new();
        for reload in 1..=RELOADS {
            plain.reload();
            filtered.reload();
            if reload % LOOK_EVERY == 0 {
                held.push(Held::by(&filtered, &home));
            }
        }
        stop.store(true, Ordering::Relaxed);
        (held, teacher.join().expect("the teacher does not panic"))
    });
    tell(format_args!(
        "reload storm: {RELOADS} reloads in {:.1} s, {} lessons",
        started.elapsed().as_secs_f64(),
        lessons.len()
    ));
    for (name, outcome) in ["with the filter", "plain"].into_iter().zip(&outcomes) {
        tell(format_args!("  {name}: {outcome:?}"));
    }
    let [with, without] = outcomes.map(|outcome| outcome.failed.into_inner());
    // The first look is that at the warm-up.
    let held = &held[1..];
    tell(format_args!("  after {} reloads: {:?}", 2 * LOOK_EVERY, held[0]));
    tell(format_args!("  after {RELOADS} reloads: {:?}", held[held.len() - 1]));
    assert!(
        with <= without + NOISE,
        "{with} requests failed, {without} of plain HAProxy; a difference of {NOISE} is noise"
    );
    assert_no_growth(held, lessons.len() as u64);
    let missing = || {
        let listed = filtered.cli("show edge rules resource");
        let listed: BTreeSet<&str> = listed.lines().filter_map(|line| line.split(": ").next()).collect();
        lessons.iter().filter(|rule| !listed.contains(rule.as_str())).cloned().collect::<Vec<_>>()
    };
    // The last worker was told by the ones before it, or follows them; the next one just reads.
    eventually("every lesson in the last worker", || missing().is_empty().then_some(()));
    filtered.reload();
    assert_eq!(missing(), [""; 0], "lost at the last reload");
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn keep_asking(edge: &Edge, outcome: &Outcome, stop: &AtomicBool) {
    let mut client = KeepAlive::new(edge.web_addr());
    while !stop.load(Ordering::Relaxed) {
        count(if client.get("/kept").is_ok() { &outcome.answered } else { &outcome.failed });
        thread::sleep(PAUSE);
    }
    outcome.retried.fetch_add(client.retried(), Ordering::Relaxed);
}

fn ask_anew(edge: &Edge, outcome: &Outcome, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        count(if edge.try_send(&Request::get("/new")).is_ok() { &outcome.answered } else { &outcome.failed });
        thread::sleep(PAUSE);
    }
}

/// What HAProxy has acknowledged, as `show edge rules` names it.
fn teach(edge: &Edge, backend: &Backend, stop: &AtomicBool) -> Vec<String> {
    let mut taught = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let path = format!("/taught/{}", taught.len());
        backend.answer(&path, Answer::teaching("false; ttl=3600"));
        if edge.try_send(&Request::get(&path)).is_ok_and(|answer| answer.is_from_backend()) {
            taught.push(format!("www.example{path}"));
        }
        thread::sleep(PAUSE * 50);
    }
    taught
}

impl Held {
    fn by(edge: &Edge, home: &StateHome) -> Self {
        let (worker, master) = (Process(edge.worker_pid()), Process(edge.haproxy().first_pid()));
        // What dead workers left is merged a moment after the start.
        eventually("one learned journal", || (home.learned().len() <= 1).then_some(()));
        let ((worker_sockets, worker_files), (master_sockets, master_files)) =
            (worker.descriptors(), master.descriptors());
        let (worker_kib, master_kib) = (worker.private_kib(), master.private_kib());
        let state_files = home.files().len() as u64;
        Self {
            worker_sockets,
            worker_files,
            master_sockets,
            master_files,
            worker_kib,
            master_kib,
            state_files,
        }
    }
}

/// Holds the least of the last third of these against that of the first: memory moves up and down, and a journal is open
/// twice while it is copied. What each reload left behind would be there in all of the last third.
fn assert_no_growth(held: &[Held], lessons: u64) {
    let third = held.len() / 3;
    let (first, last) = (&held[..third], &held[held.len() - third..]);
    let least = |part: &[Held], of: fn(&Held) -> u64| part.iter().map(of).min().expect("some reloads");
    let assert_flat = |what: &str, of: fn(&Held) -> u64, slack: u64| {
        let (before, after) = (least(first, of), least(last, of));
        assert!(after <= before + slack, "{what} grew from {before} to {after}: {held:#?}");
    };
    assert_flat("files of the worker", |held| held.worker_files, 0);
    // Two kept connections and two new ones at most, on both sides of HAProxy, idle ones to the backend besides.
    assert_flat("sockets of the worker", |held| held.worker_sockets, 16);
    assert_flat("sockets of the master", |held| held.master_sockets, 0);
    assert_flat("files of the master", |held| held.master_files, 0);
    assert_flat("files of the state", |held| held.state_files, 0);
    assert_flat("KiB of the worker", |held| held.worker_kib, GROWTH_KIB + lessons);
    assert_flat("KiB of the master", |held| held.master_kib, GROWTH_KIB);
}
