//! A flood of a million distinct learned paths at default caps: what the filter holds of them, in how many bytes,
//! and what lookups and learning cost all the while.

use std::hint::black_box;
use std::time::Instant;

use edge_benches::allocated::{Counting, heap_bytes};
use edge_benches::rules::NOW_S;
use edge_filter::{Authorities, Filter, Lesson, Reader, Request, Scratch, Settings, Verdict, learn};

#[global_allocator]
static HEAP: Counting = Counting;

const PATHS: usize = 1_000_000;
const STEP: usize = 100_000;

/// Paths a second: the flood is over before the first rule ends, so that only the caps bound it.
const PATHS_A_SECOND: usize = 5_000;

/// Paths between two upkeeps: ten upkeeps a second.
const PATHS_AN_UPKEEP: usize = PATHS_A_SECOND / 10;

/// Lookups in one measurement: of what was learned last, less than the cap of one host.
const LOOKUPS: usize = 4_096;

fn host(n: usize, hosts: usize) -> String {
    format!("shop-{}.example", n % hosts)
}

fn path(n: usize) -> String {
    format!("/.well-known/{n:07}/setup.php")
}

/// Median nanoseconds a lookup over rounds; every verdict must be as expected.
fn lookup_ns(reader: &mut Reader<'_>, bases: &[String], now_s: u32, is_blocked: bool) -> f64 {
    let mut rounds: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            let blocked = bases
                .iter()
                .filter(|base| black_box(reader.resource(base.as_bytes(), now_s)) != Verdict::Pass)
                .count();
            let ns = start.elapsed().as_nanos() as f64 / bases.len() as f64;
            assert_eq!(blocked, if is_blocked { bases.len() } else { 0 });
            ns
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn flood(hosts: usize) {
    let (settings, authorities) = (Settings::default(), Authorities::default());
    println!(
        "\n{PATHS} paths on {hosts} host{}, caps {} learned rules and {} a host, {PATHS_A_SECOND} paths a second",
        if hosts == 1 { "" } else { "s" },
        settings.max_learned,
        settings.max_learned_per_host
    );
    println!(
        "{:>9}{:>9}{:>10}{:>12}{:>10}{:>10}{:>12}{:>14}",
        "offered", "held", "evicted", "heap bytes", "hit ns", "miss ns", "learning ns", "99 % within"
    );
    let mut times = Vec::with_capacity(STEP);
    let before = heap_bytes();
    let filter = Filter::new(settings.clone());
    let mut reader = filter.reader();
    let mut scratch = Scratch::new();
    for offered in (STEP..=PATHS).step_by(STEP) {
        times.clear();
        for n in offered - STEP..offered {
            let now_s = NOW_S + (n / PATHS_A_SECOND) as u32;
            let (host, path) = (host(n, hosts), path(n));
            let request = Request {
                host: host.as_bytes(),
                path: path.as_bytes(),
                query: b"",
                method: b"GET",
                anonymous: true,
                client: None,
            };
            let lesson = Lesson {
                header: b"false",
                header_count: 1,
                status: 404,
                backend: b"shop",
                server: b"shop-1",
                unique_id: b"",
                is_partial: false,
                request,
            };
            let start = Instant::now();
            let now_us = u64::from(now_s) * 1_000_000;
            let taught = learn(&lesson, &authorities, &settings, now_us, now_us, &mut scratch);
            filter.submit(taught.expect("an honest lesson").operation, now_s).expect("nobody else submits");
            if n % PATHS_AN_UPKEEP == 0 {
                // As HAProxy's upkeep task does: a reader without lookups would keep what was replaced since.
                reader.refresh();
                filter.upkeep(now_s, 1_000);
            }
            times.push(start.elapsed().as_nanos() as f64);
        }
        let heap = heap_bytes() - before;
        times.sort_by(f64::total_cmp);
        let now_s = NOW_S + (offered / PATHS_A_SECOND) as u32;
        let bases = |range: std::ops::Range<usize>| -> Vec<String> {
            range.map(|n| format!("{}{}", host(n, hosts), path(n))).collect()
        };
        let hit = lookup_ns(&mut reader, &bases(offered - LOOKUPS..offered), now_s, true);
        let miss = lookup_ns(&mut reader, &bases(PATHS..PATHS + LOOKUPS), now_s, false);
        let held = filter.snapshot().counts().learned;
        let evicted = filter.counters().changes.evicted;
        println!(
            "{offered:>9}{held:>9}{evicted:>10}{heap:>12}{hit:>10.0}{miss:>10.0}{:>12.0}{:>14.0}",
            times[STEP / 2],
            times[STEP * 99 / 100]
        );
    }
}

fn main() {
    flood(1);
    flood(100);
}
