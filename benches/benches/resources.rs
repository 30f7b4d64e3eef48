//! Lookups of resources as HAProxy asks: from `base` to the verdict, made canonical and counted. As a yardstick,
//! hash maps keyed by `host/path`: they find canonical names and nothing else.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use edge_benches::resources::{Resources, below_prefixes, not_canonical, sample, unlisted};
use edge_benches::rules::{NOW_S, filter_of};
use edge_benches::short_runs;
use edge_filter::{Filter, Verdict};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn ours(group: &mut Group<'_>, filter: &Filter, what: &str, bases: &[String], blocked: bool) {
    let mut reader = filter.reader();
    for base in bases {
        assert_eq!(reader.resource(base.as_bytes(), NOW_S) != Verdict::Pass, blocked, "{base}");
    }
    let mut requests = bases.iter().cycle();
    group.bench_function(BenchmarkId::new(what, "edge-filter"), |bencher| {
        bencher.iter(|| requests.next().map(|base| reader.resource(base.as_bytes(), NOW_S)));
    });
}

fn map<S: BuildHasher>(
    group: &mut Group<'_>,
    map: &HashMap<String, u32, S>,
    name: &str,
    what: &str,
    bases: &[String],
) {
    let mut requests = bases.iter().cycle();
    group.bench_function(BenchmarkId::new(what, name), |bencher| {
        bencher.iter(|| requests.next().and_then(|base| map.get(base.as_str())));
    });
}

fn map_of<S: BuildHasher + Default>(made: &Resources) -> HashMap<String, u32, S> {
    let bases = made.plain.iter().chain(&made.beside_prefixes);
    bases.zip(0..).map(|(base, n)| (base.clone(), n)).collect()
}

fn resources(criterion: &mut Criterion) {
    for count in [10_000, 1_000_000] {
        let made = Resources::new(count);
        let sip = map_of::<RandomState>(&made);
        let ahash = map_of::<ahash::RandomState>(&made);
        let filter = filter_of(made.rules.clone());
        let mut group = criterion.benchmark_group(format!("resources, {count} rules"));
        for (what, bases, blocked) in
            [("hit", sample(&made.plain), true), ("miss", unlisted(&made.plain), false)]
        {
            ours(&mut group, &filter, what, &bases, blocked);
            map(&mut group, &sip, "HashMap, SipHash", what, &bases);
            map(&mut group, &ahash, "HashMap, aHash", what, &bases);
        }
        ours(&mut group, &filter, "hit, not canonical", &not_canonical(&made.plain), true);
        ours(&mut group, &filter, "hit, host with 16 prefixes", &sample(&made.beside_prefixes), true);
        ours(&mut group, &filter, "miss, host with 16 prefixes", &unlisted(&made.beside_prefixes), false);
        ours(&mut group, &filter, "below a prefix", &below_prefixes(), true);
        group.finish();
    }
}

criterion_group! { name = benches; config = short_runs(); targets = resources }
criterion_main!(benches);
