//! One figure from many rounds, and how far it can be trusted.

use edge_benches::lists;
use rand::RngExt;

/// So many times the rounds are drawn anew.
const RESAMPLES: usize = 1_000;
/// Of these the middle 95 % make the interval.
const BEYOND: f64 = 0.025;

/// A figure, and the interval in which another run of as many rounds would find it 19 times out of 20.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// Of all rounds.
    pub(crate) value: f64,
    /// Where the interval begins.
    pub(crate) low: f64,
    /// Where it ends.
    pub(crate) high: f64,
}

impl Estimate {
    /// The mean of the middle half of these rounds; `None` of none.
    ///
    /// A machine that others use has rounds that are half as fast again: they move a mean, and do not move this one,
    /// while it differs less from run to run than a median does.
    pub(crate) fn of(rounds: &[f64]) -> Option<Self> {
        Self::from([rounds], |[mean]| mean)
    }

    /// What `figure` makes of the means of some series of rounds; `None` where one is empty.
    ///
    /// The interval is that of the percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
    /// chapter 13): each series is drawn anew with replacement, by itself.
    pub(crate) fn from<const N: usize>(
        series: [&[f64]; N],
        figure: impl Fn([f64; N]) -> f64,
    ) -> Option<Self> {
        if series.iter().any(|rounds| rounds.is_empty()) {
            return None;
        }
        let value = figure(series.map(|rounds| middle_mean(rounds.to_vec())));
        let mut rng = lists::rng();
        let mut draw = |rounds: &[f64]| {
            middle_mean((0..rounds.len()).map(|_| rounds[rng.random_range(0..rounds.len())]).collect())
        };
        let mut drawn: Vec<f64> = (0..RESAMPLES).map(|_| figure(series.map(&mut draw))).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let beyond = (RESAMPLES as f64 * BEYOND) as usize;
        Some(Self { value, low: drawn[beyond], high: drawn[RESAMPLES - 1 - beyond] })
    }
}

fn middle_mean(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let apart = values.len() / 4;
    let middle = &values[apart..values.len() - apart];
    middle.iter().sum::<f64>() / middle.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1.0, and as much above as below it; every fifth round is half as slow again.
    fn rounds(count: usize) -> Vec<f64> {
        let mut rng = lists::rng();
        let mut noise = || rng.random_range(-0.2..0.2);
        (0..count).map(|n| if n % 5 == 0 { 1.5 } else { 1.0 + noise() }).collect()
    }

    #[test]
    fn slow_rounds_do_not_count() {
        assert_eq!(middle_mean(vec![9.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(middle_mean(vec![7.0]), 7.0);
    }

    #[test]
    fn more_rounds_make_a_narrower_interval_around_the_figure() {
        let width = |count| {
            let Estimate { value, low, high } = Estimate::of(&rounds(count)).unwrap();
            assert!(low <= value && value <= high);
            high - low
        };
        assert!(width(400) < width(25) / 2.0);
    }

    #[test]
    fn the_interval_holds_the_truth_nineteen_times_out_of_twenty() {
        let mut rng = lists::rng();
        let mut holds = || {
            let rounds: Vec<f64> = (0..40).map(|_| 3.0 + rng.random_range(-1.0..1.0)).collect();
            let Estimate { low, high, .. } = Estimate::of(&rounds).unwrap();
            low <= 3.0 && 3.0 <= high
        };
        let held = (0..200).filter(|_| holds()).count();
        assert!((176..=199).contains(&held), "{held} of 200");
    }

    #[test]
    fn a_part_of_two_series_has_the_interval_of_both() {
        let (ours, theirs) = (rounds(40), vec![2.0; 40]);
        let part = Estimate::from([&ours, &theirs], |[ours, theirs]| ours / theirs).unwrap();
        let alone = Estimate::of(&ours).unwrap();
        assert_eq!(part.value, alone.value / 2.0);
        assert!((part.high - part.low - (alone.high - alone.low) / 2.0).abs() < 0.02);
        assert_eq!(Estimate::from([&ours[..], &[]], |[ours, _]| ours), None);
    }
}
