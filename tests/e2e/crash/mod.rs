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

use edge_e2e::{Backend, Edge, Mode, StateHome, eventually, tell};
use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use facts::Listing;
use learner::Learner;
use manager::Manager;

const LEARNERS: usize = 3;
const DEFAULT_SECONDS: u64 = 15;

/// What was acknowledged is in force by then, however busy the machine.
const IN_FORCE: Duration = Duration::from_secs(60);

/// A worker that follows others has caught up by then.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Longest time under load before something is killed, milliseconds.
const MAX_ROUND_MS: u64 = 400;

/// Kills of HAProxy or the writer a minute, at the very least: a run with fewer has tested next to nothing. A busy machine
/// with two cores manages ten times as many.
const MIN_KILLS_A_MINUTE: u64 = 12;

/// Keeps the first thread of a worker from its tasks for up to some tenths of a second, as a busy machine does: the other
/// one serves before the upkeep has had its first turn. HAProxy cannot interrupt what is one call in C.
const LATE: &str = r#"
if core.thread == 1 then
    core.register_task(function()
        math.randomseed(core.now().usec)
        string.find(("a"):rep(math.random(0, 600)), ".-.-b")
    end)
end
"#;

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
    /// The worker; the master then ends too.
    Worker,
    /// The draining one of two workers, some moments after a reload began.
    OldWorker,
    /// The other one, if it is there already.
    NewWorker,
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
    tell(format_args!("crash test of {mode:?} for {seconds} s, SOAK_SEED={seed}"));
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
            let said = |command: &str| edge.try_cli(command).unwrap_or_else(|e| e.to_string());
            panic!(
                "SOAK_SEED={seed}, {tally}:\n{wrong}\nfiles: {:?}\n{}\n{}",
                home.files(),
                said("show edge status"),
                edge.haproxy().log()
            );
        }
    }
    let (kills, least) = (soak.tally.kills(), seconds * MIN_KILLS_A_MINUTE / 60);
    assert!(kills >= least, "SOAK_SEED={seed}, {soak}: {kills} kills in {seconds} s, fewer than {least}");
    tell(format_args!(
        "crash test of {mode:?}: {soak}, losses: 0, {:.0} s, SOAK_SEED={seed}",
        started.elapsed().as_secs_f64()
    ));
}

