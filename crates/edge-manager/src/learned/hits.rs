//! How often rules on resources were obeyed: asked from the running workers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use edge_filter::Target;
use parking_lot::Mutex;

use crate::clock::seconds;
use crate::haproxy::{lines, rule_line};

/// Most of an answer that is read, bytes: some 200,000 rules.
const MAX_ANSWER_BYTES: u64 = 32 << 20;

/// How long a worker is listened to.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer is good enough for whoever asks, microseconds; and so many times what a look takes, so that a worker
/// that does not answer holds up one request in a while.
const FRESH_US: u64 = 1_000_000;
const FRESH_FACTOR: u32 = 10;

/// How long whoever asks waits for another one's answer, which mostly takes a few milliseconds, in place of the last one.
const TURN: Duration = Duration::from_millis(100);

/// Between two looks that nobody asked for, microseconds; and so many times what a look takes, so that it costs a worker a
/// hundredth of its time at most.
const LOOK_EVERY_US: u64 = 10_000_000;
const PAUSE_FACTOR: u32 = 100;

/// The hits of rules on resources, summed over the workers that run. Workers count from their start on.
///
/// One asks them at a time, and nobody is kept from the last answer meanwhile.
#[derive(Debug, Default)]
pub struct Hits {
    keys: RandomState,
    known: Mutex<Known>,
    /// Held by whoever asks the workers.
    asking: Mutex<()>,
}

/// The last answer of the workers.
#[derive(Debug, Default)]
struct Known {
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
        self.known.lock().seen.get(&self.key(&target.to_string())).copied()
    }

    /// Asks the workers, if what is known is older than a second, and nobody else is about it for longer than a moment.
    pub fn refresh(&self, sockets: &[PathBuf], now_us: u64) {
        self.look_every(FRESH_US, FRESH_FACTOR, sockets, now_us);
    }

    /// Asks the workers, if it is time to look.
    pub(super) fn look_now_and_then(&self, sockets: &[PathBuf], now_us: u64) {
        self.look_every(LOOK_EVERY_US, PAUSE_FACTOR, sockets, now_us);
    }

    fn look_every(&self, pause_us: u64, factor: u32, sockets: &[PathBuf], now_us: u64) {
        let is_due = || {
            let known = self.known.lock();
            let pause_us = pause_us.max(u64::try_from((known.took * factor).as_micros()).unwrap_or(u64::MAX));
            known.looked_us.is_none_or(|looked_us| now_us.abs_diff(looked_us) >= pause_us)
        };
        if !is_due() {
            return;
        }
        let Some(_asking) = self.asking.try_lock_for(TURN) else { return };
        // Unless somebody has asked meanwhile.
        if is_due() {
            let begun = Instant::now();
            let told = self.ask(sockets, begun + PATIENCE);
            self.known.lock().take(told, now_us, begun.elapsed());
        }
    }

    /// None where a worker runs and does not answer: of its rules, the last answer is all that is known.
    fn ask(&self, sockets: &[PathBuf], deadline: Instant) -> Option<HashMap<u64, u64>> {
        let mut told: HashMap<u64, u64> = HashMap::new();
        for socket in sockets {
            let mut take = |line: &str| {
                if let Some((target, hits)) = read(line) {
                    *told.entry(self.key(target)).or_default() += hits;
                }
            };
            let answer = lines(socket, "show edge rules resource", MAX_ANSWER_BYTES, deadline, &mut take);
            // Where nobody listens, none runs.
            if answer.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
                return None;
            }
        }
        Some(told)
    }

    fn key(&self, target: &str) -> u64 {
        self.keys.hash_one(target)
    }
}

impl Known {
    fn take(&mut self, told: Option<HashMap<u64, u64>>, now_us: u64, took: Duration) {
        if let Some(told) = told {
            self.count(told, seconds(now_us));
        }
        (self.looked_us, self.took) = (Some(now_us), took);
    }

    fn count(&mut self, told: HashMap<u64, u64>, now_s: u32) {
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
    }
}

/// Target and hits of a line of `show edge rules`.
fn read(line: &str) -> Option<(&str, u64)> {
    rule_line(line).map(|(target, _, hits)| (target, hits))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::sync::{Arc, mpsc};
    use std::thread;

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
        let hits = Hits::default();
        let take = |told, at_s: u64| hits.known.lock().take(Some(told), at_s * 1_000_000, Duration::ZERO);
        for (at_s, told_hits, last_hit_s) in [
            (10, 7, None),
            (20, 7, None),
            (30, 8, Some(30)),
            (40, 8, Some(30)),
            (50, 0, Some(30)),
            (60, 1, Some(60)),
        ] {
            take(told(&hits, &[&line(told_hits)]), at_s);
            let expected = Seen { hits: told_hits, last_hit_s };
            assert_eq!(hits.of(&target), Some(expected), "at {at_s}");
        }
        take(HashMap::new(), 70);
        assert_eq!(hits.of(&target), None, "no worker has it any more");
        take(told(&hits, &[&line(2)]), 80);
        assert_eq!(hits.of(&target).unwrap().last_hit_s, Some(80), "it came since the last look");
    }

    /// A worker that says so many hits of this rule, once `before` is done.
    fn worker(dir: &Path, target: &Target, hits: u64, before: impl FnOnce() + Send + 'static) -> PathBuf {
        let path = dir.join("edge.sock");
        // In place of the one before.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let line = format!("{target}: deny 404, no end, manual, {hits} hits\n");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 64]);
            before();
            // Whoever asked may be gone.
            let _ = stream.write_all(line.as_bytes());
        });
        path
    }

    #[test]
    fn the_last_answer_is_there_while_the_workers_are_asked() {
        let dir = tempfile::tempdir().unwrap();
        let target = crate::rules::target("shop.example/yeet", "").unwrap();
        let hits = Arc::new(Hits::default());
        let of = |hits: &Hits| hits.of(&target).map(|seen| seen.hits);
        let sockets = [worker(dir.path(), &target, 7, || {})];
        hits.refresh(&sockets, 10_000_000);
        assert_eq!(of(&hits), Some(7));
        let (tell, told) = mpsc::channel();
        let meanwhile = {
            let (hits, target) = (hits.clone(), target.clone());
            move || tell.send(hits.of(&target).map(|seen| seen.hits)).unwrap()
        };
        let sockets = [worker(dir.path(), &target, 8, meanwhile)];
        hits.refresh(&sockets, 20_000_000);
        assert_eq!((told.recv().unwrap(), of(&hits)), (Some(7), Some(8)));
        // As while somebody asks a worker that hangs.
        let _asking = hits.asking.lock();
        hits.refresh(&sockets, 30_000_000);
        assert_eq!(of(&hits), Some(8));
    }

    #[test]
    fn a_worker_that_does_not_answer_takes_nothing_back_and_is_not_asked_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let target = crate::rules::target("shop.example/yeet", "").unwrap();
        let hits = Hits::default();
        hits.refresh(&[worker(dir.path(), &target, 7, || {})], 10_000_000);
        let silent = dir.path().join("silent.sock");
        let listener = UnixListener::bind(&silent).unwrap();
        hits.refresh(std::slice::from_ref(&silent), 20_000_000);
        assert_eq!(hits.of(&target).unwrap().hits, 7);
        listener.set_nonblocking(true).unwrap();
        hits.refresh(&[silent], 22_000_000);
        assert_eq!(listener.incoming().map_while(Result::ok).count(), 1);
    }

    #[test]
    fn what_is_no_rule_is_passed_over() {
        for line in ["", "Say: show edge rules [ip|resource]", "/a: deny 404, no end, list, x hits", "no"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
