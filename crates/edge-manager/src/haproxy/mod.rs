//! Talking to HAProxy.

mod socket;
mod sync;

pub use socket::lines;
pub use sync::{Enforcement, enforce};
