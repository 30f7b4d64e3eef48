//! The rules: what the API and the command line do with them.

mod change;
mod entry;
mod error;
mod explain;
mod input;
mod make;
mod marks;
mod repair;
mod service;
#[cfg(test)]
mod tests;
mod text;

pub use change::{Change, IfPresent, NewRule};
pub use entry::Entry;
pub use error::{Refusal, RulesError};
pub use explain::{Answer, AnsweredRule, Question, explain};
pub(crate) use input::expiry;
pub use input::{Defect, End, Input, Invalid, client, fit_by, fit_reason, target};
pub(crate) use make::Maker;
pub use marks::Marks;
pub(crate) use service::log;
pub use service::{Applied, Cleared, Effect, MAX_CHANGES, Rules};
pub use text::text_of;
pub(crate) use text::{TargetText, as_written, behind_scheme, covering, resource_of, target_of};
