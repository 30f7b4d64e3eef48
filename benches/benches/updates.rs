//! Changes: of one rule while readers hold older snapshots, of a whole list, and building a table.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use edge_benches::lists::{self, Probe};
use edge_benches::rules::{LIST, NOW_S, block, block_all, filter_of, put_all};
use edge_benches::short_runs;
use edge_benches::tables::{PrefixTries, SortedRanges, Table};
use edge_filter::{AddressTable, ClientNet, List, Operation, Target};
use ip_network_table::IpNetworkTable;

/// Snapshots held by readers that have not moved on.
const HELD: usize = 8;

fn one_rule(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one rule, 8 snapshots held");
    for list in [lists::v4_hosts(120_000), lists::v4_hosts(1_000_000), lists::v6_hosts(1_000_000)] {
        let filter = filter_of(block_all(&list.nets));
        let name = LIST.into();
        let fresh = Probe::Miss.addresses(&list);
        let mut targets =
            fresh.iter().map(|&addr| Target::Client(List::Block, ClientNet::host(addr))).cycle();
        let mut held = VecDeque::from(vec![filter.snapshot(); HELD]);
        group.bench_function(BenchmarkId::new("put", &list.name), |bencher| {
            bencher.iter_custom(|puts| {
                let mut taken = Duration::ZERO;
                for target in targets.by_ref().take(puts as usize) {
                    let put = Operation::Put(block(target.clone(), &name));
                    held.pop_front();
                    held.push_back(filter.snapshot());
                    let start = Instant::now();
                    filter.submit(put, NOW_S).expect("nobody else submits");
                    taken += start.elapsed();
                    // The table keeps its size, however many are put.
                    filter.submit(Operation::Remove(target), NOW_S).expect("nobody else submits");
                }
                taken
            });
        });
    }
    group.finish();
}

fn whole_list(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole list");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for list in [lists::v4_hosts(120_000), lists::v4_hosts(1_000_000)] {
        let rules = block_all(&list.nets);
        group.bench_function(BenchmarkId::new("put, empty before", &list.name), |bencher| {
            bencher.iter_batched(|| rules.clone(), filter_of, BatchSize::PerIteration);
        });
        let filter = filter_of(rules.clone());
        group.bench_function(BenchmarkId::new("put, the same before", &list.name), |bencher| {
            bencher.iter_batched(|| rules.clone(), |rules| put_all(&filter, rules), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build a table");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for list in [lists::v4_hosts(120_000), lists::v6_hosts(120_000)] {
        let mut build = |table: &str, build: &dyn Fn()| {
            group.bench_function(BenchmarkId::new(table, &list.name), |bencher| bencher.iter(build));
        };
        build(AddressTable::NAME, &|| drop(AddressTable::build(&list.nets)));
        build(IpNetworkTable::NAME, &|| drop(IpNetworkTable::build(&list.nets)));
        build(PrefixTries::NAME, &|| drop(PrefixTries::build(&list.nets)));
        build(SortedRanges::NAME, &|| drop(SortedRanges::build(&list.nets)));
    }
    group.finish();
}

criterion_group! { name = benches; config = short_runs(); targets = one_rule, whole_list, build }
criterion_main!(benches);
