//! What is measured.

mod bulk;
mod force;
mod instructions;
mod kept;
mod latency;
mod learning;
mod lookups;
mod recorded;
mod start;

use std::fs;
use std::time::Duration;

use clap::ValueEnum;

use crate::contender::{Contender, Subject};
use crate::field::Ask;
use crate::figures::Case;
use crate::options::Plan;
use crate::problem::Fallible;
use crate::stand::Place;
use lookups::Lookups;

/// Connections of the client: enough to keep HAProxy busy.
const CONNECTIONS: usize = 32;
/// What a key takes in all contenders and in this process together, with what they need to read it.
const ENTRY_BYTES: u64 = 1_200;
/// Requests a second in the cases that are about latency: some part of what HAProxy can do on one core.
const GENTLE: u32 = 15_000;

/// The cases, in the order in which they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CaseName {
    /// What a lookup of the client costs: lists of some sizes, hits, misses, a skewed mix; memory of each entry.
    Addresses,
    /// The same of IPv6 clients.
    AddressesV6,
    /// What a lookup of host and path costs.
    Resources,
    /// HAProxy with two threads beside one, and a hot address.
    Threads,
    /// Latency below full load.
    Latency,
    /// Instructions of HAProxy for one request, under valgrind.
    Instructions,
    /// Instructions of a lookup alone, beside those that the repository keeps.
    Recorded,
    /// From start to first answer.
    Start,
    /// How long until one more block is in force.
    Force,
    /// A million addresses replaced under load.
    Bulk,
    /// What learning costs for each response.
    Learning,
}

impl CaseName {
    /// As it is given on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// How long a turn is; zero: until something is done.
    fn turn(self, plan: &Plan) -> Duration {
        match self {
            Self::Addresses | Self::AddressesV6 | Self::Resources | Self::Threads | Self::Learning => {
                plan.turn
            }
            Self::Latency | Self::Bulk => plan.long_turn,
            Self::Instructions | Self::Recorded | Self::Start | Self::Force => Duration::ZERO,
        }
    }

    /// Measures it.
    ///
    /// # Errors
    /// Something does not work as it must, or a signal came.
    pub(crate) fn measure(self, plan: &Plan) -> Fallible<Case> {
        let load_before = load_average();
        let mut case = Case { at: utc_now(), turn_s: self.turn(plan).as_secs_f64(), ..Case::default() };
        match self {
            Self::Addresses => lookups(&mut case, Subject::Addresses, &plan.sizes, plan)?,
            Self::AddressesV6 => lookups(&mut case, Subject::AddressesV6, &[0, plan.large], plan)?,
            Self::Resources => lookups(&mut case, Subject::Resources, &plan.resources, plan)?,
            Self::Threads => threads(&mut case, plan)?,
            Self::Latency => latency::measure(&mut case, plan)?,
            Self::Instructions => instructions::measure(&mut case, plan)?,
            Self::Recorded => recorded::measure(&mut case)?,
            Self::Start => start::measure(&mut case, plan)?,
            Self::Force => force::measure(&mut case, plan)?,
            Self::Bulk => bulk::measure(&mut case, plan)?,
            Self::Learning => learning::measure(&mut case, plan)?,
        }
        case.load = [load_before, load_average()];
        Ok(case)
    }
}

/// HAProxy on one core, the client on the other, as fast as they can, with lists of these sizes.
fn lookups(case: &mut Case, subject: Subject, sizes: &[usize], plan: &Plan) -> Fallible<()> {
    let contenders = || Contender::ALL.into_iter().filter(|who| plan.takes(*who));
    for &entries in sizes {
        let needed = ENTRY_BYTES * entries as u64;
        if available_bytes().is_some_and(|available| available < needed) {
            eprintln!("  {entries} listed: not measured, since it takes {} MiB of memory", needed >> 20);
            continue;
        }
        let asks = match (entries, subject) {
            // Memory of each address is that beyond an empty list.
            (0, Subject::AddressesV6) => vec![],
            _ if entries == plan.large => vec![Ask::Miss, Ask::Hit, Ask::Skewed],
            _ => vec![Ask::Miss, Ask::Hit],
        };
        Lookups {
            subject,
            entries,
            seats: contenders().map(|who| (who, Place::apart())).collect(),
            asks,
            rounds: plan.rounds_of(entries),
            turn: plan.turn,
        }
        .run(case)?;
    }
    Ok(())
}

/// HAProxy with one thread and with two, on both cores together with the client.
fn threads(case: &mut Case, plan: &Plan) -> Fallible<()> {
    let contenders = [
        Contender::None,
        Contender::Twin,
        Contender::OwnList,
        Contender::LuaTable,
        Contender::EdgeLua,
        Contender::Edge,
    ];
    let contenders = contenders.into_iter().filter(|who| plan.takes(*who));
    Lookups {
        subject: Subject::Addresses,
        entries: plan.large,
        seats: [1, 2]
            .into_iter()
            .flat_map(|n| contenders.clone().map(move |who| (who, Place::shared(n))))
            .collect(),
        asks: vec![Ask::Miss, Ask::Hit, Ask::Hot],
        rounds: plan.fewer_rounds,
        turn: plan.turn,
    }
    .run(case)
}

/// Memory that processes can have; `None`: the kernel does not say.
fn available_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn utc_now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