fn start(backend: &Backend, mode: Mode, home: &StateHome) -> Edge {
    Edge::before(backend, mode)
        .state(home)
        .list("blocked_ips.map", "")
        .list("allowed.lst", "")
        .list("resources.lst", "")
        .list("backends.lst", "site prefix client\n")
        .list("late.lua", LATE)
        .edit(
            "  lua-load-per-thread \"",
            "  lua-load-per-thread \"${FILTER_LISTS}/late.lua\"\n  lua-load-per-thread \"",
        )
        // A lesson is a few hundred bytes: journals are compacted all the time.
        .setting("EDGE_MAX_JOURNAL_BYTES", "65536")
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
        let killed = self.load(victim)?;
        let spoilt =
            if victim == Victim::Haproxy || victim == Victim::Both { self.spoil(victim) } else { None };
        match victim {
            Victim::Haproxy | Victim::Both => self.edge.start_again(),
            Victim::Worker | Victim::OldWorker | Victim::NewWorker => self.settle(killed),
            Victim::Writer => {}
        }
        if victim == Victim::Writer || killed.is_some() {
            // HAProxy lives on, and has to follow.
            manager::sync(&self.edge, self.manager.revision())?;
            self.check_until_right(victim)?;
        } else {
            self.check(victim)?;
        }
        self.manager.revive_if_dead()?;
        spoilt.map_or(Ok(()), |file| self.check_spoilt(&file))
    }

    /// What is cut or damaged is told of in one line: by HAProxy, and of the manager's journal by its next writer, since for
    /// HAProxy a record that is not whole may be one that is being written. Another line says when it is over.
    fn check_spoilt(&self, file: &str) -> Result<(), String> {
        let tells = |line: &&str| line.contains(file) && !line.ends_with("was taken over and set aside");
        let lines = || self.edge.haproxy().log().lines().filter(tells).count();
        if !file.starts_with("rules.") {
            eventually("a line on the spoilt file", || (lines() > 0).then_some(()));
        } else if lines() == 0
            && !self.manager.has_found_spoilt()
            && self.home.files().iter().any(|name| name == file)
        {
            return Err(format!("nobody has told of the spoilt tail of {file}"));
        }
        if lines() > 1 { Err(format!("{} lines on {file}, whose tail is spoilt", lines())) } else { Ok(()) }
    }

    fn choose(&mut self) -> Victim {
        match (self.mode.master_worker, self.rng.u8(..10)) {
            (_, 0..4) => Victim::Haproxy,
            (_, 4..6) => Victim::Both,
            (_, 6) => Victim::Writer,
            (false, _) => Victim::Haproxy,
            (true, 7) => Victim::Worker,
            (true, 8) => Victim::OldWorker,
            (true, _) => Victim::NewWorker,
        }
    }

    /// Clients and the manager do what they do until `victim` is dead. The worker that was killed in a reload, if it is the
    /// old one.
    fn load(&mut self, victim: Victim) -> Result<Option<u32>, String> {
        let stop = AtomicBool::new(false);
        let wrong = Mutex::new(Vec::new());
        let note = |outcome: Result<(), String>| {
            if let Err(why) = outcome {
                wrong.lock().expect("no client panics").push(why);
            }
        };
        let in_reload = matches!(victim, Victim::OldWorker | Victim::NewWorker);
        let delay = Duration::from_millis(self.rng.u64(..MAX_ROUND_MS));
        let pause = Duration::from_millis(self.rng.u64(..MAX_ROUND_MS));
        let Self { edge, learners, manager, tally, .. } = self;
        let writer_pid = manager.pid;
        let worker = edge.worker_pid();
        let mut killed = worker;
        thread::scope(|scope| {
            let (edge, stop, note) = (&*edge, &stop, &note);
            for learner in learners.iter_mut() {
                scope.spawn(move || note(learner.run(edge, stop, !in_reload)));
            }
            scope.spawn(move || note(manager.run(edge, stop, !in_reload)));
            thread::sleep(delay);
            match victim {
                Victim::Haproxy => {
                    tally.haproxy_kills += 1;
                    kill_now(edge.haproxy().first_pid());
                    kill_now(worker);
                }
                Victim::Both => {
                    tally.haproxy_kills += 1;
                    tally.writer_kills += 1;
                    kill_now(edge.haproxy().first_pid());
                    kill_now(worker);
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
                Victim::OldWorker | Victim::NewWorker => {
                    tally.haproxy_kills += 1;
                    tally.reloads += 1;
                    edge.haproxy().signal(Signal::SIGUSR2);
                    thread::sleep(pause);
                    let new = edge.try_worker_pid().filter(|_| victim == Victim::NewWorker);
                    killed = new.unwrap_or(worker);
                    kill_now(killed);
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        if matches!(victim, Victim::Haproxy | Victim::Both) {
            self.edge.crash();
        }
        let wrong = wrong.into_inner().expect("no client panics");
        let killed_old = (in_reload && killed == worker).then_some(worker);
        if wrong.is_empty() { Ok(killed_old) } else { Err(wrong.join("\n")) }
    }

    /// After a worker was killed: the master ends, unless that one had a successor. Then that one has to take its journals
    /// over: of what was taught and not acknowledged, a listing says nothing before they are read.
    fn settle(&mut self, killed_old: Option<u32>) {
        eventually("the end of the master, or another worker", || {
            if self.edge.has_ended() {
                self.edge.start_again();
                return Some(());
            }
            let successor = self.edge.try_worker_pid().filter(|pid| Some(*pid) != killed_old);
            (killed_old.is_some() && successor.is_some()).then_some(())
        });
        if let Some(pid) = killed_old {
            let of_killed = format!("-{pid}-");
            eventually("the end of the killed worker's journals", || {
                (!self.home.learned().iter().any(|name| name.contains(&of_killed))).then_some(())
            });
        }
    }

    /// Spoils the tail of a file whose writer is dead, sometimes; the name of the file.
    fn spoil(&mut self, victim: Victim) -> Option<String> {
        if self.rng.u8(..4) != 0 {
            return None;
        }
        let mut files = self.home.learned();
        if victim == Victim::Both {
            let base = |name: &String| name.strip_prefix("rules.journal.")?.parse::<u64>().ok();
            let names = self.home.files();
            // The one before it is not read any more.
            files.extend(names.into_iter().filter(|name| base(name).is_some()).max_by_key(base));
        }
        let name = self.rng.choice(files)?;
        tails::spoil(&self.home.path().join(&name), &mut self.rng).expect("a journal");
        self.tally.spoilt_tails += 1;
        Some(name)
    }

    /// Holds what HAProxy lists against what was acknowledged.
    fn check(&mut self, victim: Victim) -> Result<(), String> {
        let listing = Listing::of(&self.edge);
        let mut wrong = Vec::new();
        for rules in self.manager.candidates() {
            let (mut listing, mut learners) = (listing.clone(), self.learners.clone());
            wrong = listing.doubled.iter().map(|target| format!("{target} is there twice")).collect();
            wrong.extend(manager::check(&rules, &mut listing));
            wrong.extend(learners.iter_mut().flat_map(|learner| learner.check(&mut listing)));
            wrong.extend(listing.rest().into_iter().map(|target| format!("{target} is back")));
            if wrong.is_empty() {
                self.learners = learners;
                return Ok(());
            }
        }
        Err(format!("after {victim:?}:\n{}", wrong.join("\n")))
    }

    /// The same, of a worker that follows others and so may be a moment behind.
    fn check_until_right(&mut self, victim: Victim) -> Result<(), String> {
        let started = Instant::now();
        loop {
            match self.check(victim) {
                Err(_) if started.elapsed() < CATCH_UP => thread::sleep(Duration::from_millis(20)),
                outcome => return outcome,
            }
        }
    }
}

fn kill_now(pid: u32) {
    // Where it is gone already, that is as good.
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

impl Tally {
    fn kills(&self) -> u64 {
        self.haproxy_kills + self.writer_kills
    }
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
        write!(f, "{}, requests: {}, ", self.tally, sum(|l| l.counts.requests))?;
        write!(f, "late: {}, ", sum(|l| l.counts.late))?;
        write!(f, "lessons: {}, taken back: {}, ", sum(|l| l.counts.lessons), sum(|l| l.counts.taken_back))?;
        write!(f, "changes: {}, restarted writers: {}", self.manager.changes, self.manager.restarts)
    }
}
