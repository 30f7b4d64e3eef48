//! A million rules replaced through the state directory, while HAProxy serves and learns at its caps. Prints how long it
//! takes and what it does to requests and memory; what must hold is that nobody sees half of it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_e2e::{
    Answer, Backend, Edge, KeepAlive, Mode, Process, Request, RulesProcess, StateHome, eventually, tell,
};

const RULES: u32 = 1_000_000;
const OLD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);
const NEW: Ipv4Addr = Ipv4Addr::new(20, 0, 0, 0);

const LIST: &str = "bulk";

/// Small, so that lessons displace one another from the beginning.
const MAX_LEARNED: u32 = 500;

/// Requests of each client before the change, and after it: load alone.
const QUIET: u64 = 500;

/// The new list is in force by then, on whatever machine.
const IN_FORCE: Duration = Duration::from_secs(300);

/// What requests took, microseconds.
struct Latency(Vec<u64>);

#[test]
fn a_million_rules_are_replaced_at_once_under_load() {
    let backend = Backend::start();
    backend.answer_others(|request| {
        let lesson = request.target.starts_with("/taught/");
        if lesson { Answer::teaching("false; ttl=3600") } else { Answer::status(200) }
    });
    let home = StateHome::new(Mode::DEFAULT);
    let writer = RulesProcess::spawn(Path::new(env!("CARGO_BIN_EXE_edge-rules-writer")), &home);
    let mut writer = writer.expect("a new state directory can be written");
    let old = writer.bulk(LIST, OLD, RULES).expect("the old list");
    let started = Instant::now();
    let edge = Edge::before(&backend, Mode::DEFAULT)
        .state(&home)
        .list("blocked_ips.map", "")
        .list("allowed.lst", "")
        .list("resources.lst", "")
        .setting("EDGE_MAX_LEARNED", &MAX_LEARNED.to_string())
        .start();
    tell(format_args!(
        "{RULES} rules: HAProxy is up with them after {:.2} s",
        started.elapsed().as_secs_f64()
    ));
    assert_eq!(edge.metrics().sum("edge_filter_revision", &[]), old as f64);

    let stop = AtomicBool::new(false);
    let lessons = AtomicU32::new(0);
    let peak_kib = AtomicU64::new(0);
    let process = Process(edge.worker_pid());
    let run = |quiet: u64, change: &mut dyn FnMut()| {
        stop.store(false, Ordering::Relaxed);
        let measured = [AtomicU64::new(0), AtomicU64::new(0)];
        let (client_of, is_over) = (&edge, &stop);
        thread::scope(|scope| {
            let client = |count| scope.spawn(move || measure(client_of, count, is_over));
            let clients: Vec<_> = measured.iter().map(client).collect();
            scope.spawn(|| teach(&edge, &lessons, &stop));
            scope.spawn(|| watch(process, &peak_kib, &stop));
            let pairs = scope.spawn(|| probe(&edge, &stop));
            let is_enough = || measured.iter().all(|count| count.load(Ordering::Relaxed) >= quiet);
            eventually("requests", || is_enough().then_some(()));
            change();
            stop.store(true, Ordering::Relaxed);
            let latencies = clients.into_iter().flat_map(|client| client.join().expect("no request fails"));
            (Latency::of(latencies.collect()), pairs.join().expect("no half of a change is seen"))
        })
    };

    let (before, _) = run(QUIET, &mut || ());
    let before_kib = process.resident_kib();
    let turns = upkeep(&edge);
    let mut took = (Duration::ZERO, Duration::ZERO);
    let (during, pairs) = run(1, &mut || {
        let started = Instant::now();
        let revision = writer.bulk(LIST, NEW, RULES).expect("the new list");
        took.0 = started.elapsed();
        while edge.metrics().sum("edge_filter_revision", &[]) < revision as f64 {
            assert!(started.elapsed() < IN_FORCE, "in vain waited {IN_FORCE:?} for the new list");
            thread::sleep(Duration::from_millis(10));
        }
        took.1 = started.elapsed() - took.0;
    });
    let rules = edge.metrics().sum("edge_filter_rules", &[]) - edge.metrics().learned_rules();
    assert_eq!(rules, f64::from(RULES));
    assert!(is_blocked(&edge, NEW, RULES - 1) && !is_blocked(&edge, OLD, 0));
    let (after, _) = run(QUIET, &mut || ());
    tell(format_args!(
        "  written in {:.2} s, in force {:.2} s later",
        took.0.as_secs_f64(),
        took.1.as_secs_f64()
    ));
    tell(format_args!(
        "  {pairs} pairs asked for meanwhile, {} lessons in all",
        lessons.load(Ordering::Relaxed)
    ));
    tell(format_args!("  longest turn of the upkeep, wall and CPU: {turns} before, {} after", upkeep(&edge)));
    tell(format_args!(
        "  requests before: {before}\n  meanwhile:       {during}\n  after:           {after}"
    ));
    let (peak_kib, after_kib) = (peak_kib.load(Ordering::Relaxed), process.resident_kib());
    tell(format_args!(
        "  resident: {} MiB before, {} at most, {} after",
        before_kib >> 10,
        peak_kib >> 10,
        after_kib >> 10
    ));
}

