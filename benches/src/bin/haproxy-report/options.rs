//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::cases::CaseName;
use crate::contender::Contender;

/// What Edge Filter costs HAProxy, beside what else there is, on this machine.
///
/// Writes benchmarks.md, its plots, and a file of raw numbers for the HAProxy at hand, which keeps the cases that an
/// earlier run measured and this one does not. `EDGE_HAPROXY` and `EDGE_MODULE_DIR` name another HAProxy and the module
/// for it.
#[derive(Debug, Parser)]
#[command(name = "haproxy-report")]
pub(crate) struct Options {
    /// These cases only, apart by commas
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<CaseName>,
    /// These contenders only, apart by commas; no filter always runs, since all are compared with it
    #[arg(long, value_enum, value_delimiter = ',')]
    contenders: Vec<Contender>,
    /// Listed keys, apart by commas: 0, 1k, 100k, 1M
    #[arg(long, value_delimiter = ',', value_parser = count)]
    sizes: Vec<usize>,
    /// How often each figure is measured
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each contender has its turn in a round, milliseconds
    #[arg(long)]
    turn_ms: Option<u64>,
    /// Small lists and few rounds, in less than three minutes; the figures are rough, and go to another directory
    #[arg(long)]
    quick: bool,
    /// Measure nothing, write the tables and plots of the raw numbers that are there
    #[arg(long)]
    render: bool,
    /// Where to write [default: docs, or target/bench-haproxy with --quick]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A list so small that all of it is in the caches, which figures are held against.
const FEW: usize = 1_000;

/// What is to be done.
pub(crate) struct Plan {
    /// The cases, in this order.
    pub(crate) cases: Vec<CaseName>,
    contenders: Vec<Contender>,
    /// Listed keys.
    pub(crate) sizes: Vec<usize>,
    /// The same of resources.
    pub(crate) resources: Vec<usize>,
    /// The same of addresses where instructions are counted: valgrind takes long to load a list.
    pub(crate) counted: Vec<usize>,
    /// Listed keys in the cases that know one size only.
    pub(crate) large: usize,
    /// How often each figure is measured.
    pub(crate) rounds: usize,
    /// How long each contender has its turn in a round.
    pub(crate) turn: Duration,
    /// How often figures are measured that no target needs to be so exact.
    pub(crate) fewer_rounds: usize,
    /// How often figures are measured that take longer.
    pub(crate) long_rounds: usize,
    /// How long a turn is in which the slowest of a thousand requests counts.
    pub(crate) long_turn: Duration,
    /// Where to write.
    pub(crate) out: PathBuf,
}

impl Options {
    /// What they amount to.
    pub(crate) fn plan(self) -> Plan {
        let cases = match (self.render, self.only.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => CaseName::value_variants().to_vec(),
            (false, false) => self.only,
        };
        let (sizes, resources) = match (self.sizes.is_empty(), self.quick) {
            (false, _) => (self.sizes.clone(), self.sizes),
            (true, true) => (vec![0, 1_000, 100_000], vec![0, 10_000]),
            (true, false) => {
                (vec![0, 1_000, 10_000, 100_000, 1_000_000, 5_000_000], vec![0, 10_000, 1_000_000])
            }
        };
        // Many short rounds: what else the machine does falls on all alike.
        let (rounds, turn_ms, large) = if self.quick { (6, 20, 100_000) } else { (40, 50, 1_000_000) };
        let rounds = self.rounds.unwrap_or(rounds).max(1);
        let turn = Duration::from_millis(self.turn_ms.unwrap_or(turn_ms).max(1));
        let counted = [FEW].into_iter().filter(|size| sizes.contains(size)).collect();
        let out = if self.quick { "target/bench-haproxy" } else { "docs" };
        Plan {
            cases,
            contenders: self.contenders,
            sizes,
            resources,
            counted,
            large,
            rounds,
            turn,
            fewer_rounds: rounds.div_ceil(2),
            long_rounds: rounds.div_ceil(5),
            long_turn: turn * 10,
            out: self.out.unwrap_or_else(|| out.into()),
        }
    }
}

impl Plan {
    /// How often figures of so many listed keys are measured.
    pub(crate) fn rounds_of(&self, entries: usize) -> usize {
        if entries == FEW || entries >= self.large { self.rounds } else { self.fewer_rounds }
    }

    /// Whether this one is measured.
    pub(crate) fn takes(&self, who: Contender) -> bool {
        who == Contender::None || self.contenders.is_empty() || self.contenders.contains(&who)
    }
}

/// `100k`, `1M`, `12`.
fn count(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    let count = digits.parse::<usize>().ok().and_then(|digits| digits.checked_mul(unit));
    count.ok_or_else(|| format!("\"{text}\" is not a number such as 0, 1k, 100k or 1M"))
}
