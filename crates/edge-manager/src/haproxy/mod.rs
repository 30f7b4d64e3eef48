//! Talking to HAProxy.

mod socket;
mod sync;

pub use sync::{Enforcement, enforce};