fn is_blocked(edge: &Edge, first: Ipv4Addr, n: u32) -> bool {
    let addr = Ipv4Addr::from_bits(first.to_bits() + n);
    edge.refuses(&Request::get("/").forwarded_for(&addr.to_string()))
}

/// Asks for an address of the old list and one of the new one by turns: one of them is blocked, never both or none, and
/// once it is the new one, it stays so. How many pairs there were.
fn probe(edge: &Edge, stop: &AtomicBool) -> u32 {
    let mut pairs = 0;
    let mut is_new = is_blocked(edge, NEW, 0);
    while !stop.load(Ordering::Relaxed) {
        let n = fastrand::u32(..RULES);
        // Whatever is asked first may be asked before the change and the other after it, which says nothing in one of
        // two orders each.
        if pairs % 2 == 0 {
            let new = is_blocked(edge, NEW, n);
            let old = is_blocked(edge, OLD, n);
            assert!(!(new && old), "{n} is blocked in the new list, and then in the old one");
            assert!(new || !is_new, "{n} was blocked in the new list before");
            is_new = new;
        } else {
            let old = is_blocked(edge, OLD, n);
            let new = is_blocked(edge, NEW, n);
            assert!(old || new, "{n} is not blocked in the old list, and then not in the new one");
            is_new = !old;
        }
        pairs += 1;
    }
    pairs
}

fn measure(edge: &Edge, count: &AtomicU64, stop: &AtomicBool) -> Vec<u64> {
    let mut client = KeepAlive::new(edge.web_addr());
    let mut took_us = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        assert_eq!(client.get("/load").expect("an answer").status, 200);
        took_us.push(u64::try_from(started.elapsed().as_micros()).expect("a short time"));
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
    took_us
}

fn teach(edge: &Edge, lessons: &AtomicU32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let n = lessons.fetch_add(1, Ordering::Relaxed);
        assert!(edge.get(&format!("/taught/{n}")).is_from_backend());
    }
}

fn watch(process: Process, peak_kib: &AtomicU64, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        peak_kib.fetch_max(process.resident_kib(), Ordering::Relaxed);
        thread::sleep(Duration::from_millis(10));
    }
}

/// Wall and processor time of the longest turns since the start.
fn upkeep(edge: &Edge) -> String {
    let metrics = edge.metrics();
    let ms = |name: &str| 1000.0 * metrics.sum(name, &[]);
    format!("{:.2}/{:.2} ms", ms("edge_filter_upkeep_seconds_max"), ms("edge_filter_upkeep_cpu_seconds_max"))
}

impl Latency {
    fn of(mut took_us: Vec<u64>) -> Self {
        took_us.sort_unstable();
        Self(took_us)
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |percent: usize| self.0[(self.0.len() - 1) * percent / 100] as f64 / 1000.0;
        write!(f, "{} in ms: half {:.2}, 99 % {:.2}, all {:.2}", self.0.len(), ms(50), ms(99), ms(100))
    }
}
