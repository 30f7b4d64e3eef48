//! The wall clock, which is read where a request or a command comes in, and nowhere below.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since the Unix epoch.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Whole seconds since the Unix epoch.
pub fn now_s() -> u32 {
    seconds(now_us())
}

/// The whole seconds of so many microseconds.
pub fn seconds(us: u64) -> u32 {
    u32::try_from(us / 1_000_000).unwrap_or(u32::MAX)
}

/// No later time has four digits of the year, seconds since the Unix epoch.
pub const LAST_S: u64 = 253_402_300_799;

/// These seconds since the Unix epoch as people read them, in UTC (RFC 3339): `2026-01-31T08:00:00Z`. Later times than
/// [`LAST_S`] are that one.
pub fn rfc3339(at_s: impl Into<u64>) -> impl Display {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at_s.into().min(LAST_S)))
}

/// A text that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-01-31T08:00:00Z or 2026-01-31T08:00:00+01:00")]
pub struct InvalidTime;

/// The whole seconds since the Unix epoch of a time in RFC 3339, such as `2026-01-31T08:00:00+01:00`; 0 for earlier times. A space
/// may stand in place of the `T`. A time without an offset is in UTC.
///
/// # Errors
/// It is none.
pub fn time_s(text: &str) -> Result<u64, InvalidTime> {
    /// Of a date and the separator behind it.
    const DATE_BYTES: usize = 11;
    let mut whole = text.to_owned();
    if whole.get(DATE_BYTES - 1..DATE_BYTES) == Some(" ") {
        whole.replace_range(DATE_BYTES - 1..DATE_BYTES, "T");
    }
    let has_offset = whole.get(DATE_BYTES..).is_some_and(|time| time.contains(['Z', 'z', '+', '-']));
    if !has_offset {
        whole.push('Z');
    }
    let time = OffsetDateTime::parse(&whole, &Rfc3339).map_err(|_| InvalidTime)?;
    Ok(u64::try_from(time.unix_timestamp()).unwrap_or(0))
}

/// As `2024-01-15T10:30:00`, in UTC: the form that control panels know.
pub fn zoneless(at_s: impl Into<u64>) -> String {
    rfc3339(at_s).to_string().replace('Z', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_it_says() {
        let noon = 1_798_718_400;
        for text in [
            "2026-12-31T12:00:00Z",
            "2026-12-31t12:00:00z",
            "2026-12-31 12:00:00",
            "2026-12-31T12:00:00",
            "2026-12-31T12:00:00.999999999Z",
            "2026-12-31T14:00:00.5+02:00",
            "2026-12-31T06:30:00-05:30",
            "2027-01-01 00:00:00.25+12:00",
            "2026-12-31T12:00:00.5",
        ] {
            assert_eq!(time_s(text).ok(), Some(noon), "{text}");
        }
        assert_eq!(time_s("1969-12-31T23:59:59Z").ok(), Some(0));
        assert_eq!(rfc3339(noon).to_string(), "2026-12-31T12:00:00Z");
        for bad in [
            "",
            "2026-12-31",
            "12:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-12-31T24:00:00Z",
            "2026-12-31T12:00:00+2",
            "2026-12-31T12:00:00+25:00",
            "2026-12-31T12:00:00 +02:00",
            "2026-12-31T12:00Z",
            "2026-12-31T12:00:00Zx",
            " 2026-12-31T12:00:00Z",
            "31.12.2026 12:00:00",
        ] {
            assert!(time_s(bad).is_err(), "{bad}");
        }
    }
}
