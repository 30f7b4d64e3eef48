//! Whether HAProxy answers, and has the rules that it should have: what health, page, figures and events say of it.

mod look;
mod problem;
#[cfg(test)]
mod tests;

pub use look::Watch;
pub use problem::{Kind, Problem};
