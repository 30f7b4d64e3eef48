//! Processes that are killed at random moments, under load. What was acknowledged before is there after every restart,
//! what was taken back or has ended is not.
//!
//! `SOAK_SECONDS` says how long each test goes on (15 s otherwise), `SOAK_SEED` repeats the choices of an earlier run.

mod facts;
mod learner;
mod manager;
mod tails;

use std::env;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_e2e::{Backend, Edge, Mode, StateHome, eventually};
use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use facts::Listing;
use learner::Learner;
use manager::Manager;

const LEARNERS: usize = 3;
const DEFAULT_SECONDS: u64 = 15;

/// Longest time under load before something is killed, milliseconds.
const MAX_ROUND_MS: u64 = 400;

#[test]
fn what_was_acknowledged_outlives_a_killed_process() {
    soak(Mode::DEFAULT);
}

#[test]
fn what_was_acknowledged_outlives_a_killed_worker() {
    soak(Mode::WORKER);
}

/// What happened, for the line at the end.
#[derive(Default)]
struct Tally {
    rounds: u64,
    haproxy_kills: u64,
    writer_kills: u64,
    reloads: u64,
    spoilt_tails: u64,
}

/// What is killed at the end of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// Every process of HAProxy.
    Haproxy,
    /// The worker; the master starts the next one when it is told to.
    Worker,
    /// One of two workers, some moments after a reload began.
    WorkerInReload,
    /// The process that writes the rules.
    Writer,
    /// HAProxy and the writer.
    Both,
}

struct Soak<'a> {
    mode: Mode,
    home: &'a StateHome,
    edge: Edge,
    learners: Vec<Learner>,
    manager: Manager<'a>,
    rng: Rng,
    tally: Tally,
}

fn soak(mode: Mode) {
    let seconds = number_from("SOAK_SECONDS").unwrap_or(DEFAULT_SECONDS);
    let seed = number_from("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("crash test of {mode:?} for {seconds} s, SOAK_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let home = StateHome::new(mode);
    let backend = Backend::start();
    backend.answer_others(learner::as_asked);
    let writer_pid = AtomicU32::new(0);
    let mut soak = Soak {
        mode,
        home: &home,
        edge: start(&backend, mode, &home),
        learners: (0..LEARNERS).map(|n| Learner::new(n, rng.fork())).collect(),
        manager: Manager::start(&home, &writer_pid, rng.fork()),
        rng,
        tally: Tally::default(),
    };
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) {
        soak.tally.rounds += 1;
        if let Err(wrong) = soak.round() {
            let Soak { tally, edge, .. } = &soak;
            panic!(
                "SOAK_SEED={seed}, {tally}:\n{wrong}\nfiles: {:?}\n{}",
                home.files(),
                edge.haproxy().log()
            );
        }
    }
    println!(
        "crash test of {mode:?}: {soak}, losses: 0, {:.0} s, SOAK_SEED={seed}",
        started.elapsed().as_secs_f64()
    );
}

fn start(backend: &Backend, mode: Mode, home: &StateHome) -> Edge {
    Edge::before(backend, mode)
        .state(home)
        .list("blocked_ips.map", "")
        .list("allowed.lst", "")
        .list("resources.lst", "")
        .list("backends.lst", "site prefix client\n")
        // A lesson is a few hundred bytes: journals are compacted all the time.
        .setting("EDGE_MAX_JOURNAL_BYTES", "65536")
        .edit("global\n", "global\n  master-worker no-exit-on-failure\n")
        .start()
}

fn number_from(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}: a number is allowed")))
}

