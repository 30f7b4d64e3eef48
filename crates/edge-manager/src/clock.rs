//! The wall clock, which is read where a request or a command comes in, and nowhere below.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// As `2024-01-15T10:30:00`, in UTC: the form that control panels know.
pub fn zoneless(at_s: impl Into<u64>) -> String {
    rfc3339(at_s).to_string().replace('Z', "")
}
