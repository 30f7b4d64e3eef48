//! The time of day, the only place where the module asks for it.

use std::time::Duration;

/// Seconds since the Unix epoch. The coarse clock is read in user space (vDSO, clock_gettime(2)) and is at
/// most one kernel tick late, which whole seconds do not notice.
pub(crate) fn now_s() -> u32 {
    u32::try_from(now(libc::CLOCK_REALTIME_COARSE).as_secs()).unwrap_or(u32::MAX)
}

/// Microseconds since the Unix epoch, by the clock that orders what two workers write in one kernel tick.
pub(crate) fn now_us() -> u64 {
    u64::try_from(now(libc::CLOCK_REALTIME).as_micros()).unwrap_or(u64::MAX)
}

/// Processor time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    now(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn now(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the call to write to. Should the call fail, it stays zero, the
    // epoch, at which no rule has ended yet.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
