//! In the process under callgrind: which instructions count, and for which case.

use std::hint::black_box;
use std::process::{Command, Stdio};

/// For callgrind's options, which take patterns of names.
pub(crate) const COUNTED: &str = "*counter::counted*";
pub(crate) const CASE_ENDS: &str = "*counter::case_ends*";

/// Callgrind collects all below this function, and nothing else. The work must not become its tail.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// After this function callgrind writes what it has collected to a file of its own, and begins anew.
#[inline(never)]
fn case_ends(case: &str, operations: usize) {
    println!("{case},{operations}");
}

/// Counts cases, if their names contain the text that is asked for.
pub(crate) struct Counter {
    asked: String,
    vgdb_prefix: String,
}

impl Counter {
    /// `vgdb_prefix` is what valgrind was told to name its pipes with.
    pub(crate) fn new(asked: &str, vgdb_prefix: &str) -> Self {
        Self { asked: asked.to_owned(), vgdb_prefix: vgdb_prefix.to_owned() }
    }

    /// Whether any of these cases is asked for, so that it is worth setting them up.
    pub(crate) fn wants(&self, cases: &[&str]) -> bool {
        cases.iter().any(|case| case.contains(&self.asked))
    }

    /// Does `work` with the first half of the inputs, so that the caches hold what they would, then counts it with the
    /// second. An input itself is in the cache, as HAProxy has just written it.
    pub(crate) fn count<T: Clone>(&self, case: &str, inputs: &[T], mut work: impl FnMut(&T)) {
        if !self.wants(&[case]) {
            return;
        }
        let (first, second) = inputs.split_at(inputs.len() / 2);
        self.instrument(true);
        for input in first {
            work(black_box(&input.clone()));
        }
        for input in second {
            let input = black_box(input.clone());
            counted(&mut || work(&input));
        }
        case_ends(case, second.len());
        self.instrument(false);
    }

    /// Switches callgrind's simulation, which makes everything 50 times as slow, by valgrind's own client (`vgdb`, in
    /// the same package): what sets a case up runs without. Valgrind looks for such commands now and then, so this
    /// has to go on running.
    fn instrument(&self, on: bool) {
        let switch = Command::new("vgdb")
            .arg(format!("--vgdb-prefix={}", self.vgdb_prefix))
            .arg(format!("--pid={}", std::process::id()))
            .args(["instrumentation", if on { "on" } else { "off" }])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut switch = switch.expect("vgdb comes with valgrind");
        loop {
            if let Some(status) = switch.try_wait().expect("a child") {
                assert!(status.success(), "vgdb: {status}");
                return;
            }
            std::thread::yield_now();
        }
    }
}
