use std::sync::Arc;
use std::time::Duration;

use edge_filter::{
    Action, CanonicalPath, Conditions, Operation, Origin, ParameterSegments, Provenance, Resource, Settings,
    Status, Target,
};

use super::*;

const HOUR_S: i64 = 3600;
const START_S: i64 = 1_700_000_000;

/// A filter whose clocks a test sets.
struct Bench {
    filter: Filter,
    keeper: Keeper,
    lookups: Lookups,
    clocks: Clocks,
}

impl Bench {
    fn new() -> Self {
        let clocks =
            Clocks { wall_ns: START_S * NS_PER_S, boot_ns: 5_000_000_000, monotonic_ns: 4_000_000_000 };
        let lookups = Lookups::new();
        lookups.are_at(clocks.wall_ns - clocks.monotonic_ns);
        lookups.believe(clocks);
        Self { filter: Filter::new(Settings::default()), keeper: Keeper::new(clocks), lookups, clocks }
    }

    fn now_s(&self) -> u32 {
        self.lookups.now_s(self.clocks.wall_ns / NS_PER_S, || self.clocks.monotonic_ns)
    }

    fn pass(&mut self, s: i64) {
        for clock in [&mut self.clocks.wall_ns, &mut self.clocks.boot_ns, &mut self.clocks.monotonic_ns] {
            *clock += s * NS_PER_S;
        }
    }

    fn set(&mut self, by_s: i64) {
        self.clocks.wall_ns += by_s * NS_PER_S;
    }

    /// A slice as short as can be.
    fn slice(&self) -> Followup {
        self.keeper.follow(&self.filter, self.clocks, &self.lookups, Budget::of(Duration::ZERO))
    }

    /// Slices until the work is done; the line for the log.
    fn follow(&self) -> Option<String> {
        loop {
            let followup = self.slice();
            if !followup.is_cut {
                return followup.line;
            }
        }
    }

    fn put(&self, path: &str, ttl_s: u32, is_learned: bool) {
        let path = CanonicalPath::parse(path, ParameterSegments::Keep, 99).unwrap();
        let learning_ns = self.lookups.learning_ns(|| self.clocks.wall_ns, self.clocks.monotonic_ns);
        let rule = Rule {
            target: Target::Resource(Resource::exact(None, path), Conditions::default()),
            action: Action::Deny(Status::FORBIDDEN),
            expires_at_s: seconds(if is_learned { learning_ns } else { self.clocks.wall_ns }) + ttl_s,
            origin: if is_learned {
                Origin::Learned(Arc::new(Provenance::default()))
            } else {
                Origin::List("list".into())
            },
            reason: "".into(),
        };
        self.filter.submit(Operation::Put(rule), self.now_s()).unwrap();
    }

    /// In the last tenth of its TTL, a learned rule lets one request through.
    fn refuses(&self, path: &str) -> bool {
        self.filter.reader().resource(format!("a.example{path}").as_bytes(), self.now_s()).refuses()
    }
}

#[test]
fn learned_rules_keep_the_time_they_have_left_and_those_of_lists_their_end() {
    for by_s in [HOUR_S, -HOUR_S, 30 * 86_400, -30 * 86_400, 3, -3] {
        let mut bench = Bench::new();
        bench.put("/learned", 300, true);
        bench.put("/listed", 7200, false);
        bench.pass(100);
        assert_eq!(bench.follow(), None);
        bench.set(by_s);
        let line = bench.follow().unwrap();
        let way = if by_s < 0 { "back" } else { "forward" };
        let expected = format!("set {way} by {} s: 1 learned rules keep", by_s.abs());
        assert!(line.contains(&expected), "{line}");
        assert_eq!(bench.keeper.steps(), 1);
        assert_eq!(i64::from(bench.now_s()), START_S + 100 + by_s, "lookups are at the time of day");
        assert_eq!((bench.refuses("/learned"), bench.refuses("/listed")), (true, by_s < 7100), "{by_s}");
        bench.pass(150);
        assert!(bench.refuses("/learned"), "{by_s}");
        bench.pass(51);
        assert_eq!(bench.follow(), None);
        assert!(!bench.refuses("/learned"), "{by_s}");
    }
}

#[test]
fn no_learned_rule_has_ended_while_the_others_are_moved() {
    for by_s in [HOUR_S, -HOUR_S] {
        let mut bench = Bench::new();
        let paths: Vec<_> = (0..200).map(|n| format!("/{n}")).collect();
        paths.iter().for_each(|path| bench.put(path, 300, true));
        bench.set(by_s);
        let mut slices = 1;
        while bench.slice().is_cut {
            slices += 1;
            assert!(paths.iter().all(|path| bench.refuses(path)), "{by_s} after {slices} slices");
            bench.filter.upkeep(bench.now_s(), 99);
        }
        assert!(slices > 9, "it was done at once");
        assert!(paths.iter().all(|path| bench.refuses(path)));
        bench.pass(269);
        assert!(paths.iter().all(|path| bench.refuses(path)));
        bench.pass(31);
        assert!(!paths.iter().any(|path| bench.refuses(path)));
    }
}

