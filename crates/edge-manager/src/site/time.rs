//! Lengths of time as HAProxy writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::refusal::Refusal;

/// Units, the longest first: name and milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A length of time: 1 ms to 24 days, as HAProxy's timers hold (`TIMER_LOOK_BACK`, 2^31 ms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan {
    ms: u64,
}

impl TimeSpan {
    const MAX_MS: u64 = 24 * 86_400_000;

    /// So many seconds.
    pub(super) const fn from_s(seconds: u64) -> Self {
        Self { ms: seconds * 1000 }
    }

    /// Its length, milliseconds.
    pub fn as_ms(self) -> u64 {
        self.ms
    }
}

impl FromStr for TimeSpan {
    type Err = Refusal;

    /// A whole number and its unit: `500ms`, `30s`, `5m`, `1h`, `1d`.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wanted = || Refusal::from("is no length of time such as 500ms, 30s, 5m, 1h or 1d");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let (_, unit_ms) = UNITS.into_iter().find(|&(name, _)| name == unit).ok_or_else(wanted)?;
        let number: u64 = number.parse().map_err(|_| wanted())?;
        let ms = number.checked_mul(unit_ms).filter(|ms| (1..=Self::MAX_MS).contains(ms));
        ms.map(|ms| Self { ms }).ok_or_else(|| "is not between 1ms and 24d".into())
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, ms) = UNITS.into_iter().find(|(_, ms)| self.ms.is_multiple_of(*ms)).unwrap_or(("ms", 1));
        write!(f, "{}{name}", self.ms / ms)
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
