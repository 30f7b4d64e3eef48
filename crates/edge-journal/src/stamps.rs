//! Stamps order what different processes wrote.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Gives stamps: the wall clock in milliseconds, or one more than the last stamp given or seen where the clock
/// stands still or went back (a hybrid logical clock). So whatever is written after something was read counts as later.
#[derive(Debug, Default)]
pub struct Stamps {
    last_ms: AtomicU64,
}

impl Stamps {
    /// A stamp later than all given and seen before. Never waits.
    pub fn next(&self, now_ms: u64) -> u64 {
        let next = |last_ms: u64| now_ms.max(last_ms.saturating_add(1));
        let mut last_ms = self.last_ms.load(Relaxed);
        loop {
            match self.last_ms.compare_exchange_weak(last_ms, next(last_ms), Relaxed, Relaxed) {
                Ok(_) => return next(last_ms),
                Err(other_ms) => last_ms = other_ms,
            }
        }
    }

    /// Stamps given from now on are later than this one.
    pub fn seen(&self, stamp_ms: u64) {
        self.last_ms.fetch_max(stamp_ms, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_later_than_all_given_and_seen() {
        let stamps = Stamps::default();
        assert_eq!(stamps.next(1000), 1000);
        assert_eq!(stamps.next(1000), 1001, "the clock stands still");
        assert_eq!(stamps.next(10), 1002, "the clock goes back");
        assert_eq!(stamps.next(5000), 5000);
        stamps.seen(9000);
        assert_eq!(stamps.next(6000), 9001, "another process is ahead");
        stamps.seen(u64::MAX);
        assert_eq!(stamps.next(6000), u64::MAX);
    }
}
