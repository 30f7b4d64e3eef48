//! Times and lengths of time, for people.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::clock::{LAST_S, rfc3339};

/// A moment as it is seen from now: relative, with the exact time on hover and for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// As `2026-01-31T08:00:00Z`.
    pub(super) exact: String,
    /// As `3 min ago` or `in 2 h`.
    pub(super) words: String,
}

impl Moment {
    /// Of a time, both in seconds since the Unix epoch.
    pub(super) fn new(at_s: impl Into<u64>, now_s: u32) -> Self {
        let (at_s, now_s) = (at_s.into().min(LAST_S), u64::from(now_s));
        let exact = rfc3339(at_s).to_string();
        let words = match at_s.checked_sub(now_s) {
            Some(0) => "now".to_owned(),
            Some(left_s) => format!("in {}", span(left_s)),
            None => format!("{} ago", span(now_s - at_s)),
        };
        Self { exact, words }
    }
}

impl fmt::Display for Moment {
    /// Nothing of it is anybody's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exact, words } = self;
        write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">{words}</time>")
    }
}

impl HtmlSafe for Moment {}

/// A length of time by its greatest unit, rounded down: `45 s`, `3 min`, `2 h`, `5 d`.
pub(super) fn span(length_s: u64) -> String {
    match length_s {
        0..60 => format!("{length_s} s"),
        60..3600 => format!("{} min", length_s / 60),
        3600..172_800 => format!("{} h", length_s / 3600),
        _ => format!("{} d", length_s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_from_now_and_exactly() {
        let now_s = 1_700_000_000;
        for (at_s, words) in [
            (now_s, "now"),
            (now_s - 59, "59 s ago"),
            (now_s - 60, "1 min ago"),
            (now_s - 7199, "1 h ago"),
            (now_s - 172_800, "2 d ago"),
            (now_s + 3600, "in 1 h"),
            (u32::MAX - 1, "in 30034 d"),
        ] {
            assert_eq!(Moment::new(at_s, now_s).words, words);
        }
        assert_eq!(Moment::new(u64::MAX, now_s).exact, "9999-12-31T23:59:59Z");
        let time = "<time datetime=\"2023-11-14T22:13:20Z\" title=\"2023-11-14T22:13:20Z\">now</time>";
        assert_eq!(Moment::new(now_s, now_s).to_string(), time);
    }
}
