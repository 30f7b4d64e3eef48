//! From a response that carries `X-Edge-Resource` to a change of the rules.

mod confirmations;
mod lesson;
mod log_gate;
mod refusal;

pub use confirmations::Confirmations;
pub use lesson::{Confirm, Lesson, Taught, learn};
pub use log_gate::LogGate;
pub use refusal::{Cause, Refusal};
