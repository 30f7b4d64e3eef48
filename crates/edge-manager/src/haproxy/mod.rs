//! Talking to HAProxy, and keeping it running.

mod backoff;
mod certificates;
mod control;
mod lock;
mod master;
mod masters;
mod output;
mod process;
mod program;
mod pulse;
mod replaced;
mod servers;
mod socket;
mod supervisor;
mod sync;
mod worker;

pub use backoff::Pace;
pub use certificates::{Replacement, replace_certificates};
pub use control::{Control, Trouble};
pub(crate) use master::SET_VARIABLE;
pub use master::{Master, Processes, Reloaded};
pub use program::{Checked, Program, ProgramError};
pub use replaced::enforce_replaced;
pub use servers::{Health, servers};
pub use socket::lines;
pub use supervisor::{Launch, State, Status, Supervisor};
pub use sync::{Enforcement, Expected, Lack, Rules, enforce};
pub use worker::{Explanation, RuleCounts, StateReport, TrafficCounts, WorkerStatus, explain, rule_line};
