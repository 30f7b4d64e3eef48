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

/// These seconds since the Unix epoch as people read them, in UTC (RFC 3339): `2026-01-31T08:00:00Z`.
pub fn rfc3339(at_s: u32) -> impl Display {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at_s.into()))
}
