//! Making paths and hosts canonical.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use edge_benches::resources::scanner_paths;
use edge_benches::short_runs;
use edge_filter::{ParameterSegments, canonical_host, canonical_path};

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path");
    let long = format!("/{}", "segment/".repeat(127));
    let long_escaped = format!("/{}", "%73egment/".repeat(102));
    for (name, path) in [
        ("canonical, 24 bytes", "/shop/basket/items/12345"),
        ("canonical with an escape", "/shop/basket/caf%C3%A9/1"),
        ("doubled slash", "/shop//basket/items/1234"),
        ("escaped letter", "/shop/%62asket/items/123"),
        ("dot segments", "/shop/./x/../basket/item"),
        ("canonical, 1 KiB", &long),
        ("escapes, 1 KiB", &long_escaped),
    ] {
        let mut out = vec![0; 4096];
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                canonical_path(black_box(path.as_bytes()), ParameterSegments::Keep, &mut out).map(<[u8]>::len)
            });
        });
    }
    let scanned = scanner_paths();
    let mut requests = scanned.iter().cycle();
    let mut out = vec![0; 64 * 1024];
    group.bench_function("what scanners ask for", |bencher| {
        bencher.iter(|| {
            let path = requests.next().map_or("", String::as_str);
            canonical_path(path.as_bytes(), ParameterSegments::Keep, &mut out).map(<[u8]>::len)
        });
    });
    group.finish();
}

fn hosts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("host");
    for (name, host) in [("canonical", "shop.example"), ("capitals and a port", "Shop.Example:8443")] {
        let mut out = [0; 512];
        group.bench_function(name, |bencher| {
            bencher.iter(|| canonical_host(black_box(host.as_bytes()), &mut out).len());
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = short_runs(); targets = paths, hosts }
criterion_main!(benches);
