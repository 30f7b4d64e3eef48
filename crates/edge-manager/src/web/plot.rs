//! A line over the last hour, as SVG.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;

use super::numbers::rate;
use crate::traffic::LOOK_EVERY;

/// The size of the drawing, in its own units.
const WIDTH: f32 = 600.0;
const HEIGHT: f32 = 120.0;

/// Points of the line: each is the mean of so much of the time as it stands for.
const POINTS: usize = 120;

/// How old the last sample may be to be called that of now, seconds: two looks may be late.
const FRESH_S: u32 = 3 * LOOK_EVERY.as_secs() as u32;

/// A line over time.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// What it is of: our own words, for the drawing's name.
    name: &'static str,
    /// The means, where there is one; the newest last.
    means: Vec<Option<f32>>,
    /// The greatest sample.
    most: f32,
    now: Option<f32>,
}

impl Plot {
    /// Of samples, each with its time, over so many seconds before now.
    pub(super) fn new(
        name: &'static str,
        samples: impl Iterator<Item = (u32, f32)>,
        window_s: u32,
        now_s: u32,
    ) -> Self {
        let mut sums = vec![(0.0, 0_u32); POINTS];
        let (begin_s, mut most, mut now) = (now_s.saturating_sub(window_s), 0.0_f32, None);
        for (at_s, value) in samples {
            let Some(since_s) = at_s.checked_sub(begin_s) else { continue };
            let at = (since_s as usize * POINTS / window_s.max(1) as usize).min(POINTS - 1);
            sums[at].0 += value;
            sums[at].1 += 1;
            most = most.max(value);
            now = (at_s.saturating_add(FRESH_S) >= now_s).then_some(value);
        }
        let means = sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f32)).collect();
        Self { name, means, most, now }
    }

    /// The rate of now, in words.
    pub(super) fn now(&self) -> String {
        self.now.map_or_else(|| "\u{2013}".to_owned(), rate)
    }

    /// The greatest of them, in words.
    pub(super) fn most(&self) -> String {
        rate(self.most)
    }

    /// The line in the form of a path; gaps are where nothing is known.
    fn path(&self) -> String {
        let most = self.most.max(0.1);
        let (mut path, mut is_on) = (String::new(), false);
        for (at, mean) in self.means.iter().enumerate() {
            let Some(mean) = mean else {
                is_on = false;
                continue;
            };
            let x = at as f32 * WIDTH / (POINTS - 1) as f32;
            let y = HEIGHT - 2.0 - mean / most * (HEIGHT - 6.0);
            let step = if is_on { 'L' } else { 'M' };
            // Writing to a String cannot fail. A dot of no length is drawn by its round ends.
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            if !is_on {
                path.push_str("h0");
            }
            is_on = true;
        }
        path
    }
}

impl fmt::Display for Plot {
    /// Nothing of it is anybody's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, now, most, path) = (self.name, self.now(), self.most(), self.path());
        write!(
            f,
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{name} a second over the last hour: {now} now, {most} at most\">\
             <path class=\"base\" d=\"M0 {HEIGHT}H{WIDTH}\"/><path class=\"line\" d=\"{path}\"/></svg>"
        )
    }
}

impl HtmlSafe for Plot {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_gaps_where_nothing_is_known() {
        let samples = [(1000, 1.0), (1005, 3.0), (4590, 2.0), (4599, 4.0), (10, 99.0)];
        let plot = Plot::new("Requests", samples.into_iter(), 3600, 4600);
        assert_eq!((plot.now(), plot.most()), ("4.0".into(), "4.0".into()));
        assert_eq!(plot.path(), "M0.0 61.0h0M600.0 32.5h0");
        let drawn = plot.to_string();
        assert!(drawn.contains("aria-label=\"Requests a second over the last hour: 4.0 now, 4.0 at most\""));
        assert!(!drawn.contains("style"), "the policy refuses styles");
    }

    #[test]
    fn what_is_long_ago_is_not_now() {
        let seen_at = |at_s| Plot::new("Requests", [(at_s, 4.0)].into_iter(), 3600, 4600).now();
        assert_eq!([seen_at(4585), seen_at(4584)], ["4.0", "\u{2013}"]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let plot = Plot::new("Requests", std::iter::empty(), 3600, 4600);
        assert_eq!((plot.now(), plot.path()), ("\u{2013}".to_owned(), String::new()));
    }
}