#[test]
fn what_is_taught_meanwhile_ends_after_its_ttl() {
    for by_s in [HOUR_S, -HOUR_S] {
        let mut bench = Bench::new();
        (0..100).for_each(|n| bench.put(&format!("/{n}"), 300, true));
        bench.set(by_s);
        // Before the step was seen, and after.
        bench.put("/soon", 300, true);
        assert!(bench.slice().is_cut);
        bench.put("/5", 300, true);
        bench.put("/later", 300, true);
        assert!(bench.follow().unwrap().contains(" learned rules keep"));
        let taught = ["/soon", "/5", "/99", "/later"];
        bench.pass(269);
        assert!(taught.iter().all(|path| bench.refuses(path)), "{by_s}");
        bench.pass(31);
        assert!(!taught.iter().any(|path| bench.refuses(path)), "{by_s}");
    }
}

#[test]
fn steps_there_and_back_leave_what_was_left() {
    for steps in [
        [-100, 100, -100, 100],
        [-3 * 86_400, 3 * 86_400, -HOUR_S, HOUR_S],
        [HOUR_S, -HOUR_S, HOUR_S, -HOUR_S],
        [-10, -20, 10, 20],
        [5, -500, 7, 488],
    ] {
        let mut bench = Bench::new();
        bench.put("/first", 600, true);
        for (n, by_s) in steps.into_iter().enumerate() {
            bench.pass(2);
            bench.set(by_s);
            let line = bench.follow().unwrap();
            assert!(line.contains(&format!(": {} learned rules keep", n + 1)), "{steps:?}: {line}");
            bench.put(&format!("/{n}"), 600, true);
        }
        bench.pass(2);
        let now_s = bench.now_s();
        let learned = bench.filter.edit(now_s).unwrap().learned();
        let mut left: Vec<_> = learned.flatten().map(|rule| rule.expires_at_s - now_s).collect();
        left.sort_unstable();
        assert_eq!(left, [590, 592, 594, 596, 598], "{steps:?}");
    }
}

#[test]
fn lookups_do_not_believe_a_step_that_was_not_seen_yet() {
    for by_s in [HOUR_S, -HOUR_S, 2, -1] {
        let mut bench = Bench::new();
        bench.put("/learned", 300, true);
        bench.set(by_s);
        assert_eq!((i64::from(bench.now_s()), bench.refuses("/learned")), (START_S, true), "{by_s}");
        // Nor where nobody looks for a while.
        bench.pass(10);
        assert_eq!(i64::from(bench.now_s()), START_S + 10, "{by_s}");
    }
    let mut bench = Bench::new();
    bench.pass(1);
    assert_eq!(i64::from(bench.now_s()), START_S + 1);
    assert_eq!(
        Lookups::new().now_s(START_S, || 7),
        seconds(START_S * NS_PER_S),
        "before the start, the wall clock"
    );
}

#[test]
fn slewing_and_sleep_are_no_steps() {
    let mut bench = Bench::new();
    bench.put("/learned", 300, true);
    for _ in 0..100 {
        bench.clocks.wall_ns += 100_000_000;
        assert_eq!(bench.slice(), Followup::default());
    }
    assert_eq!(i64::from(bench.now_s()), START_S + 10, "the time of day is followed");
    // The machine sleeps: the time to live passes.
    bench.clocks.wall_ns += 1000 * NS_PER_S;
    bench.clocks.boot_ns += 1000 * NS_PER_S;
    assert_eq!(bench.slice(), Followup::default());
    assert_eq!((i64::from(bench.now_s()), bench.refuses("/learned")), (START_S + 1010, false));
    assert_eq!(bench.keeper.steps(), 0);
}

#[test]
fn steps_that_follow_each_other_are_made_good_in_turn() {
    let mut bench = Bench::new();
    (0..100).for_each(|n| bench.put(&format!("/{n}"), 300, true));
    bench.set(HOUR_S);
    assert!(bench.slice().is_cut);
    bench.set(-2 * HOUR_S);
    assert!(bench.follow().unwrap().contains("set forward by 3600 s"));
    assert!(bench.follow().unwrap().contains("set back by 7200 s: 100 learned"));
    assert_eq!((i64::from(bench.now_s()), bench.keeper.steps()), (START_S - HOUR_S, 2));
    bench.pass(269);
    assert!((0..100).all(|n| bench.refuses(&format!("/{n}"))));
    bench.pass(31);
    assert!(!(0..100).any(|n| bench.refuses(&format!("/{n}"))));
}

#[test]
fn while_another_thread_changes_the_rules_it_waits() {
    let mut bench = Bench::new();
    bench.put("/learned", 300, true);
    bench.set(HOUR_S);
    let edit = bench.filter.edit(1).unwrap();
    assert_eq!(bench.slice(), Followup::default());
    drop(edit);
    assert!(bench.refuses("/learned"));
    assert!(bench.follow().is_some() && bench.refuses("/learned"));
}

#[test]
fn times_beyond_2106_are_the_last_second() {
    let mut bench = Bench::new();
    bench.put("/learned", 300, true);
    bench.set(100 * 365 * 86_400);
    assert!(bench.follow().is_some());
    assert_eq!(bench.now_s(), u32::MAX);
}
