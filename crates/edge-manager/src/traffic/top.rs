//! The rules that refuse most.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::haproxy::{lines, rule_line};

/// How many are told.
pub const MAX_TOP: usize = 10;

/// Most of an answer that is read, bytes: some 2,000,000 addresses.
const MAX_BYTES: u64 = 128 << 20;

/// How long a worker is listened to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks; and so many times what a look takes, so that it costs a worker a hundredth of its time at most.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const PAUSE_FACTOR: u32 = 100;

/// Rules that refuse, those with the most hits first, as the workers have counted since they started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// Addresses and networks.
    pub addresses: Vec<(String, u64)>,
    /// Resources.
    pub resources: Vec<(String, u64)>,
}

/// When to look again.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<Instant>);

impl Turn {
    /// Asks the workers, if it is time to: each alone, since a rule has one place in a million. Of several, the greatest number counts.
    pub(super) fn look(&mut self, sockets: &[PathBuf]) -> Option<Top> {
        let begun = Instant::now();
        if self.0.is_some_and(|next| begun < next) {
            return None;
        }
        let top = Top { addresses: most(sockets, "ip"), resources: most(sockets, "resource") };
        self.0 = Some(Instant::now() + LOOK_EVERY.max(begun.elapsed() * PAUSE_FACTOR));
        Some(top)
    }
}

fn most(sockets: &[PathBuf], kind: &str) -> Vec<(String, u64)> {
    let mut most = Most::default();
    for socket in sockets {
        let deadline = Instant::now() + PATIENCE;
        // Of one that does not answer nothing is known: it may not run.
        let _ = lines(socket, &format!("show edge rules {kind}"), MAX_BYTES, deadline, &mut |line| {
            most.take(line);
        });
    }
    most.into_sorted()
}

#[derive(Default)]
struct Most(BinaryHeap<Reverse<(u64, String)>>);

impl Most {
    fn take(&mut self, line: &str) {
        let Some((target, words, hits)) = rule_line(line).filter(|(.., hits)| *hits > 0) else { return };
        if target.starts_with("allow ") || words.starts_with("observe") {
            return;
        }
        let least = self.0.peek().map_or(0, |Reverse((hits, _))| *hits);
        if self.0.len() >= MAX_TOP && hits <= least {
            return;
        }
        let target = target.strip_prefix("block ").unwrap_or(target);
        if self.0.iter().any(|Reverse((known_hits, known))| known == target && *known_hits >= hits) {
            return;
        }
        self.0.retain(|Reverse((_, known))| known != target);
        self.0.push(Reverse((hits, target.to_owned())));
        if self.0.len() > MAX_TOP {
            self.0.pop();
        }
    }

    fn into_sorted(self) -> Vec<(String, u64)> {
        self.0.into_sorted_vec().into_iter().map(|Reverse((hits, target))| (target, hits)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_most_hits_are_told_in_order() {
        let mut most = Most::default();
        for n in 0..100 {
            most.take(&format!("block 192.0.2.{n}: deny 403, no end, list manual, {n} hits"));
        }
        most.take("allow 192.0.2.200: no end, list manual, 1000 hits");
        most.take("block 192.0.2.201: observe, no end, list manual, 1000 hits");
        most.take("block 192.0.2.99: deny 403, no end, list manual, 120 hits");
        let top = most.into_sorted();
        assert_eq!(top.len(), MAX_TOP);
        assert_eq!(top[..2], [("192.0.2.99".to_owned(), 120), ("192.0.2.98".to_owned(), 98)]);
        assert_eq!(top[9].1, 90);
    }

    #[test]
    fn what_was_never_hit_is_not_told() {
        let mut most = Most::default();
        most.take("shop.example/a: deny 404, no end, list manual, 0 hits");
        assert!(most.into_sorted().is_empty());
    }
}
