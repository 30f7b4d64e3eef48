//! What is measured.

mod bulk;
mod force;
mod instructions;
mod kept;
mod learning;
mod lookups;
mod start;

use std::fs;
use std::time::Duration;

use clap::ValueEnum;

use crate::contender::{Contender, Subject};
use crate::field::Ask;
use crate::figures::Case;
use crate::load::Pace;
use crate::options::Plan;
use crate::problem::Fallible;
use crate::stand::Place;
use lookups::Lookups;

/// The cases, in the order in which they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CaseName {
    /// What a lookup of the client costs: lists of some sizes, hits, misses, a skewed mix; memory of each entry.
    Addresses,
    /// What a lookup of host and path costs.
    Resources,
    /// HAProxy with two threads beside one, and a hot address.
    Threads,
    /// Latency below full load.
    Latency,
    /// Instructions of HAProxy for one request, under valgrind.
    Instructions,
    /// From start to first answer.
    Start,
    /// How long until one more block is in force.
    Force,
    /// A million addresses replaced under load.
    Bulk,
    /// What learning costs for each response.
    Learning,
}

/// Requests a second in the cases that are about latency: some part of what HAProxy can do on one core.
const GENTLE: u32 = 15_000;
/// Rounds in which the slowest of a thousand requests counts are so many times as long.
const LONG: u32 = 3;

impl CaseName {
    /// As it is given on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// How long a round is; zero: until something is done.
    fn round(self, plan: &Plan) -> Duration {
        match self {
            Self::Addresses | Self::Resources | Self::Threads | Self::Learning => plan.round,
            Self::Latency | Self::Bulk => plan.round * LONG,
            Self::Instructions | Self::Start | Self::Force => Duration::ZERO,
        }
    }

    /// Measures it.
    ///
    /// # Errors
    /// Something does not work as it must, or a signal came.
    pub(crate) fn measure(self, plan: &Plan) -> Fallible<Case> {
        let load_before = load_average();
        let mut case = Case { at: utc_now(), round_s: self.round(plan).as_secs_f64(), ..Case::default() };
        match self {
            Self::Addresses => {
                for &entries in &plan.sizes {
                    let asks = [Ask::Miss, Ask::Hit, Ask::Skewed];
                    let asks = if entries == plan.large { &asks[..] } else { &asks[..2] };
                    lookups(Subject::Addresses, entries, asks, plan).run(&mut case, plan)?;
                }
            }
            Self::Resources => {
                for &entries in &plan.resources {
                    lookups(Subject::Resources, entries, &[Ask::Miss, Ask::Hit], plan)
                        .run(&mut case, plan)?;
                }
            }
            Self::Threads => {
                let contenders = [Contender::None, Contender::OwnList, Contender::EdgeLua, Contender::Edge];
                let seats = contenders.into_iter().filter(|who| plan.takes(*who));
                let seats = seats.flat_map(|who| [(who, Place::shared(1)), (who, Place::shared(2))]);
                Lookups {
                    subject: Subject::Addresses,
                    entries: plan.large,
                    seats: seats.collect(),
                    asks: vec![Ask::Miss, Ask::Hit, Ask::Hot],
                    pace: Pace::Full,
                    round: plan.round,
                }
                .run(&mut case, plan)?;
            }
            Self::Latency => {
                let gentle = Lookups {
                    pace: Pace::PerSecond(GENTLE),
                    round: self.round(plan),
                    ..lookups(Subject::Addresses, plan.large, &[Ask::Miss], plan)
                };
                gentle.run(&mut case, plan)?;
            }
            Self::Instructions => instructions::measure(&mut case, plan)?,
            Self::Start => start::measure(&mut case, plan)?,
            Self::Force => force::measure(&mut case, plan)?,
            Self::Bulk => bulk::measure(&mut case, plan)?,
            Self::Learning => learning::measure(&mut case, plan)?,
        }
        case.load = [load_before, load_average()];
        Ok(case)
    }
}

/// HAProxy on one core, the client on the other, as fast as they can.
fn lookups(subject: Subject, entries: usize, asks: &[Ask], plan: &Plan) -> Lookups {
    let seats = Contender::ALL.into_iter().filter(|who| plan.takes(*who)).map(|who| (who, Place::apart()));
    Lookups {
        subject,
        entries,
        seats: seats.collect(),
        asks: asks.to_vec(),
        pace: Pace::Full,
        round: plan.round,
    }
}

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn utc_now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
