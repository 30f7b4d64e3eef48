//! From a response that carries `X-Edge-Resource` to a change of the rules.

mod lesson;
mod log_gate;
mod refusal;

pub use lesson::{Lesson, Taught, learn};
pub use log_gate::LogGate;
pub use refusal::{Cause, Refusal};
