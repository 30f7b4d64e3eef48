//! What was measured on, and with what.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use edge_benches::cpu::on_cpu;
use edge_benches::lists;
use rand::seq::SliceRandom;

use crate::problem::{Fallible, problem};

/// Debian keeps haproxy where the PATH of a user does not look.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).env("PATH", path()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The version of the HAProxy at hand: `2.6.12-1+deb12u4`.
///
/// # Errors
/// There is none, or it does not say.
pub(crate) fn haproxy_version() -> Fallible<String> {
    let program = std::env::var("EDGE_HAPROXY").unwrap_or_else(|_| "haproxy".to_owned());
    let text = output(&program, &["-v"]).ok_or_else(|| problem(format!("{program} does not run")))?;
    let version = text.strip_prefix("HAProxy version ").and_then(|rest| rest.split(' ').next());
    version.map(str::to_owned).ok_or_else(|| problem(format!("{program} does not say its version")))
}

/// The fact that the cost of large lists is held against.
pub(crate) const MEMORY_ACCESS_NS: &str = "memory access, ns";

/// Entries of a walk that no cache holds all of.
const WALK: usize = 1 << 25;
const STEPS: u32 = 1 << 20;

/// Nanoseconds of one access to memory that depends on the one before, in 128 MiB.
fn memory_access_ns() -> f64 {
    let mut order: Vec<u32> = (0..WALK as u32).collect();
    order.shuffle(&mut lists::rng());
    let mut next = vec![0; WALK];
    for pair in order.windows(2) {
        next[pair[0] as usize] = pair[1];
    }
    next[order[WALK - 1] as usize] = order[0];
    let start = on_cpu();
    let end = (0..STEPS).fold(0, |at: u32, _| next[at as usize]);
    std::hint::black_box(end);
    (on_cpu() - start).as_nanos() as f64 / f64::from(STEPS)
}

/// Processor, kernel and tools.
pub(crate) fn describe() -> BTreeMap<String, String> {
    let line_of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        Some(text.lines().find(|line| line.starts_with(name))?.split_once(':')?.1.trim().to_owned())
    };
    let cache = |index: usize| {
        let dir = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
        let read = |file: &str| fs::read_to_string(format!("{dir}/{file}")).ok();
        Some(format!("L{} {}", read("level")?.trim(), read("size")?.trim()))
    };
    let caches: Vec<String> = (0..8).filter_map(cache).collect();
    let cpus = fs::read_to_string("/sys/devices/system/cpu/online").ok();
    let facts = [
        ("processor", line_of("/proc/cpuinfo", "model name")),
        ("processors online", cpus.map(|text| text.trim().to_owned())),
        ("caches", Some(caches.join(", "))),
        ("memory", line_of("/proc/meminfo", "MemTotal")),
        (MEMORY_ACCESS_NS, Some(format!("{:.0}", memory_access_ns()))),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())),
        ("rustc", output("rustc", &["-V"]).map(|text| text.trim().to_owned())),
        ("valgrind", output("valgrind", &["--version"]).map(|text| text.trim().to_owned())),
        ("edge-filter", Some(env!("CARGO_PKG_VERSION").to_owned())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
