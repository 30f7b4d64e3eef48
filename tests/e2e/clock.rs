//! Steps of the system clock, by libfaketime: of HAProxy's process alone.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use edge_e2e::{Answer, Backend, Edge, Mode, Request, StateHome, eventually, tell};

/// Where Debian's package `faketime` has the library for programs with threads.
fn libfaketime() -> Option<PathBuf> {
    let architecture = std::env::consts::ARCH;
    let library = PathBuf::from(format!("/usr/lib/{architecture}-linux-gnu/faketime/libfaketimeMT.so.1"));
    if library.exists() {
        return Some(library);
    }
    let required = std::env::var_os("EDGE_MATRIX").is_some_and(|value| value == "require");
    assert!(!required, "{} is not there: scripts/install.sh faketime", library.display());
    tell("skipped: faketime is not installed (scripts/install.sh faketime)");
    None
}

/// A wall clock that is so many seconds off, by what a file says.
struct SteppedClock {
    dir: tempfile::TempDir,
    library: PathBuf,
}

impl SteppedClock {
    fn new() -> Option<Self> {
        let library = libfaketime()?;
        let clock = Self { dir: tempfile::tempdir().expect("a directory"), library };
        clock.set("+0");
        Some(clock)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    fn set(&self, offset: &str) {
        // Not half written for a reader.
        let new = self.dir.path().join("new");
        fs::write(&new, offset).expect("a file");
        fs::rename(&new, self.file()).expect("a file");
    }

    fn command(&self) -> Vec<OsString> {
        let of = |name: &str, value: &Path| {
            let mut text = OsString::from(format!("{name}="));
            text.push(value);
            text
        };
        vec![
            "env".into(),
            of("LD_PRELOAD", &self.library),
            of("FAKETIME_TIMESTAMP_FILE", &self.file()),
            "FAKETIME_NO_CACHE=1".into(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        ]
    }
}

fn steps(edge: &Edge) -> f64 {
    edge.metrics().sum("edge_filter_clock_steps_total", &[])
}

fn step_and_learn(by: &str, told: &str) {
    let Some(clock) = SteppedClock::new() else { return };
    let backend = Backend::start();
    let home = StateHome::new(Mode::DEFAULT);
    let mut edge = Edge::before(&backend, Mode::DEFAULT)
        .list("resources.lst", "/yeet\n")
        .state(&home)
        .under(clock.command())
        .start();
    backend.answer("/learned", Answer::teaching("false; ttl=1000"));
    assert!(!edge.refuses(&Request::get("/learned")));
    assert!(edge.refuses(&Request::get("/learned")));
    assert_eq!(steps(&edge), 0.0);

    let before = journals(&home);
    clock.set(by);
    eventually("the step to be seen", || (steps(&edge) == 1.0).then_some(()));
    eventually("a line about the step", || {
        edge.haproxy().log().lines().any(|line| line.contains(told)).then_some(())
    });
    assert!(edge.refuses(&Request::get("/learned")), "the clock ended it");
    assert!(edge.refuses(&Request::get("/yeet")));
    assert!(is_left(&edge), "{}", edge.cli(EXPLAIN));

    // The journal was written anew: a start by the new time finds the rule with what is left of it.
    eventually("the end of the journal from before", || {
        (!before.iter().any(|journal| journal.exists())).then_some(())
    });
    edge.crash_and_restart();
    assert!(edge.refuses(&Request::get("/learned")), "it did not outlive the restart");
    assert!(is_left(&edge), "{}", edge.cli(EXPLAIN));
}

const EXPLAIN: &str = "get edge www.example/learned";

/// Whether the rule has some thousand seconds left; its end is rounded up to a second.
fn is_left(edge: &Edge) -> bool {
    let said = edge.cli(EXPLAIN);
    let left = said.split(" s left").next().and_then(|text| text.rsplit(' ').next());
    left.and_then(|s| s.parse::<u32>().ok()).is_some_and(|left| (800..=1001).contains(&left))
}

fn journals(home: &StateHome) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.path().join("learned")).expect("a directory");
    entries.map(|entry| entry.expect("a file").path()).collect()
}

#[test]
fn a_learned_rule_outlives_a_step_forward() {
    step_and_learn("+7200", "the system clock was set forward by 7200 s: 1 learned rules keep");
}

#[test]
fn a_learned_rule_outlives_a_step_back() {
    step_and_learn("-7200", "the system clock was set back by 7200 s: 1 learned rules keep");
}

/// As where a machine starts with a wrong clock, or a time service is led astray for a while.
#[test]
fn a_learned_rule_outlives_steps_there_and_back() {
    let Some(clock) = SteppedClock::new() else { return };
    let backend = Backend::start();
    let edge = Edge::before(&backend, Mode::DEFAULT).under(clock.command()).start();
    backend.answer("/learned", Answer::teaching("false; ttl=1000"));
    assert!(!edge.refuses(&Request::get("/learned")));
    for (n, offset) in ["-300", "+0", "-86400", "+0", "+86400", "-86400"].into_iter().enumerate() {
        clock.set(offset);
        eventually("the step to be seen", || (steps(&edge) == n as f64 + 1.0).then_some(()));
        eventually("what is left", || is_left(&edge).then_some(()));
        assert!(edge.refuses(&Request::get("/learned")), "{offset}");
    }
}
