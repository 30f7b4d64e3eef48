//! How often rules on resources were obeyed: asked from the running workers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use edge_filter::Target;

use crate::clock::seconds;
use crate::haproxy::lines;

/// Most of an answer that is read, bytes: some 200,000 rules.
const MAX_ANSWER_BYTES: u64 = 32 << 20;

/// How long a worker is listened to.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer is good enough for whoever asks, microseconds.
const FRESH_US: u64 = 1_000_000;

/// Between two looks that nobody asked for, microseconds; and so many times what a look takes, so that it costs a worker a
/// hundredth of its time at most.
const LOOK_EVERY_US: u64 = 10_000_000;
const PAUSE_FACTOR: u32 = 100;

/// The hits of rules on resources, summed over the workers that run. Workers count from their start on.
#[derive(Debug, Default)]
pub struct Hits {
    keys: RandomState,
    seen: HashMap<u64, Seen>,
    looked_us: Option<u64>,
    took: Duration,
}

/// What is known of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Requests that it matched.
    pub hits: u64,
    /// When the number was first seen that great, seconds since the Unix epoch: the last hit was between the look before
    /// and this. `None` where it has not grown since the first look.
    pub last_hit_s: Option<u32>,
}

impl Hits {
    /// Of this rule; `None` where no worker told of it.
    pub fn of(&self, target: &Target) -> Option<Seen> {
        self.seen.get(&self.keys.hash_one(target.to_string())).copied()
    }

    /// Asks the workers, if what is known is older than a second.
    pub fn refresh(&mut self, sockets: &[PathBuf], now_us: u64) {
        if self.looked_us.is_none_or(|looked_us| now_us.abs_diff(looked_us) >= FRESH_US) {
            self.look(sockets, now_us);
        }
    }

    /// Asks the workers, if it is time to look.
    pub(super) fn look_now_and_then(&mut self, sockets: &[PathBuf], now_us: u64) {
        let pause_us = (self.took * PAUSE_FACTOR).as_micros();
        let pause_us = u64::try_from(pause_us).unwrap_or(u64::MAX).max(LOOK_EVERY_US);
        if self.looked_us.is_none_or(|looked_us| now_us.abs_diff(looked_us) >= pause_us) {
            self.look(sockets, now_us);
        }
    }

    fn look(&mut self, sockets: &[PathBuf], now_us: u64) {
        let begun = Instant::now();
        let mut told: HashMap<u64, u64> = HashMap::new();
        for socket in sockets {
            let mut take = |line: &str| {
                if let Some((target, hits)) = read(line) {
                    *told.entry(self.keys.hash_one(target)).or_default() += hits;
                }
            };
            // Of one that does not answer nothing is known: it may not run.
            let _ = lines(socket, "show edge rules resource", MAX_ANSWER_BYTES, begun + PATIENCE, &mut take);
        }
        self.take(told, now_us);
        self.took = begun.elapsed();
    }

    fn take(&mut self, told: HashMap<u64, u64>, now_us: u64) {
        let now_s = seconds(now_us);
        let before = std::mem::take(&mut self.seen);
        let seen = |(key, hits): (u64, u64)| {
            let last_hit_s = match before.get(&key) {
                Some(seen) if hits > seen.hits => Some(now_s),
                Some(seen) => seen.last_hit_s,
                // Of the first look nothing can be said; what came since then has had its hits since then.
                None => (self.looked_us.is_some() && hits > 0).then_some(now_s),
            };
            (key, Seen { hits, last_hit_s })
        };
        self.seen = told.into_iter().map(seen).collect();
        self.looked_us = Some(now_us);
    }
}

/// Target and hits of a line of `show edge rules`.
fn read(line: &str) -> Option<(&str, u64)> {
    let (target, rest) = line.split_once(": ")?;
    let hits = rest.rsplit_once(", ")?.1.strip_suffix(" hits")?;
    Some((target, hits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(hits: &Hits, lines: &[&str]) -> HashMap<u64, u64> {
        lines.iter().map(|line| read(line).unwrap()).map(|(t, n)| (hits.keys.hash_one(t), n)).collect()
    }

    #[test]
    fn the_last_hit_is_when_the_number_was_seen_to_grow() {
        let target = crate::rules::target("shop.example/yeet", "method=POST").unwrap();
        let line = |hits| {
            format!(
                "shop.example/yeet method=POST: deny 404, 59 s left, learned from b/s by GET x, reason: a: b, 9 hits, {hits} hits"
            )
        };
        let mut hits = Hits::default();
        for (at_s, told_hits, last_hit_s) in [
            (10, 7, None),
            (20, 7, None),
            (30, 8, Some(30)),
            (40, 8, Some(30)),
            (50, 0, Some(30)),
            (60, 1, Some(60)),
        ] {
            hits.take(told(&hits, &[&line(told_hits)]), at_s * 1_000_000);
            let expected = Seen { hits: told_hits, last_hit_s };
            assert_eq!(hits.of(&target), Some(expected), "at {at_s}");
        }
        hits.take(HashMap::new(), 70_000_000);
        assert_eq!(hits.of(&target), None, "no worker has it any more");
        hits.take(told(&hits, &[&line(2)]), 80_000_000);
        assert_eq!(hits.of(&target).unwrap().last_hit_s, Some(80), "it came since the last look");
    }

    #[test]
    fn what_is_no_rule_is_passed_over() {
        for line in ["", "Say: show edge rules [ip|resource]", "/a: deny 404, no end, list, x hits", "no"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
