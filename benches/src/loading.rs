//! What loading a list into an empty filter costs.

use edge_filter::{Action, AddressRule, Filter, List as AddressList, NEVER, Settings, Status};
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::allocated::{heap_bytes, peak_bytes, restart_peak};
use crate::cpu::on_cpu;
use crate::lists::{List, rng};
use crate::rules::{LIST, NOW_S};

/// Rules in a piece, all of which are put in one call: what a frame of a snapshot file holds, and more.
const PIECES: [usize; 4] = [1 << 14, 1 << 16, 1 << 18, usize::MAX];

/// When rules end.
#[derive(Clone, Copy)]
enum Ends {
    Never,
    /// Each within a day.
    Within(u32),
}

impl Ends {
    const fn name(self) -> &'static str {
        match self {
            Self::Never => "no end",
            Self::Within(_) => "ends within a day",
        }
    }
}

/// Rules that block the networks of a list, in no order.
fn rules(list: &List, ends: Ends) -> Vec<AddressRule> {
    let mut rng = rng();
    let mut nets = list.nets.clone();
    nets.shuffle(&mut rng);
    let rule = |net| AddressRule {
        list: AddressList::Block,
        net,
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: match ends {
            Ends::Never => NEVER,
            Ends::Within(ttl_s) => NOW_S + rng.random_range(1..ttl_s),
        },
    };
    nets.into_iter().map(rule).collect()
}

/// Measure loading this list, and print the figures.
pub fn report(list: &List) {
    println!("\nloading {}", list.name);
    println!(
        "{:>20}{:>12}{:>12}{:>10}{:>14}{:>14}",
        "", "in a piece", "cpu seconds", "ns each", "bytes each", "at the peak"
    );
    for ends in [Ends::Never, Ends::Within(86_400)] {
        let rules = rules(list, ends);
        for piece in PIECES {
            let before = heap_bytes();
            restart_peak();
            let filter = Filter::new(Settings::default());
            let start = on_cpu();
            let mut edit = filter.edit(NOW_S).expect("nobody else writes");
            edit.draft_addresses(&LIST.into(), &"".into(), rules.chunks(piece));
            edit.publish_draft();
            drop(edit);
            let took = on_cpu() - start;
            assert_eq!(filter.snapshot().counts().block, rules.len());
            let each = |bytes: usize| (bytes - before) as f64 / rules.len() as f64;
            println!(
                "{:>20}{:>12}{:>12.3}{:>10.0}{:>14.0}{:>14.0}",
                ends.name(),
                piece.min(rules.len()),
                took.as_secs_f64(),
                took.as_nanos() as f64 / rules.len() as f64,
                each(heap_bytes()),
                each(peak_bytes()),
            );
        }
    }
}
