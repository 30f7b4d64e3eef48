//! The time of day, the only place where the module asks for it.
//!
//! The wall clock may be set at any moment: all learned rules would end, or go on for ever. So lookups believe it as
//! long as it goes on from where [`Keeper`] saw it last, and count on by themselves where it does not.

mod keeper;

use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

pub(crate) use keeper::Keeper;

static LOOKUPS: Lookups = Lookups::new();

/// The time of day by which rules are looked up.
struct Lookups {
    /// From `CLOCK_MONOTONIC` to it, nanoseconds.
    offset_ns: AtomicI64,
    /// The same for what is learned, which ends at a time of this one: while learned rules are being moved by a step, it is where
    /// lookups will be.
    learning_offset_ns: AtomicI64,
    /// The second of the wall clock as of the last look at it.
    wall_s: AtomicI64,
}

/// No clock says this.
const UNKNOWN: i64 = i64::MIN;

impl Lookups {
    const fn new() -> Self {
        Self {
            offset_ns: AtomicI64::new(UNKNOWN),
            learning_offset_ns: AtomicI64::new(UNKNOWN),
            wall_s: AtomicI64::new(UNKNOWN),
        }
    }

    /// From now on, this is the time, for what is learned too.
    fn are_at(&self, offset_ns: i64) {
        self.learn_by(offset_ns);
        self.offset_ns.store(offset_ns, Relaxed);
    }

    /// From now on, this is the time for what is learned.
    fn learn_by(&self, offset_ns: i64) {
        self.learning_offset_ns.store(offset_ns, Relaxed);
    }

    /// The time of day by which rules are learned.
    fn learning_ns(&self, wall_ns: impl FnOnce() -> i64, monotonic_ns: i64) -> i64 {
        match self.learning_offset_ns.load(Relaxed) {
            UNKNOWN => wall_ns(),
            offset_ns => monotonic_ns.saturating_add(offset_ns),
        }
    }

    /// The wall clock may be believed for a second.
    fn believe(&self, clocks: Clocks) {
        self.wall_s.store(clocks.wall_ns / NS_PER_S, Relaxed);
    }

    fn disbelieve(&self) {
        self.wall_s.store(UNKNOWN, Relaxed);
    }

    /// Where the wall clock may not be believed, by the other one.
    fn at_ns(&self, wall_ns: i64, monotonic_ns: i64) -> i64 {
        match self.offset_ns.load(Relaxed) {
            UNKNOWN => wall_ns,
            offset_ns => monotonic_ns.saturating_add(offset_ns),
        }
    }

    #[inline]
    fn now_s(&self, wall_s: i64, monotonic_ns: impl FnOnce() -> i64) -> u32 {
        let since_s = wall_s.wrapping_sub(self.wall_s.load(Relaxed));
        if (0..=1).contains(&since_s) {
            return u32::try_from(wall_s).unwrap_or(u32::MAX);
        }
        seconds(self.at_ns(wall_s.saturating_mul(NS_PER_S), monotonic_ns()))
    }
}

const NS_PER_S: i64 = 1_000_000_000;

/// What the clocks of the system say at one moment, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// Since the Unix epoch; anybody with the right to may set it.
    pub(crate) wall_ns: i64,
    /// Since the machine started, its sleep counted.
    pub(crate) boot_ns: i64,
    /// The same without its sleep. Each of these two goes on evenly.
    pub(crate) monotonic_ns: i64,
}

impl Clocks {
    pub(crate) fn now() -> Self {
        Self {
            wall_ns: ns(libc::CLOCK_REALTIME),
            boot_ns: ns(libc::CLOCK_BOOTTIME),
            monotonic_ns: ns(libc::CLOCK_MONOTONIC),
        }
    }
}

/// Lets lookups begin at the wall clock, unless they have begun.
pub(crate) fn start() {
    let clocks = Clocks::now();
    let offset_ns = clocks.wall_ns.saturating_sub(clocks.monotonic_ns);
    if LOOKUPS.offset_ns.compare_exchange(UNKNOWN, offset_ns, Relaxed, Relaxed).is_ok() {
        LOOKUPS.learn_by(offset_ns);
        LOOKUPS.believe(clocks);
    }
}

/// Seconds since the Unix epoch by which rules are looked up, at most one kernel tick late, which whole seconds do not
/// notice. Each lookup asks for it: `time` is a handful of instructions in user space (vDSO, time(2)), `clock_gettime`
/// several times as many.
#[inline]
pub(crate) fn now_s() -> u32 {
    // SAFETY: without a place to write to, it only answers.
    let wall_s = unsafe { libc::time(ptr::null_mut()) };
    LOOKUPS.now_s(wall_s, || ns(libc::CLOCK_MONOTONIC_COARSE))
}

/// Microseconds since the Unix epoch by the wall clock, that orders what two workers write in one kernel tick.
pub(crate) fn now_us() -> u64 {
    u64::try_from(now(libc::CLOCK_REALTIME).as_micros()).unwrap_or(u64::MAX)
}

/// Microseconds since the Unix epoch by which the TTL of what is learned begins: a step of the wall clock counts from when
/// [`Keeper`] has seen it.
pub(crate) fn learning_now_us() -> u64 {
    let learning_ns = LOOKUPS.learning_ns(|| ns(libc::CLOCK_REALTIME), ns(libc::CLOCK_MONOTONIC));
    u64::try_from(learning_ns / 1000).unwrap_or(0)
}

/// Processor time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    now(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn seconds(ns: i64) -> u32 {
    u32::try_from(ns.max(0) / NS_PER_S).unwrap_or(u32::MAX)
}

fn ns(clock: libc::clockid_t) -> i64 {
    let now = timespec(clock);
    now.tv_sec.saturating_mul(NS_PER_S).saturating_add(now.tv_nsec)
}

fn now(clock: libc::clockid_t) -> Duration {
    let now = timespec(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn timespec(clock: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the call to write to. Should the call fail, it stays zero, the
    // epoch, at which no rule has ended yet.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now
}
