//! How long HAProxy takes to start with a million addresses: in lists of its own, and in those of the module.

use edge_benches::lists::{self, List};
use edge_benches::start::{Field, Place, Start};

const ADDRESSES: usize = 1_000_000;
const ROUNDS: usize = 5;

/// Median, least and most of what was measured in all rounds.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
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

/// Measures every place in turn, so that what else the machine does falls on all alike; and prints the figures.
fn report(list: &List, master_worker: bool) {
    let field = Field::lay_out(list).expect("room for temporary files");
    let mut starts: [Vec<Start>; Place::ALL.len()] = Default::default();
    for _ in 0..ROUNDS {
        for (starts, place) in starts.iter_mut().zip(Place::ALL) {
            starts.push(field.start(place, master_worker));
        }
    }
    let mode = if master_worker { "-W" } else { "-db" };
    println!("\nhaproxy {mode} with {}: median (least to most) of {ROUNDS} rounds", list.name);
    println!("  {:<26}{:>24}{:>24}{:>12}", "", "first answer, ms", "processor, ms", "peak MiB");
    for (starts, place) in starts.iter().zip(Place::ALL) {
        let wall = Spread::of(starts, |start| start.wall.as_secs_f64() * 1e3);
        let cpu = Spread::of(starts, |start| start.cpu.as_secs_f64() * 1e3);
        let peak = Spread::of(starts, |start| start.peak_bytes as f64 / f64::from(1 << 20));
        println!("  {:<26}{:>24}{:>24}{:>12.0}", place.name(), wall.cell(), cpu.cell(), peak.median);
    }
}

fn main() {
    let (v4, v6) = (lists::v4_hosts(ADDRESSES), lists::v6_hosts(ADDRESSES));
    let mixed = lists::mixed_hosts(ADDRESSES);
    for master_worker in [false, true] {
        report(&v4, master_worker);
        report(&v6, master_worker);
        report(&mixed, master_worker);
    }
}
