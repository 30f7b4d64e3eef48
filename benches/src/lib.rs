//! What the benches share: lists to fill tables with, addresses to ask for, the tables that ours stands beside,
//! and a count of the bytes that each takes.

pub mod allocated;
pub mod cpu;
pub mod disturbance;
pub mod lists;
pub mod loading;
pub mod processes;
pub mod replacing;
pub mod resources;
pub mod rules;
pub mod side_by_side;
pub mod start;
pub mod tables;

use std::time::Duration;

use criterion::Criterion;

/// Short runs: what is measured takes nanoseconds, and all benches together should take a few minutes.
pub fn short_runs() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .without_plots()
}
