//! A whole request as the module judges it, and a lesson as it takes it. What HAProxy, Lua and the clock cost is not
//! counted.

use std::hint::black_box;
use std::net::IpAddr;

use edge_filter::{Authorities, Filter, Lesson, Request, Scratch, Settings, Verdict, learn, split_base};

use super::{NOW_S, addresses, filter, random, resources};
use crate::counter::Counter;

const ADDRESSES: usize = 100_000;
const RESOURCES: usize = 10_000;

/// Lessons that are counted, and as many before.
const LESSONS: usize = 1 << 10;

const PASSES: &str = "request that passes";
const REFUSED: &str = "request refused for its resource";
const ASKED: &str = "request that edge_check is asked about";
const TAUGHT: &str = "lesson";
const AGAIN: &str = "lesson taught again";

pub(super) fn count(counter: &Counter) {
    if !counter.wants(&[PASSES, REFUSED, ASKED, TAUGHT, AGAIN]) {
        return;
    }
    let mut random = random();
    let listed: Vec<IpAddr> = (0..ADDRESSES).map(|_| addresses::any_v4(&mut random)).collect();
    let filter = filter();
    addresses::block(filter, &listed);
    resources::block(filter, RESOURCES);
    let hits = resources::listed(&mut random, RESOURCES, false);
    let misses = resources::unlisted(&hits);
    let mut from_anyone = |bases: &[String]| -> Vec<(IpAddr, String)> {
        bases.iter().map(|base| (addresses::any_v4(&mut random), base.clone())).collect()
    };
    let mut reader = filter.reader();
    // The two converters one after the other.
    let mut judge = |(client, base): &(IpAddr, String)| {
        if black_box(reader.address(*client, NOW_S)) == Verdict::Pass {
            black_box(reader.resource(base.as_bytes(), NOW_S));
        }
    };
    counter.count(PASSES, &from_anyone(&misses), &mut judge);
    counter.count(REFUSED, &from_anyone(&hits), &mut judge);
    counter.count(ASKED, &from_anyone(&misses), |(client, base)| {
        let (host, path) = split_base(base.as_bytes());
        let request =
            Request { host, path, query: b"", method: b"GET", anonymous: true, client: Some(*client) };
        black_box(reader.check_resource(&request, NOW_S));
    });
    lessons(counter, filter);
}

/// Learned, and in force.
fn lessons(counter: &Counter, filter: &Filter) {
    let (authorities, settings) = (Authorities::default(), Settings::default());
    let mut scratch = Scratch::new();
    let mut now_us = u64::from(NOW_S) * 1_000_000;
    let mut teach = |base: &String| {
        let (host, path) = split_base(base.as_bytes());
        let client = Some([192, 0, 2, 1].into());
        let lesson = Lesson {
            header: b"false;ttl=60",
            header_count: 1,
            status: 404,
            backend: b"shop",
            server: b"shop-1",
            unique_id: b"7F000001:1F90_7F000001:1F91_66A0B0C0_0001:0001",
            is_partial: false,
            request: Request { host, path, query: b"", method: b"GET", anonymous: true, client },
        };
        now_us += 1000;
        let taught = learn(&lesson, &authorities, &settings, now_us, now_us, &mut scratch).expect("allowed");
        filter.submit(taught.operation, (now_us / 1_000_000) as u32).expect("nobody else submits");
    };
    let bases = |first: usize| -> Vec<String> {
        (first..first + 2 * LESSONS).map(|n| format!("learning.example/{n}/secret")).collect()
    };
    counter.count(TAUGHT, &bases(1_000_000), &mut teach);
    counter.count(AGAIN, &bases(1_000_000), &mut teach);
}
