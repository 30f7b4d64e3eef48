//! What one update costs, and what updates cost those who read.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edge_filter::{ClientNet, Filter, List as AddressList, Operation, Target};

use crate::allocated::heap_bytes;
use crate::cpu::on_cpu;
use crate::lists::{List, Probe};
use crate::rules::{LIST, NOW_S, block, block_all, filter_of};

const ROUNDS: usize = 9;

/// How long readers read in a round, wall clock.
const ROUND: Duration = Duration::from_millis(250);

/// Lookups between two looks at the clock.
const LOOKUPS: usize = 4096;

/// What the targets are held against.
pub struct Outcome {
    /// Median of one update, microseconds.
    pub median_us: f64,
    /// What 99 of 100 updates take at most, microseconds.
    pub p99_us: f64,
    /// Bytes a rule of the whole filter: table, cells, and what only changing rules needs.
    pub bytes_a_rule: f64,
    /// Throughput of a reader whose filter is updated every millisecond, in parts of that without updates.
    pub reader_throughput: f64,
}

/// What a second thread does meanwhile.
#[derive(Clone, Copy)]
enum Meanwhile<'f> {
    Nothing,
    /// Update this filter as fast as it can.
    Update(&'f Filter),
    /// Update it a thousand times a second.
    UpdateAtTimes(&'f Filter),
}

/// Lookups a second of processor time; and updates a second, if any.
fn read(filter: &Filter, probes: &[IpAddr], fresh: &[IpAddr], meanwhile: Meanwhile<'_>) -> (f64, f64) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| match meanwhile {
            Meanwhile::Nothing => 0,
            Meanwhile::Update(filter) => update_until(&done, filter, fresh, Duration::ZERO),
            Meanwhile::UpdateAtTimes(filter) => update_until(&done, filter, fresh, Duration::from_millis(1)),
        });
        let mut reader = filter.reader();
        let mut addresses = probes.iter().cycle();
        let (start, start_cpu) = (Instant::now(), on_cpu());
        let mut lookups = 0;
        while start.elapsed() < ROUND {
            for &addr in addresses.by_ref().take(LOOKUPS) {
                std::hint::black_box(reader.address(addr, NOW_S));
            }
            lookups += LOOKUPS;
        }
        let wall = start.elapsed();
        let spent = on_cpu() - start_cpu;
        done.store(true, Ordering::Relaxed);
        let updates = writer.join().expect("the writer does not panic");
        (lookups as f64 / spent.as_secs_f64(), f64::from(updates) / wall.as_secs_f64())
    })
}

/// Put rules and take them out until `done`; how many changes were made.
fn update_until(done: &AtomicBool, filter: &Filter, fresh: &[IpAddr], pause: Duration) -> u32 {
    let list = LIST.into();
    let targets = fresh.iter().map(|&addr| Target::Client(AddressList::Block, ClientNet::host(addr)));
    let mut updates = 0;
    for target in targets.cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let put = Operation::Put(block(target.clone(), &list));
        for operation in [put, Operation::Remove(target)] {
            filter.submit(operation, NOW_S).expect("nobody else submits");
            updates += 1;
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
    }
    updates
}

/// Microseconds of one update through the filter while a reader holds the snapshot before it.
fn update_us(filter: &Filter, fresh: &[IpAddr]) -> (f64, f64) {
    let list = LIST.into();
    let mut times: Vec<f64> = fresh
        .iter()
        .take(20_000)
        .map(|&addr| {
            let target = Target::Client(AddressList::Block, ClientNet::host(addr));
            let held = filter.snapshot();
            let put = Operation::Put(block(target.clone(), &list));
            let start = Instant::now();
            filter.submit(put, NOW_S).expect("nobody else submits");
            let us = start.elapsed().as_secs_f64() * 1e6;
            drop(held);
            filter.submit(Operation::Remove(target), NOW_S).expect("nobody else submits");
            us
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measure updates of a filter that blocks this list, and print the figures.
pub fn report(list: &List) -> Outcome {
    let before = heap_bytes();
    let filter = filter_of(block_all(&list.nets));
    let bytes_a_rule = (heap_bytes() - before) as f64 / list.nets.len() as f64;
    let other = filter_of(block_all(&list.nets));
    let (hits, fresh) = (Probe::Skewed.addresses(list), Probe::Miss.addresses(list));
    let (median_us, p99_us) = update_us(&filter, &fresh);
    println!("\nupdates of a filter with {}", list.name);
    println!("  bytes a rule, the whole filter: {bytes_a_rule:.0}");
    println!("  one update while a reader holds the snapshot: {median_us:.1} us, 99 % within {p99_us:.1} us");
    let cases = [
        ("nobody else", Meanwhile::Nothing),
        ("another filter is updated at full speed", Meanwhile::Update(&other)),
        ("this filter is updated at full speed", Meanwhile::Update(&filter)),
        ("this filter is updated every millisecond", Meanwhile::UpdateAtTimes(&filter)),
    ];
    let mut rounds: [Vec<(f64, f64)>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (rounds, (_, meanwhile)) in rounds.iter_mut().zip(cases) {
            rounds.push(read(&filter, &hits, &fresh, meanwhile));
        }
    }
    println!("  a reader meanwhile (skewed): ns a lookup in processor time, updates a second");
    let throughput = rounds.map(|rounds| {
        let (lookups, updates): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
        (median(lookups), median(updates))
    });
    for ((name, _), (lookups, updates)) in cases.iter().zip(throughput) {
        println!("    {name:<42}{:>8.1}{updates:>10.0}", 1e9 / lookups);
    }
    let [alone, _, _, beside_updates] = throughput;
    Outcome { median_us, p99_us, bytes_a_rule, reader_throughput: beside_updates.0 / alone.0 }
}
