//! Time that counts for a thread alone.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long this thread was on a processor. Other work on the machine does not count: wall clock would say more about
/// that than about the filter.
pub fn on_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has this clock").into()
}
