//! `X-Edge-Resource`: reading the value, and all of `learn`, which ends in an operation.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use edge_benches::rules::NOW_S;
use edge_benches::short_runs;
use edge_filter::{Authorities, Directive, Lesson, Request, Scratch, Settings, learn};

const HEADERS: [(&str, &str); 5] = [
    ("plain false", "false"),
    ("false with a TTL", "?0;ttl=600"),
    ("eight parameters", "?0;ttl=600;match=prefix;path=\"/shop\";method;anon;src;status=410;reason=\"gone\""),
    ("take back", "?1"),
    ("refused: unknown parameter", "?0;ttl=600;forever"),
];

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("X-Edge-Resource, parse");
    for (name, header) in HEADERS {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Directive::parse(black_box(header.as_bytes()), 1024));
        });
    }
    let long = format!("?0;reason=\"{}\"", "x".repeat(8 * 1024));
    group.bench_function("refused: 8 KiB", |bencher| {
        bencher.iter(|| Directive::parse(black_box(long.as_bytes()), 1024));
    });
    group.finish();
}

fn learn_all(criterion: &mut Criterion) {
    let authorities =
        Authorities::parse("shop hosts=shop.example max-ttl=3600 prefix client").expect("valid");
    let settings = Settings::default();
    let mut scratch = Scratch::new();
    let mut group = criterion.benchmark_group("X-Edge-Resource, learn");
    for (name, header) in HEADERS {
        let lesson = Lesson {
            header: header.as_bytes(),
            header_count: 1,
            status: 404,
            backend: b"shop",
            server: b"shop-1",
            unique_id: b"7F000001:1F90_7F000001:1F91_66A0B0C0_0001:0001",
            is_partial: false,
            request: Request {
                host: b"shop.example:8080",
                path: b"/shop/basket/items/12345",
                query: b"a=1",
                method: b"GET",
                anonymous: true,
                client: Some([192, 0, 2, 1].into()),
            },
        };
        let now_us = u64::from(NOW_S) * 1_000_000;
        group.bench_function(name, |bencher| {
            bencher.iter(|| learn(black_box(&lesson), &authorities, &settings, now_us, now_us, &mut scratch));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = short_runs(); targets = parse, learn_all }
criterion_main!(benches);
