//! Asking the workers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::series::{Series, since};
use super::top::{Top, Turn};
use crate::clock::seconds;
use crate::haproxy::{TrafficCounts, WorkerStatus};

/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a worker is listened to.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the workers say of themselves and of the last hour.
#[derive(Debug)]
pub struct Traffic {
    sockets: Vec<PathBuf>,
    seen: Mutex<Seen>,
    turn: Mutex<Turn>,
}

/// A worker, as it was seen last.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its stats socket.
    pub socket: PathBuf,
    /// What it said, or why it did not.
    pub said: Result<WorkerStatus, String>,
    /// When, seconds since the Unix epoch.
    pub at_s: u32,
    /// The record's revision at the look before, which the worker has had the time to follow since; 0 where there was none.
    pub expected: u64,
}

#[derive(Debug, Default)]
struct Seen {
    series: Series,
    workers: Vec<Worker>,
    top: Arc<Top>,
    /// The record's revision at the last look.
    recorded: u64,
    /// By socket: the counts of the last look, and when it was.
    counts: Vec<Option<(TrafficCounts, u64)>>,
}

impl Traffic {
    /// Of the workers at these stats sockets.
    pub fn new(sockets: Vec<PathBuf>) -> Self {
        let seen = Seen { counts: vec![None; sockets.len()], ..Seen::default() };
        Self { sockets, seen: Mutex::new(seen), turn: Mutex::default() }
    }

    /// Asks all of them: to be called every [`LOOK_EVERY`] by one thread, with the record's revision.
    pub fn look(&self, recorded: u64, now_us: u64) {
        let asked = self.sockets.iter().map(|socket| {
            let said =
                WorkerStatus::ask(socket, Instant::now() + PATIENCE).map_err(|error| error.to_string());
            Worker { socket: socket.clone(), said, at_s: seconds(now_us), expected: 0 }
        });
        self.take(asked.collect(), recorded, now_us);
        if let Some(top) = self.turn.lock().look(&self.sockets) {
            self.seen.lock().top = Arc::new(top);
        }
    }

    /// The workers as they were seen last; none before the first look.
    pub fn workers(&self) -> Vec<Worker> {
        self.seen.lock().workers.clone()
    }

    /// The last hour.
    pub fn series(&self) -> Series {
        self.seen.lock().series.clone()
    }

    /// What is refused most.
    pub fn top(&self) -> Arc<Top> {
        self.seen.lock().top.clone()
    }

    fn take(&self, mut workers: Vec<Worker>, recorded: u64, now_us: u64) {
        let mut seen = self.seen.lock();
        let (mut counted, mut took_us) = (TrafficCounts::default(), 0);
        for (worker, before) in workers.iter().zip(&mut seen.counts) {
            let counts = worker.said.as_ref().ok().and_then(|status| status.traffic);
            if let (Some(counts), Some((counts_before, before_us))) = (counts, *before) {
                let new = since(counts_before, counts);
                counted.requests += new.requests;
                counted.refused += new.refused;
                counted.learned += new.learned;
                took_us = took_us.max(now_us.saturating_sub(before_us));
            }
            *before = counts.map(|counts| (counts, now_us));
        }
        seen.series.add(counted, took_us, seconds(now_us));
        let expected = std::mem::replace(&mut seen.recorded, recorded);
        workers.iter_mut().for_each(|worker| worker.expected = expected);
        seen.workers = workers;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(socket: &str, requests: Option<u64>) -> Worker {
        let said = requests.ok_or_else(|| "gone".to_owned()).map(|requests| WorkerStatus {
            traffic: Some(TrafficCounts { requests, refused: requests / 10, learned: 0 }),
            ..WorkerStatus::default()
        });
        Worker { socket: socket.into(), said, at_s: 0, expected: 0 }
    }

    #[test]
    fn what_all_workers_counted_between_two_looks_is_one_sample() {
        let traffic = Traffic::new(vec!["a".into(), "b".into()]);
        traffic.take(vec![worker("a", Some(100)), worker("b", None)], 7, 1_000_000);
        assert!(traffic.series().last().is_none(), "one look tells nothing");
        traffic.take(vec![worker("a", Some(150)), worker("b", Some(1000))], 9, 6_000_000);
        traffic.take(vec![worker("a", Some(160)), worker("b", Some(1020))], 9, 11_000_000);
        let rates: Vec<_> = traffic.series().samples().map(|sample| (sample.at_s, sample.requests)).collect();
        assert_eq!(rates, [(6, 10.0), (11, 6.0)]);
        traffic.take(vec![worker("a", None), worker("b", None)], 9, 16_000_000);
        assert_eq!(traffic.series().samples().count(), 2, "of nobody nothing is known");
        assert!(traffic.workers()[0].said.is_err());
    }

    #[test]
    fn a_worker_has_until_the_next_look_to_follow_a_change() {
        let traffic = Traffic::new(vec!["a".into()]);
        let expected = |recorded, now_us| {
            traffic.take(vec![worker("a", Some(1))], recorded, now_us);
            traffic.workers()[0].expected
        };
        assert_eq!([expected(7, 1), expected(9, 2), expected(9, 3)], [0, 7, 9]);
    }
}
