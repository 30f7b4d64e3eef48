//! What replacing a list by another in slices costs, and what it costs those who read and teach meanwhile.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edge_filter::{
    Action, AddressRule, Edit, Filter, List as AddressList, Lists, NEVER, Operation, Origin, Replacement,
    Rule, Settings, Status, Target,
};

use crate::allocated::{heap_bytes, peak_bytes, restart_peak};
use crate::cpu::on_cpu;
use crate::lists::{List, Probe};
use crate::rules::{LIST, NOW_S};

/// Work of one turn of the upkeep. Between two, others have the writer's place.
const TURN: Duration = Duration::from_micros(500);

/// Addresses that are gathered between two looks at the time, and parts of the table that are replaced.
const GATHERED: usize = 1024;
const PARTS: usize = 16;

/// Pieces that are freed between two looks at the time.
const FREED: usize = 32;

/// How long the reader reads before there is a change, to compare with.
const BEFORE: Duration = Duration::from_secs(2);

/// Time of the pieces of one kind, as the processor counts it.
struct Pieces {
    name: &'static str,
    count: u32,
    sum: Duration,
    longest: Duration,
}

impl Pieces {
    const fn new(name: &'static str) -> Self {
        Self { name, count: 0, sum: Duration::ZERO, longest: Duration::ZERO }
    }

    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = on_cpu();
        let answer = work();
        let took = on_cpu() - start;
        (self.count, self.sum, self.longest) = (self.count + 1, self.sum + took, self.longest.max(took));
        answer
    }

    fn print(&self) {
        println!(
            "  {:<34}{:>9} pieces, {:>8.1} us on average, {:>8.0} us the longest",
            self.name,
            self.count,
            self.sum.as_secs_f64() * 1e6 / f64::from(self.count.max(1)),
            self.longest.as_secs_f64() * 1e6,
        );
    }
}

fn blocking(list: &List) -> Vec<AddressRule> {
    let rule = |&net| AddressRule {
        list: AddressList::Block,
        net,
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NEVER,
    };
    list.nets.iter().map(rule).collect()
}

fn load(filter: &Filter, rules: &[AddressRule]) {
    let mut edit = filter.edit(NOW_S).expect("nobody else writes yet");
    edit.draft_addresses(&LIST.into(), &"".into(), [rules]);
    edit.publish_draft();
}

/// Turns of work, until a piece answers that it was the last.
fn in_turns(filter: &Filter, mut piece: impl FnMut(&mut Edit<'_>) -> bool) {
    loop {
        if let Some(mut edit) = filter.edit(NOW_S) {
            let start = Instant::now();
            while start.elapsed() < TURN {
                if piece(&mut edit) {
                    return;
                }
            }
        }
        std::thread::yield_now();
    }
}

fn replace(filter: &Filter, rules: &[AddressRule]) -> [Pieces; 4] {
    let mut pieces = ["gathering", "replacing", "publishing", "freeing"].map(Pieces::new);
    let [gathering, replacing, publishing, freeing] = &mut pieces;
    let mut replacement = Replacement::new(Lists::One(LIST.into()));
    let mut chunks = rules.chunks(GATHERED);
    let (list, reason) = (LIST.into(), "".into());
    in_turns(filter, |edit| match chunks.next() {
        Some(rules) => {
            gathering.time(|| replacement.gather(edit, &list, &reason, rules));
            false
        }
        None => true,
    });
    let mut lessons = Vec::new();
    in_turns(filter, |edit| replacing.time(|| replacement.replace(edit, PARTS, &mut lessons)));
    loop {
        if let Some(mut edit) = filter.edit(NOW_S) {
            publishing.time(move || {
                edit.publish_draft();
                drop(edit);
            });
            break;
        }
    }
    loop {
        let start = Instant::now();
        while start.elapsed() < TURN {
            if freeing.time(|| filter.upkeep(NOW_S, FREED)) < FREED {
                return pieces;
            }
        }
        std::thread::yield_now();
    }
}

/// Lookups a second of processor time until `done`.
fn read(filter: &Filter, probes: &[IpAddr], done: impl Fn() -> bool) -> f64 {
    let mut reader = filter.reader();
    let start = on_cpu();
    let mut lookups = 0;
    for probes in probes.chunks(4096).cycle() {
        for &addr in probes {
            std::hint::black_box(reader.address(addr, NOW_S));
        }
        lookups += probes.len();
        if done() {
            break;
        }
    }
    lookups as f64 / (on_cpu() - start).as_secs_f64()
}

/// A lesson a millisecond until `done`; the longest that one took.
fn teach(filter: &Filter, fresh: &[IpAddr], done: &AtomicBool) -> Pieces {
    let mut lessons = Pieces::new("a lesson meanwhile");
    for &addr in fresh.iter().cycle() {
        let rule = Rule {
            target: Target::Client(AddressList::Block, edge_filter::ClientNet::host(addr)),
            action: Action::Deny(Status::FORBIDDEN),
            expires_at_s: NOW_S + 300,
            origin: Origin::Learned(Default::default()),
            reason: "".into(),
        };
        // The queue is full where the machine has left an edit without a processor for long: the filter counts that.
        let _ = lessons.time(|| filter.submit(Operation::Put(rule), NOW_S));
        if done.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    lessons
}

/// Measure replacing a list by another while others read and teach, and print the figures.
pub fn report(old: &List, new: &List) {
    println!(
        "\nreplacing {} by {}, in turns of {TURN:?}; a piece gathers {GATHERED} rules or replaces {PARTS} parts",
        old.name, new.name
    );
    let filter = Filter::new(Settings::default());
    let before = heap_bytes();
    load(&filter, &blocking(old));
    let loaded = heap_bytes() - before;
    let (probes, fresh) = (Probe::Skewed.addresses(old), Probe::Miss.addresses(old));
    let start = Instant::now();
    let alone = read(&filter, &probes, || start.elapsed() > BEFORE);
    let rules = blocking(new);
    let before = heap_bytes() - loaded;
    restart_peak();
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let (pieces, lessons, beside) = std::thread::scope(|scope| {
        let lessons = scope.spawn(|| teach(&filter, &fresh, &done));
        let reader = scope.spawn(|| read(&filter, &probes, || done.load(Ordering::Relaxed)));
        let pieces = replace(&filter, &rules);
        done.store(true, Ordering::Relaxed);
        let join = "no thread panics";
        (pieces, lessons.join().expect(join), reader.join().expect(join))
    });
    let took = start.elapsed();
    while filter.upkeep(NOW_S, 1024) == 1024 {}
    pieces.iter().chain([&lessons]).for_each(Pieces::print);
    println!(
        "  in all {:.1} s; a reader keeps {:.0} % of its throughput",
        took.as_secs_f64(),
        beside / alone * 100.0
    );
    let each = |bytes: usize| bytes as f64 / rules.len() as f64;
    println!("  lessons turned away by a full queue: {}", filter.counters().queue_full);
    println!(
        "  bytes a rule: {:.0} before, {:.0} at the peak, {:.0} after",
        each(loaded),
        each(peak_bytes() - before),
        each(heap_bytes() - before)
    );
    assert_eq!(filter.snapshot().counts().block - filter.snapshot().counts().learned, rules.len());
}
