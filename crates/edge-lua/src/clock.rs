//! The time of day, the only place where the module asks for it.

use std::ptr;
use std::time::Duration;

/// Seconds since the Unix epoch, at most one kernel tick late, which whole seconds do not notice. Each lookup asks for it:
/// `time` is a handful of instructions in user space (vDSO, time(2)), `clock_gettime` several times as many.
pub(crate) fn now_s() -> u32 {
    // SAFETY: without a place to write to, it only answers.
    let now = unsafe { libc::time(ptr::null_mut()) };
    u32::try_from(now.max(0)).unwrap_or(u32::MAX)
}

/// Processor time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as below.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Milliseconds since the Unix epoch. The coarse clock is read in user space (clock_gettime(2)) and is at most one
/// kernel tick late.
pub(crate) fn now_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the call to write to. Should the call fail, it stays zero, the
    // epoch, at which no rule has ended yet.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
