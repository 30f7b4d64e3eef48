//! Waiting for something to become true.

use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until `probe` gives a value.
///
/// # Panics
/// Nothing came within 60 s; the message names `what`.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "in vain waited {DEADLINE:?} for: {what}");
        thread::sleep(PAUSE);
    }
}
