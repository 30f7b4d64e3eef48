//! What the upkeep task does: no thread of our own exists, HAProxy's Lua task calls this every 25 ms, and sooner while
//! work is left.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::clock::Clocks;
use crate::engine::{self, Engine};
use crate::state::{Budget, Report, Turn};
use crate::{clock, guard};

/// Work of one turn: HAProxy's thread serves nobody meanwhile. A piece of work that was begun, and the freeing of memory
/// after a large change, may exceed it, by some tenths of a millisecond as a rule. While work is left, HAProxy looks at all
/// connections once between two turns; many short ones change as much as few long ones, and slow nobody down as far.
const TURN: Duration = Duration::from_micros(500);

/// Of it, what sweeping and freeing may take, so that the state directory has its share.
const SWEEP: Duration = Duration::from_micros(250);

/// Pieces swept or freed between two looks at the time; some microseconds each.
const SLICE: usize = 8;

/// More than glibc's malloc hands out without looking at what was freed (`MAX_TCACHE_SIZE` of malloc/malloc.c: 1032).
const LARGE_BYTES: usize = 4096;

/// How long the turns of the upkeep took.
#[derive(Default)]
pub(crate) struct Upkeep {
    longest_ns: AtomicU64,
    longest_cpu_ns: AtomicU64,
}

impl Upkeep {
    /// The longest turn since the process started, of any state and thread, seconds.
    pub(crate) fn longest_s(&self) -> f64 {
        self.longest_ns.load(Relaxed) as f64 / 1e9
    }

    /// The most processor time that a turn took, seconds. Unlike the time that passed, it is not that of other
    /// processes.
    pub(crate) fn longest_cpu_s(&self) -> f64 {
        self.longest_cpu_ns.load(Relaxed) as f64 / 1e9
    }

    fn measure<T>(&self, turn: impl FnOnce() -> T) -> T {
        let (started, cpu_started) = (Instant::now(), clock::thread_cpu());
        let result = turn();
        let ns = |took: Duration| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.longest_ns.fetch_max(ns(started.elapsed()), Relaxed);
        self.longest_cpu_ns.fetch_max(ns(clock::thread_cpu().saturating_sub(cpu_started)), Relaxed);
        result
    }
}

/// One turn. Every thread lets go of the snapshot that its last lookup left behind; the first also applies what waits,
/// removes what ended, and follows the state directory. A panic becomes a line for the log.
pub(crate) fn tick(engine: &Engine, is_first: bool) -> Turn {
    engine.upkeep.measure(|| {
        survive(|| {
            let budget = Budget::of(TURN);
            let turn = if is_first { work(engine, budget) } else { Turn::default() };
            engine::with_reader(|reader| reader.refresh());
            turn
        })
    })
}

/// The turn must not end the task that takes it: nobody would start it again.
fn survive(turn: impl FnOnce() -> Turn) -> Turn {
    let mut turn = guard::catch(|| Some(turn())).unwrap_or_default();
    let panic = guard::last_panic();
    turn.lines.extend(panic.map(|panic| format!("caught a panic, please report it: {panic}")));
    turn
}

fn work(engine: &Engine, budget: Budget) -> Turn {
    let sweep = Budget::of(SWEEP);
    // Before what has ended is swept: it may have ended by a step of the clock alone.
    let followup = engine.clock.turn(&engine.filter, Clocks::now(), sweep);
    if let Some(state) = engine.state.as_ref().filter(|_| followup.has_moved) {
        state.write_anew();
    }
    let mut is_cut = followup.is_cut;
    while engine.filter.upkeep(clock::now_s(), SLICE) == SLICE {
        if sweep.is_spent() {
            is_cut = true;
            break;
        }
    }
    let mut turn = match &engine.state {
        Some(state) => state.turn(&engine.filter, clock::now_us(), budget),
        None => Turn::default(),
    };
    turn.is_cut |= is_cut;
    turn.lines.extend(followup.line);
    join_freed();
    if let Some(heap) = &engine.heap {
        heap.tell(false);
    }
    turn
}

