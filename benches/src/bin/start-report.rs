//! How long HAProxy takes to start with a million addresses: in lists of its own, and in those of the module.

use edge_benches::lists::{self, List, Order};
use edge_benches::start::{Field, Place, Start};

const ADDRESSES: usize = 1_000_000;
const ROUNDS: usize = 5;

/// A start from a snapshot takes this part of one from HAProxy's own list at most.
const TARGET: f64 = 0.25;

/// Median, least and most of what was measured in all rounds.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

/// The starts of one list.
struct Outcome {
    what: String,
    addresses: usize,
    starts: [Vec<Start>; Place::ALL.len()],
}

impl Spread {
    fn of(starts: &[Start], figure: impl Fn(&Start) -> f64) -> Self {
        let mut figures: Vec<f64> = starts.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        Self { median: figures[figures.len() / 2], least: figures[0], most: figures[figures.len() - 1] }
    }

    fn cell(&self) -> String {
        format!("{:.0} ({:.0} to {:.0})", self.median, self.least, self.most)
    }
}

fn wall_ms(start: &Start) -> f64 {
    start.wall.as_secs_f64() * 1e3
}

fn cpu_ms(start: &Start) -> f64 {
    start.cpu.as_secs_f64() * 1e3
}

impl Outcome {
    /// Measures every place in turn, so that what else the machine does falls on all alike.
    fn measure(list: &List, master_worker: bool) -> Self {
        let field = Field::lay_out(list).expect("room for temporary files");
        let mut starts: [Vec<Start>; Place::ALL.len()] = Default::default();
        for _ in 0..ROUNDS {
            for (starts, place) in starts.iter_mut().zip(Place::ALL) {
                starts.push(field.start(place, master_worker));
            }
        }
        let mode = if master_worker { "-W" } else { "-db" };
        Self { what: format!("haproxy {mode}, {}", list.name), addresses: list.nets.len(), starts }
    }

    fn print(&self) {
        println!("\n{}: median (least to most) of {ROUNDS} rounds", self.what);
        println!("  {:<26}{:>24}{:>24}{:>12}", "", "first answer, ms", "processor, ms", "peak MiB");
        for (starts, place) in self.starts.iter().zip(Place::ALL) {
            let (wall, cpu) = (Spread::of(starts, wall_ms), Spread::of(starts, cpu_ms));
            let peak = Spread::of(starts, |start| start.peak_bytes as f64 / f64::from(1 << 20));
            println!("  {:<26}{:>24}{:>24}{:>12.0}", place.name(), wall.cell(), cpu.cell(), peak.median);
        }
    }

    /// What a start from the snapshot takes, in parts of one from HAProxy's own list.
    fn part(&self, figure: impl Fn(&Start) -> f64) -> f64 {
        let median = |place| {
            let at = Place::ALL.iter().position(|other| *other == place).expect("one of all");
            Spread::of(&self.starts[at], &figure).median
        };
        median(Place::Snapshot) / median(Place::OwnList)
    }
}

fn main() {
    let (v4, v6) = (lists::v4_hosts(ADDRESSES), lists::v6_hosts(ADDRESSES));
    let mixed = lists::mixed_hosts(ADDRESSES);
    let starts = [
        (lists::v4_hosts(120_000).in_order(Order::Random), false),
        (v4.in_order(Order::Random), false),
        (v6.in_order(Order::Random), false),
        (mixed.in_order(Order::Random), false),
        (mixed.in_order(Order::Random), true),
        (v4.in_order(Order::Sorted), false),
        (v6.in_order(Order::Sorted), false),
    ];
    let outcomes = starts.map(|(list, master_worker)| {
        let outcome = Outcome::measure(&list, master_worker);
        outcome.print();
        outcome
    });
    println!("\ntarget: a start from the snapshot takes {TARGET} of one from HAProxy's own list at most");
    for outcome in outcomes.iter().filter(|outcome| outcome.addresses == ADDRESSES) {
        let (wall, cpu) = (outcome.part(wall_ms), outcome.part(cpu_ms));
        let verdict = if wall <= TARGET { "met" } else { "missed" };
        println!("  {}: {wall:.2} ({cpu:.2} of the processor's time): {verdict}", outcome.what);
    }
}
