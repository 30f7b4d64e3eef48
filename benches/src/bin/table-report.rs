//! Address tables side by side: time of a lookup when the next does not wait for it (independent) and when it
//! does (dependent), bytes a prefix, time to build, time of one update while a reader holds the old snapshot.
//!
//! Rounds are interleaved and the median is printed, so a noisy machine disturbs all tables alike.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use edge_benches::allocated::{Counting, heap_bytes};
use edge_benches::lists::{self, List, Probe};
use edge_benches::tables::{PrefixTries, SortedRanges, Table, entry};
use edge_filter::AddressTable;
use ip_network_table::IpNetworkTable;

#[global_allocator]
static HEAP: Counting = Counting;

const ROUNDS: usize = 15;

/// Nanoseconds a lookup: independent, dependent.
fn lookup_ns<T: Table>(table: &T, probes: &[IpAddr]) -> (f64, f64) {
    // Another table had the caches last.
    black_box(probes.iter().map(|&addr| u64::from(table.find(addr))).sum::<u64>());
    let start = Instant::now();
    black_box(probes.iter().map(|&addr| u64::from(table.find(addr))).sum::<u64>());
    let independent = start.elapsed();
    let start = Instant::now();
    let mut last = 0;
    for &addr in probes {
        // The answer (0 or u32::MAX) takes part in the next question without changing it: x | (answer & 0),
        // with a zero that the compiler cannot see.
        let mixed = match addr {
            IpAddr::V4(v4) => IpAddr::from((v4.to_bits() | (last & black_box(0))).to_be_bytes()),
            IpAddr::V6(v6) => IpAddr::from((v6.to_bits() | u128::from(last & black_box(0))).to_be_bytes()),
        };
        last = table.find(mixed);
    }
    black_box(last);
    let dependent = start.elapsed();
    let each = |time: std::time::Duration| time.as_nanos() as f64 / probes.len() as f64;
    (each(independent), each(dependent))
}

struct Measured<T> {
    table: T,
    bytes: f64,
    build_ms: f64,
    ns: Vec<(f64, f64)>,
}

impl<T: Table> Measured<T> {
    fn build(list: &List) -> Self {
        let before = heap_bytes();
        let start = Instant::now();
        let table = T::build(&list.nets);
        let build_ms = start.elapsed().as_secs_f64() * 1e3;
        Self {
            table,
            bytes: (heap_bytes() - before) as f64 / list.nets.len() as f64,
            build_ms,
            ns: Vec::new(),
        }
    }

    fn round(&mut self, probes: &[IpAddr]) {
        self.ns.push(lookup_ns(&self.table, probes));
    }

    fn medians(&mut self) -> (f64, f64) {
        let mut independent: Vec<f64> = self.ns.iter().map(|ns| ns.0).collect();
        let mut dependent: Vec<f64> = self.ns.iter().map(|ns| ns.1).collect();
        self.ns.clear();
        independent.sort_by(f64::total_cmp);
        dependent.sort_by(f64::total_cmp);
        (independent[ROUNDS / 2], dependent[ROUNDS / 2])
    }

    fn print(&mut self, base: (f64, f64)) -> (f64, f64) {
        let (independent, dependent) = self.medians();
        println!(
            "  {:<18} {independent:>7.1} {dependent:>7.1}   {:>5.2}x {:>5.2}x",
            T::NAME,
            base.0 / independent,
            base.1 / dependent
        );
        (independent, dependent)
    }
}

/// Microseconds of one insertion and one removal into a table of which a clone is held, median and 99th
/// percentile.
fn update_us(table: &AddressTable, list: &List) -> (f64, f64) {
    let mut current = table.clone();
    let fresh = Probe::Miss.addresses(list);
    let mut times: Vec<f64> = fresh
        .iter()
        .take(2000)
        .map(|&addr| {
            let published = current.clone();
            let start = Instant::now();
            let mut next = published.clone();
            next.insert(entry(edge_filter::ClientNet::host(addr)));
            current = next;
            drop(published);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn report(list: &List) {
    let mut ours = Measured::<AddressTable>::build(list);
    let mut baseline = Measured::<IpNetworkTable<u32>>::build(list);
    let mut tries = Measured::<PrefixTries>::build(list);
    let mut ranges = Measured::<SortedRanges>::build(list);
    println!("\n{} ({} networks)", list.name, list.nets.len());
    println!(
        "  bytes a prefix: {:.0} | {} {:.0} | {} {:.0} | {} {:.0}",
        ours.bytes,
        IpNetworkTable::<u32>::NAME,
        baseline.bytes,
        PrefixTries::NAME,
        tries.bytes,
        SortedRanges::NAME,
        ranges.bytes
    );
    println!(
        "  build ms: {:.1} | {:.1} | {:.1} | {:.1}",
        ours.build_ms, baseline.build_ms, tries.build_ms, ranges.build_ms
    );
    let (median, p99) = update_us(&ours.table, list);
    println!("  one update: {median:.1} us, 99 % within {p99:.1} us");
    for probe in Probe::ALL {
        let probes = probe.addresses(list);
        for _ in 0..ROUNDS {
            ours.round(&probes);
            baseline.round(&probes);
            tries.round(&probes);
            ranges.round(&probes);
        }
        println!("  {probe:?}: ns a lookup, independent and dependent; times as fast as the first");
        let base = baseline.medians();
        println!("  {:<18} {:>7.1} {:>7.1}", IpNetworkTable::<u32>::NAME, base.0, base.1);
        ours.print(base);
        tries.print(base);
        ranges.print(base);
    }
}

fn main() {
    for list in [
        lists::v4_hosts(1_000),
        lists::v4_hosts(120_000),
        lists::v4_networks(1_000_000),
        lists::v6_hosts(120_000),
        lists::v6_hosts(1_000_000),
        lists::v6_networks(1_000_000),
    ] {
        report(&list);
    }
}
