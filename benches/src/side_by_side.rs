//! Address tables side by side on one list: time of a lookup when the next does not wait for it (independent)
//! and when it does (dependent), bytes a prefix, time to build.
//!
//! Rounds are interleaved and the median is taken, so a noisy machine disturbs all tables alike.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use edge_filter::AddressTable;
use ip_network_table::IpNetworkTable;

use crate::allocated::heap_bytes;
use crate::lists::{List, Probe};
use crate::tables::{PrefixTries, SortedRanges, Table};

const ROUNDS: usize = 15;

/// Nanoseconds a lookup.
#[derive(Clone, Copy, Debug)]
pub struct LookupNs {
    /// The next lookup does not wait for this one.
    pub independent: f64,
    /// It does.
    pub dependent: f64,
}

impl LookupNs {
    fn measure<T: Table>(table: &T, probes: &[IpAddr]) -> Self {
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
                IpAddr::V6(v6) => {
                    IpAddr::from((v6.to_bits() | u128::from(last & black_box(0))).to_be_bytes())
                }
            };
            last = table.find(mixed);
        }
        black_box(last);
        let dependent = start.elapsed();
        let each = |time: Duration| time.as_nanos() as f64 / probes.len() as f64;
        Self { independent: each(independent), dependent: each(dependent) }
    }

    fn median(rounds: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| {
            let mut ns: Vec<f64> = rounds.iter().map(of).collect();
            ns.sort_by(f64::total_cmp);
            ns[ns.len() / 2]
        };
        Self { independent: median(|ns| ns.independent), dependent: median(|ns| ns.dependent) }
    }

    /// How many times as fast as `other` this is.
    pub fn times_as_fast_as(&self, other: &Self) -> Self {
        Self {
            independent: other.independent / self.independent,
            dependent: other.dependent / self.dependent,
        }
    }
}

struct Measured<T> {
    table: T,
    bytes_a_prefix: f64,
    build_ms: f64,
    rounds: Vec<LookupNs>,
}

impl<T: Table> Measured<T> {
    fn build(list: &List) -> Self {
        let before = heap_bytes();
        let start = Instant::now();
        let table = T::build(&list.nets);
        let build_ms = start.elapsed().as_secs_f64() * 1e3;
        let bytes_a_prefix = (heap_bytes() - before) as f64 / list.nets.len() as f64;
        let measured = Self { table, bytes_a_prefix, build_ms, rounds: Vec::new() };
        println!("  {:<18}{:>16.0}{:>10.1}", T::NAME, measured.bytes_a_prefix, measured.build_ms);
        measured
    }

    fn round(&mut self, probes: &[IpAddr]) {
        self.rounds.push(LookupNs::measure(&self.table, probes));
    }

    fn finish(&mut self) -> LookupNs {
        LookupNs::median(&std::mem::take(&mut self.rounds))
    }
}

/// What the targets are held against.
pub struct Outcome {
    /// The name of the list.
    pub list: String,
    /// Bytes a prefix of ours.
    pub bytes_a_prefix: f64,
    /// Of each probe: how many times as fast as `ip_network_table`.
    pub times_as_fast: Vec<(Probe, LookupNs)>,
}

/// Measure all tables on this list and print the figures.
pub fn report(list: &List) -> Outcome {
    println!("\n{} ({} networks)", list.name, list.nets.len());
    println!("  {:<18}{:>16}{:>10}", "", "bytes a prefix", "build ms");
    let mut baseline = Measured::<IpNetworkTable<u32>>::build(list);
    let mut ours = Measured::<AddressTable>::build(list);
    let mut tries = Measured::<PrefixTries>::build(list);
    let mut ranges = Measured::<SortedRanges>::build(list);
    let mut times_as_fast = Vec::new();
    for probe in Probe::of(list) {
        let probes = probe.addresses(list);
        for _ in 0..ROUNDS {
            ours.round(&probes);
            baseline.round(&probes);
            tries.round(&probes);
            ranges.round(&probes);
        }
        println!("  {:<18}{:>16}{:>10}     times as fast", probe.name(), "independent ns", "dependent");
        let base = baseline.finish();
        print(IpNetworkTable::<u32>::NAME, base, base);
        let mine = ours.finish();
        print(AddressTable::NAME, mine, base);
        print(PrefixTries::NAME, tries.finish(), base);
        print(SortedRanges::NAME, ranges.finish(), base);
        times_as_fast.push((probe, mine.times_as_fast_as(&base)));
    }
    Outcome { list: list.name.clone(), bytes_a_prefix: ours.bytes_a_prefix, times_as_fast }
}

fn print(name: &str, ns: LookupNs, base: LookupNs) {
    let times = ns.times_as_fast_as(&base);
    println!(
        "  {name:<18}{:>16.1}{:>10.1}   {:>6.2} {:>6.2}",
        ns.independent, ns.dependent, times.independent, times.dependent
    );
}
