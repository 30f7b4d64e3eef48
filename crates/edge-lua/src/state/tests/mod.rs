//! The state directory without HAProxy: time is passed in, and turns are taken one by one.

mod anew;
mod compaction;
mod day;
mod interleavings;
mod lessons;
mod manager;
mod marks;
mod overtaken;
mod published;
mod slices;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge_filter::{
    Action, CanonicalPath, Conditions, Filter, Host, List, NEVER, Operation, Origin, ParameterSegments,
    Provenance, Resource, Rule, Settings, Status, Target,
};
use edge_journal::{MAX_TAKEN_BACK, Taken};
use tempfile::TempDir;

use super::{Budget, State, StateSettings};

const START_US: u64 = 1_700_000_000_000_000;

/// One worker.
struct Worker {
    filter: Filter,
    state: State,
    now_us: u64,
    /// All that it said.
    lines: Vec<String>,
}

impl Worker {
    fn start(dir: &Path, now_us: u64) -> Self {
        Self::with(dir, Settings::default(), 1 << 20, now_us)
    }

    /// Loads, and does nothing else yet.
    fn with(dir: &Path, settings: Settings, max_journal_bytes: u64, now_us: u64) -> Self {
        let filter = Filter::new(settings);
        let settings = StateSettings { dir: dir.to_owned(), max_journal_bytes };
        let (state, lines) = State::load(&settings, &filter, vec!["file".into()], now_us).unwrap();
        Self { filter, state, now_us, lines }
    }

    /// Takes turns until nothing is left to do, a second later.
    fn turn(&mut self) -> &mut Self {
        self.now_us += 1_000_000;
        loop {
            let turn = self.state.turn(&self.filter, self.now_us, Budget::UNLIMITED);
            self.lines.extend(turn.lines);
            if !turn.is_cut {
                return self;
            }
        }
    }

    /// The revision that it then says is in force, and whether more is waiting.
    fn sync(&self, budget: Budget) -> (u64, bool) {
        let (report, more) = self.state.sync(&self.filter, self.now_us, budget);
        (report.revision, more)
    }

    fn now_s(&self) -> u32 {
        (self.now_us / 1_000_000) as u32
    }

    /// As a response teaches.
    fn learn(&mut self, path: &str, ttl_s: u32) {
        let stamp_us = self.state.stamp_us(self.now_us);
        self.submit(stamp_us, Operation::Put(learned(path, stamp_us, self.now_s() + ttl_s)));
    }

    fn take_back(&mut self, path: &str) {
        let stamp_us = self.state.stamp_us(self.now_us);
        self.submit(stamp_us, Operation::ForgetResource(resource(path)));
    }

    fn submit(&mut self, stamp_us: u64, operation: Operation) {
        let takes_back = State::takes_back(&self.filter, &operation);
        self.filter.submit(operation.clone(), self.now_s()).unwrap();
        self.state.learned(stamp_us, &operation, takes_back);
    }

    fn refuses(&self, path: &str) -> bool {
        let base = format!("shop.example{path}");
        self.filter.reader().resource(base.as_bytes(), self.now_s()).refuses()
    }

    fn blocks(&self, addr: &str) -> bool {
        self.filter.reader().address(addr.parse().unwrap(), self.now_s()).refuses()
    }

    fn said(&self, words: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(words)).count()
    }
}

fn resource(path: &str) -> Resource {
    let path = CanonicalPath::parse(path, ParameterSegments::Keep, 1024).unwrap();
    Resource::exact(Some(Host::parse("shop.example").unwrap()), path)
}

fn learned(path: &str, learned_at_us: u64, expires_at_s: u32) -> Rule {
    let from = Provenance { backend: "shop".into(), learned_at_us, ..Provenance::default() };
    Rule {
        target: Target::Resource(resource(path), Conditions::default()),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s,
        origin: Origin::Learned(Arc::new(from)),
        reason: "".into(),
    }
}

fn listed(net: &str) -> Rule {
    Rule {
        target: Target::Client(List::Block, net.parse().unwrap()),
        action: Action::Deny(Status::FORBIDDEN),
        expires_at_s: NEVER,
        origin: Origin::List("ours".into()),
        reason: "".into(),
    }
}

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("state");
    std::fs::create_dir(&dir).unwrap();
    (home, dir)
}

/// The learned journals, sorted.
fn journals(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("learned")).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
