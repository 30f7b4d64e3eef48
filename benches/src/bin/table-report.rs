//! Address tables side by side, what an update costs, and each target held against what was measured.

use edge_benches::allocated::Counting;
use edge_benches::disturbance;
use edge_benches::lists;
use edge_benches::side_by_side::{self, Outcome};

#[global_allocator]
static HEAP: Counting = Counting;

/// Beside an update every millisecond a reader keeps this part of its throughput, or it counts as disturbed.
const UNDISTURBED: f64 = 0.9;

fn line(target: &str, measured: &str, is_met: bool) {
    println!("  {target}: measured {measured}: {}", if is_met { "met" } else { "missed" });
}

fn throughput(outcome: &Outcome, at_least: f64) {
    for (probe, times) in &outcome.times_as_fast {
        line(
            &format!("{}, {}: throughput at least {at_least}x", outcome.list, probe.name()),
            &format!("{:.2}x", times.independent),
            times.independent >= at_least,
        );
    }
}

fn latency(outcome: &Outcome) {
    for (probe, times) in &outcome.times_as_fast {
        line(
            &format!("{}, {}: dependent latency below its own", outcome.list, probe.name()),
            &format!("{:.2} of it", 1.0 / times.dependent),
            times.dependent > 1.0,
        );
    }
}

fn bytes(what: &str, bytes: f64, at_most: f64) {
    line(&format!("{what}: at most {at_most} bytes"), &format!("{bytes:.0}"), bytes <= at_most);
}

fn updates(list: &str, outcome: &disturbance::Outcome, bytes_at_most: f64) {
    let disturbance::Outcome { median_us, p99_us, bytes_a_rule, reader_throughput } = outcome;
    line(
        &format!("{list}: one update at most 20 us"),
        &format!("{median_us:.1} us, 99 % within {p99_us:.1} us"),
        *p99_us <= 20.0,
    );
    line(
        &format!("{list}: readers keep {:.0} % beside an update every millisecond", UNDISTURBED * 100.0),
        &format!("{:.0} %", reader_throughput * 100.0),
        *reader_throughput >= UNDISTURBED,
    );
    bytes(&format!("{list}: a rule in the whole filter"), *bytes_a_rule, bytes_at_most);
}

fn main() {
    let v4 = lists::v4_hosts(120_000);
    let v6 = lists::v6_hosts(120_000);
    let v6_million = lists::v6_hosts(1_000_000);
    side_by_side::report(&lists::v4_hosts(1_000));
    let of_v4 = side_by_side::report(&v4);
    side_by_side::report(&lists::v4_networks(1_000_000));
    let of_v6 = side_by_side::report(&v6);
    let of_v6_million = side_by_side::report(&v6_million);
    side_by_side::report(&lists::v6_networks(1_000_000));
    let updates_v4 = disturbance::report(&v4);
    let updates_v6_million = disturbance::report(&v6_million);

    println!("\ntargets, beside ip_network_table");
    throughput(&of_v4, 2.0);
    throughput(&of_v6, 3.0);
    throughput(&of_v6_million, 1.0);
    latency(&of_v4);
    latency(&of_v6);
    bytes(&format!("{}: a prefix", of_v4.list), of_v4.bytes_a_prefix, 70.0);
    bytes(&format!("{}: a prefix", of_v6.list), of_v6.bytes_a_prefix, 70.0);
    bytes(&format!("{}: a prefix", of_v6_million.list), of_v6_million.bytes_a_prefix, 90.0);
    updates(&v4.name, &updates_v4, 70.0);
    updates(&v6_million.name, &updates_v6_million, 90.0);
}
