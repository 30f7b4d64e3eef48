//! Stamps order what different processes wrote.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Gives stamps: the wall clock in microseconds, or one more than the last stamp given or seen where the clock
/// stands still or went back (a hybrid logical clock). So whatever is written after something was read counts as later.
#[derive(Debug, Default)]
pub struct Stamps {
    last_us: AtomicU64,
}

impl Stamps {
    /// A stamp later than all given and seen before. Never waits.
    pub fn next(&self, now_us: u64) -> u64 {
        let next = |last_us: u64| now_us.max(last_us.saturating_add(1));
        let mut last_us = self.last_us.load(Relaxed);
        loop {
            match self.last_us.compare_exchange_weak(last_us, next(last_us), Relaxed, Relaxed) {
                Ok(_) => return next(last_us),
                Err(other_us) => last_us = other_us,
            }
        }
    }

    /// Stamps given from now on are later than this one.
    pub fn seen(&self, stamp_us: u64) {
        self.last_us.fetch_max(stamp_us, Relaxed);
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
