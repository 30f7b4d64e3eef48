//! How often a refused lesson may be logged.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ahash::RandomState;

/// Hosts that can be told apart.
const SLOTS: usize = 256;

/// Time between two lines about one host, seconds.
const INTERVAL_S: u32 = 60;

/// Lets one log line a host and minute through, and at most 256 lines a minute whatever the hosts are: those
/// that fall into one slot share its line, by a hash that nobody outside can aim at. Lock-free.
#[derive(Debug)]
pub struct LogGate {
    /// When the last line was let through, Unix seconds; 0 for never.
    last_s: [AtomicU32; SLOTS],
    hasher: RandomState,
}

impl LogGate {
    /// A gate that has seen no host.
    pub fn new() -> Self {
        Self { last_s: [const { AtomicU32::new(0) }; SLOTS], hasher: RandomState::new() }
    }

    /// Whether a line about this host may be logged at `now_s`; if so, it counts as logged. A clock that was
    /// set back does not keep the gate shut.
    pub fn admits(&self, host: &str, now_s: u32) -> bool {
        let slot = &self.last_s[self.hasher.hash_one(host) as usize % SLOTS];
        let last_s = slot.load(Relaxed);
        let is_due = last_s == 0 || now_s.abs_diff(last_s) >= INTERVAL_S;
        // Of several threads that see it due, one wins. Nothing else hangs on the order.
        is_due && slot.compare_exchange(last_s, now_s, Relaxed, Relaxed).is_ok()
    }
}

impl Default for LogGate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_host_and_minute() {
        let gate = LogGate::new();
        assert!(gate.admits("a", 1000));
        assert!(!gate.admits("a", 1000));
        assert!(!gate.admits("a", 1059));
        assert!(gate.admits("a", 1060));
        assert!(!gate.admits("a", 1061));
        assert!(gate.admits("a", 500), "the clock was set back");
    }

    #[test]
    fn a_flood_of_hosts_is_bounded() {
        let gate = LogGate::new();
        let admitted = (0..10_000).filter(|n| gate.admits(&format!("host{n}"), 1000)).count();
        assert!((2..=SLOTS).contains(&admitted), "{admitted}");
    }

    #[test]
    fn of_many_threads_one_may_log() {
        let gate = LogGate::new();
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..100).filter(|_| gate.admits("a", 1000)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1);
    }
}
