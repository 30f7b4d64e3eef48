//! Talking to HAProxy.

mod liveness;
mod socket;
mod sync;

pub use liveness::is_running;
pub use socket::lines;
pub use sync::{Enforcement, enforce};