/// Makes glibc's malloc join what this thread has freed; of other ones it asks next to nothing.
///
/// Freed chunks of at most 128 bytes, such as one of each bucket of a table, are put aside until a large one is asked
/// for, or 64 KiB come together by what is freed (malloc/malloc.c: `malloc_consolidate`, called by `_int_malloc` and
/// `_int_free`). Then all are joined in one call: after a million rules were replaced, 1 to 3.4 ms, in the middle of a
/// slice or of a request. Joined once a turn, while they are in the cache, they take 0.05 to 0.4 ms.
fn join_freed() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_BYTES)));
}

/// Applies what waits, reads on in the state directory, and answers with the manager's revision then in force, how many rules and
/// changes came to it, and their hash. Behind that, in this order, what keeps it from being all of them: each holds whatever
/// else does.
pub(crate) fn sync(engine: &Engine) -> String {
    engine.filter.upkeep(clock::now_s(), 0);
    match &engine.state {
        Some(state) => {
            let (report, more) = state.sync(&engine.filter, clock::now_us(), Budget::of(TURN));
            answer(&report, more)
        }
        None => "revision 0".to_owned(),
    }
}

fn answer(report: &Report, more: bool) -> String {
    let Report { revision, taken, hash, incomplete, stopped, rules_problem, .. } = report;
    let hash = hash.as_deref().unwrap_or("unknown");
    let waiting = if more { ", more is waiting" } else { "" };
    let why = match (incomplete, stopped) {
        (true, _) => ", incomplete: ",
        (false, true) => ", stopped: ",
        (false, false) => "",
    };
    let problem = match rules_problem {
        Some(problem) if !why.is_empty() => problem,
        None if !why.is_empty() => "its log says why",
        _ => "",
    };
    format!("revision {revision}, taken {taken}, hash {hash}{waiting}{why}{problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_rules_says_so_whatever_else_waits() {
        let report = Report { revision: 7, taken: 8192, incomplete: true, ..Report::default() };
        let problem = Some("rules.snapshot: damaged at byte 9".to_owned());
        let report = Report { rules_problem: problem, ..report };
        let expected = "revision 7, taken 8192, hash unknown, more is waiting, incomplete: rules.snapshot: damaged at byte 9";
        assert_eq!(answer(&report, true), expected);
        let report = Report { hash: Some("0a".into()), incomplete: false, ..report };
        assert_eq!(answer(&report, false), "revision 7, taken 8192, hash 0a");
        let stopped = Report { stopped: true, ..report };
        assert!(answer(&stopped, false).ends_with(", stopped: rules.snapshot: damaged at byte 9"));
    }

    #[test]
    fn a_panic_does_not_end_the_task() {
        let before = guard::panics();
        survive(|| panic!("on purpose"));
        assert!(guard::panics() > before);
        let turn = survive(|| Turn { is_cut: true, ..Turn::default() });
        assert!(turn.is_cut);
    }

    /// Bytes that malloc has put aside to join later, of all threads.
    #[cfg(target_env = "gnu")]
    fn put_aside_bytes() -> usize {
        // SAFETY: it takes nothing and answers with numbers.
        unsafe { libc::mallinfo2() }.fsmblks
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn what_was_freed_is_not_left_to_the_next_request() {
        const MANY: usize = 100_000;
        const MANY_BYTES: usize = MANY * 96;
        let engine = Engine::build([], 1_000_000).unwrap();
        let mut small: Vec<_> = (0..MANY).map(|_| Box::new([0u8; 88])).collect();
        // Not the list itself: freeing so much at once joins them too.
        small.clear();
        let before = put_aside_bytes();
        assert!(before > MANY_BYTES * 9 / 10, "{before}");
        tick(&engine, true);
        // Other tests run at the same time.
        assert!(put_aside_bytes() < before - MANY_BYTES / 2, "{}", put_aside_bytes());
    }

    #[test]
    fn the_longest_turn_counts() {
        let upkeep = Upkeep::default();
        upkeep.measure(|| std::thread::sleep(Duration::from_millis(20)));
        upkeep.measure(|| ());
        assert!(upkeep.longest_s() >= 0.02);
        assert!(upkeep.longest_cpu_s() < upkeep.longest_s(), "it slept");
    }
}