impl Soak<'_> {
    /// Load, a kill, a restart, and a look at what is left.
    fn round(&mut self) -> Result<(), String> {
        let victim = self.choose();
        self.load(victim)?;
        let spoilt =
            if victim == Victim::Haproxy || victim == Victim::Both { self.spoil(victim) } else { Vec::new() };
        match victim {
            Victim::Haproxy | Victim::Both => self.edge.start_again(),
            Victim::Worker => self.edge.reload(),
            Victim::WorkerInReload => self.settle_reload(),
            Victim::Writer => {}
        }
        // The load goes on with a rule of either kind here and there, so this is where a difference would show.
        if victim == Victim::Writer || victim == Victim::WorkerInReload {
            manager::sync(&self.edge, self.manager.revision())?;
        }
        self.check(victim)?;
        self.manager.revive_if_dead()?;
        for file in spoilt {
            eventually("a line on the spoilt file", || {
                self.edge.haproxy().log().contains(&file).then_some(())
            });
            let log = self.edge.haproxy().log();
            let lines = log.lines().filter(|line| line.contains(&file)).count();
            if lines != 1 {
                return Err(format!("{lines} lines on {file}, whose tail is spoilt"));
            }
        }
        Ok(())
    }

    fn choose(&mut self) -> Victim {
        match (self.mode.master_worker, self.rng.u8(..10)) {
            (_, 0..4) => Victim::Haproxy,
            (_, 4..6) => Victim::Both,
            (_, 6) => Victim::Writer,
            (false, _) => Victim::Haproxy,
            (true, 7) => Victim::Worker,
            (true, _) => Victim::WorkerInReload,
        }
    }

    /// Clients and the manager do what they do until `victim` is dead.
    fn load(&mut self, victim: Victim) -> Result<(), String> {
        let stop = AtomicBool::new(false);
        let wrong = Mutex::new(Vec::new());
        let note = |outcome: Result<(), String>| {
            if let Err(why) = outcome {
                wrong.lock().expect("no client panics").push(why);
            }
        };
        let is_steady = victim != Victim::WorkerInReload;
        let delay = Duration::from_millis(self.rng.u64(..MAX_ROUND_MS));
        let pause = Duration::from_millis(self.rng.u64(..MAX_ROUND_MS));
        let kills_new = self.rng.bool();
        let Self { edge, learners, manager, tally, .. } = self;
        let writer_pid = manager.pid;
        let worker = edge.worker_pid();
        let dead_edge = thread::scope(|scope| {
            let (edge, stop, note) = (&*edge, &stop, &note);
            for learner in learners.iter_mut() {
                scope.spawn(move || note(learner.run(edge, stop, is_steady)));
            }
            scope.spawn(move || note(manager.run(edge, stop)));
            thread::sleep(delay);
            match victim {
                Victim::Haproxy => {
                    tally.haproxy_kills += 1;
                    kill_now(edge.haproxy().first_pid());
                    if worker != edge.haproxy().first_pid() {
                        kill_now(worker);
                    }
                }
                Victim::Both => {
                    tally.haproxy_kills += 1;
                    tally.writer_kills += 1;
                    kill_now(edge.haproxy().first_pid());
                    if worker != edge.haproxy().first_pid() {
                        kill_now(worker);
                    }
                    // Stopped first, or the manager would start the next writer at once.
                    stop.store(true, Ordering::Relaxed);
                    kill_now(writer_pid.load(Ordering::SeqCst));
                }
                Victim::Writer => {
                    tally.writer_kills += 1;
                    kill_now(writer_pid.load(Ordering::SeqCst));
                    thread::sleep(pause);
                }
                Victim::Worker => {
                    tally.haproxy_kills += 1;
                    kill_now(worker);
                }
                Victim::WorkerInReload => {
                    tally.haproxy_kills += 1;
                    tally.reloads += 1;
                    edge.haproxy().signal(Signal::SIGUSR2);
                    thread::sleep(pause);
                    let newest = edge.try_worker_pid();
                    kill_now(newest.filter(|pid| kills_new && *pid != worker).unwrap_or(worker));
                }
            }
            stop.store(true, Ordering::Relaxed);
            matches!(victim, Victim::Haproxy | Victim::Both)
        });
        if dead_edge {
            self.edge.crash();
        }
        let wrong = wrong.into_inner().expect("no client panics");
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// After a worker was killed during a reload: one that serves, and none beside it.
    fn settle_reload(&self) {
        if self.edge.try_worker_pid().is_none() {
            self.edge.reload();
        }
        // The next one, in case the killed one was the only one that had read everything.
        self.edge.reload();
    }

    /// Spoils the tail of a file whose writer is dead; the names of the spoilt files.
    fn spoil(&mut self, victim: Victim) -> Vec<String> {
        if self.rng.u8(..4) != 0 {
            return Vec::new();
        }
        let is_journal = |name: &&String| {
            name.starts_with("learned/") && name.ends_with(".journal")
                || victim == Victim::Both && name.starts_with("rules.journal.")
        };
        let files = self.home.files();
        let Some(name) = self.rng.choice(files.iter().filter(is_journal).collect::<Vec<_>>()) else {
            return Vec::new();
        };
        tails::spoil(&self.home.path().join(name), &mut self.rng).expect("a journal");
        self.tally.spoilt_tails += 1;
        vec![name.clone()]
    }

    /// Holds what HAProxy lists against what was acknowledged.
    fn check(&mut self, victim: Victim) -> Result<(), String> {
        let mut listing = Listing::of(&self.edge);
        let mut wrong: Vec<String> =
            listing.doubled.iter().map(|target| format!("{target} is there twice")).collect();
        wrong.extend(self.manager.check(&mut listing));
        for learner in &mut self.learners {
            wrong.extend(learner.check(&mut listing));
        }
        wrong.extend(listing.rest().into_iter().map(|target| format!("{target} is back")));
        if wrong.is_empty() { Ok(()) } else { Err(format!("after {victim:?}:\n{}", wrong.join("\n"))) }
    }
}

fn kill_now(pid: u32) {
    // Where it is gone already, that is as good.
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, haproxy_kills, writer_kills, reloads, spoilt_tails } = self;
        write!(f, "rounds: {rounds}, kills: {haproxy_kills} HAProxy and {writer_kills} writer, ")?;
        write!(f, "reloads: {reloads}, spoilt tails: {spoilt_tails}")
    }
}

impl fmt::Display for Soak<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |count: fn(&Learner) -> u64| self.learners.iter().map(count).sum::<u64>();
        write!(f, "{}, requests: {}, ", self.tally, sum(|learner| learner.counts.requests))?;
        write!(f, "lessons: {}, taken back: {}, ", sum(|l| l.counts.lessons), sum(|l| l.counts.taken_back))?;
        write!(f, "changes: {}, restarted writers: {}", self.manager.changes, self.manager.restarts)
    }
}
