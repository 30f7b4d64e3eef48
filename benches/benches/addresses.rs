//! Lookups of addresses, one after the other without waiting: ours beside the others, on the same data.

use std::net::IpAddr;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use edge_benches::lists::{self, Probe};
use edge_benches::short_runs;
use edge_benches::tables::{PrefixTries, SortedRanges, Table};
use edge_filter::AddressTable;
use ip_network_table::IpNetworkTable;

fn lookups<T: Table>(group: &mut BenchmarkGroup<'_, WallTime>, table: &T, probe: Probe, probes: &[IpAddr]) {
    let mut addresses = probes.iter().cycle();
    group.bench_function(BenchmarkId::new(probe.name(), T::NAME), |bencher| {
        bencher.iter(|| addresses.next().map(|&addr| table.find(addr)));
    });
}

fn addresses(criterion: &mut Criterion) {
    for list in [
        lists::v4_hosts(1_000),
        lists::v4_hosts(120_000),
        lists::v4_networks(1_000_000),
        lists::v6_hosts(1_000),
        lists::v6_hosts(120_000),
        lists::v6_hosts(1_000_000),
    ] {
        let ours = AddressTable::build(&list.nets);
        let baseline = IpNetworkTable::build(&list.nets);
        let tries = PrefixTries::build(&list.nets);
        let ranges = SortedRanges::build(&list.nets);
        let mut group = criterion.benchmark_group(&list.name);
        for probe in Probe::of(&list) {
            let probes = probe.addresses(&list);
            lookups(&mut group, &ours, probe, &probes);
            lookups(&mut group, &baseline, probe, &probes);
            lookups(&mut group, &tries, probe, &probes);
            lookups(&mut group, &ranges, probe, &probes);
        }
        group.finish();
    }
}

criterion_group! { name = benches; config = short_runs(); targets = addresses }
criterion_main!(benches);
