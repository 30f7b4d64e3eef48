//! The last hour.

use std::collections::VecDeque;

use crate::haproxy::TrafficCounts;

/// How long is looked back, seconds.
pub const WINDOW_S: u32 = 3600;

/// Most samples that are kept: one every 5 s.
const MAX_SAMPLES: usize = 720;

/// How much came of requests between two looks, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When the second look was, seconds since the Unix epoch.
    pub at_s: u32,
    /// Requests.
    pub requests: f32,
    /// Refused requests.
    pub refused: f32,
    /// Lessons.
    pub learned: f32,
}

/// Samples of the last hour, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Series(VecDeque<Sample>);

impl Series {
    /// All of them.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = &Sample> + Clone {
        self.0.iter()
    }

    /// The newest.
    pub fn last(&self) -> Option<&Sample> {
        self.0.back()
    }

    /// Takes what was counted between two looks, so many microseconds apart.
    pub(super) fn add(&mut self, counted: TrafficCounts, took_us: u64, at_s: u32) {
        if took_us == 0 {
            return;
        }
        let took_s = took_us as f64 / 1e6;
        let rate = |count: u64| (count as f64 / took_s) as f32;
        let TrafficCounts { requests, refused, learned } = counted;
        let sample =
            Sample { at_s, requests: rate(requests), refused: rate(refused), learned: rate(learned) };
        self.0.push_back(sample);
        let is_old = |first: &Sample| first.at_s.saturating_add(WINDOW_S) < at_s;
        while self.0.len() > MAX_SAMPLES || self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
    }
}

/// What was counted since an earlier look. A worker that was started meanwhile counts from nothing again.
pub(super) fn since(before: TrafficCounts, now: TrafficCounts) -> TrafficCounts {
    if now.requests < before.requests {
        return now;
    }
    TrafficCounts {
        requests: now.requests - before.requests,
        refused: now.refused.saturating_sub(before.refused),
        learned: now.learned.saturating_sub(before.learned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, refused: u64) -> TrafficCounts {
        TrafficCounts { requests, refused, learned: 0 }
    }

    #[test]
    fn rates_are_of_a_second() {
        let mut series = Series::default();
        series.add(counts(50, 5), 5_000_000, 1000);
        series.add(counts(50, 5), 0, 1001);
        let sample = Sample { at_s: 1000, requests: 10.0, refused: 1.0, learned: 0.0 };
        assert_eq!(series.samples().copied().collect::<Vec<_>>(), [sample]);
    }

    #[test]
    fn there_is_an_hour_of_samples_and_no_more() {
        let mut series = Series::default();
        for at_s in (0..10_000).step_by(5) {
            series.add(counts(1, 0), 5_000_000, at_s);
        }
        assert_eq!(series.samples().count(), MAX_SAMPLES);
        series.add(counts(1, 0), 5_000_000, 20_000);
        assert_eq!(series.samples().count(), 1);
    }

    #[test]
    fn a_worker_that_was_started_anew_counts_from_nothing() {
        assert_eq!(since(counts(100, 10), counts(130, 11)), counts(30, 1));
        assert_eq!(since(counts(100, 10), counts(30, 1)), counts(30, 1));
        assert_eq!(since(counts(100, 10), counts(100, 9)), counts(0, 0));
    }
}
