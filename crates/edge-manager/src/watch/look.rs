//! Asking HAProxy, again and again.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Kind, Problem};
use crate::haproxy::{Control, Expected, Lack, Rules};

/// Between two looks, and after one that had no answer.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a look holds.
const FRESH: Duration = Duration::from_secs(3);

/// One late answer is no hang: a machine may be busy. Two in a row are told, within 3 s of the last good answer.
const LATE: Duration = Duration::from_millis(900);

/// How long a master may be loading a configuration that is being published, during which it answers nobody.
const LOADING: Duration = Duration::from_secs(10);

/// How long a worker may be behind that says that it reads on, and how long another one: longer than whatever changes the rules
/// waits for it.
const READING: Duration = Duration::from_secs(120);
const BEHIND: Duration = Duration::from_secs(10);

/// How long a worker may tell of files that were just mended, or of rules that it has not.
const MENDING: Duration = Duration::from_secs(2);

/// What was seen of HAProxy.
#[derive(Debug)]
pub struct Watch {
    sockets: Vec<PathBuf>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    looked: Option<Instant>,
    is_running: bool,
    workers: Vec<Worker>,
    /// Since when its master does not answer.
    master_late: Option<Instant>,
    problems: Vec<Problem>,
    /// Why the rules should be written anew.
    wants: Option<String>,
    /// What is wrong with the files of the state directory.
    files: Option<String>,
}

/// A worker, by its stats socket.
#[derive(Clone, Debug, Default)]
struct Worker {
    /// Since when it does not answer.
    late: Option<Instant>,
    /// Since when it has not all rules.
    lacking: Option<Instant>,
}

/// What came of asking: a worker for each socket, and the master where there is one to ask.
pub(super) struct Answers {
    pub(super) workers: Vec<Result<Rules, Lack>>,
    pub(super) master: Option<io::Result<()>>,
}

impl Watch {
    /// Of the workers at these stats sockets.
    pub fn new(sockets: Vec<PathBuf>) -> Self {
        let seen = Seen { workers: vec![Worker::default(); sockets.len()], ..Seen::default() };
        Self { sockets, seen: Mutex::new(seen) }
    }

    /// Asks all of them, for a second at most: to be called again and again by one thread, after the pause that it
    /// answers with. `revision` is the record's;
    /// `is_publishing`: the master may be loading.
    pub fn look(
        &self,
        control: &Control,
        revision: u64,
        expected: &Expected<'_>,
        is_publishing: bool,
    ) -> Duration {
        let deadline = Instant::now() + PATIENCE;
        let answers = thread::scope(|scope| {
            let master = control.master().map(|master| scope.spawn(move || master.answers(deadline)));
            let ask = |socket: &PathBuf| Rules::ask(socket, deadline);
            let workers: Vec<_> =
                self.sockets.iter().map(|socket| scope.spawn(move || ask(socket))).collect();
            let panicked = || io::Error::other("its thread panicked");
            Answers {
                workers: workers
                    .into_iter()
                    .map(|asked| asked.join().unwrap_or_else(|_| Err(Lack::Io(panicked()))))
                    .collect(),
                master: master.map(|asked| asked.join().unwrap_or_else(|_| Err(panicked()))),
            }
        });
        self.take(answers, revision, expected, is_publishing, Instant::now());
        let seen = self.seen.lock();
        let is_late = seen.master_late.is_some() || seen.workers.iter().any(|worker| worker.late.is_some());
        if is_late { LOOK_AGAIN } else { LOOK_EVERY }
    }

    /// Whether the last look is so fresh that nobody has to wait for another one.
    pub fn is_fresh(&self) -> bool {
        self.seen.lock().looked.is_some_and(|looked| looked.elapsed() < FRESH)
    }

    /// Whether a worker answers at one of the sockets.
    pub fn is_running(&self) -> bool {
        self.seen.lock().is_running
    }

    /// What is wrong; nothing where all is well.
    pub fn problems(&self) -> Vec<Problem> {
        let seen = self.seen.lock();
        let files = seen.files.iter().map(|text| Problem::new(Kind::Rules, text.clone()));
        seen.problems.iter().cloned().chain(files).collect()
    }

    /// Why the rules should be written anew, where they should: a worker does not come to what was written.
    pub fn wants_rules(&self) -> Option<String> {
        self.seen.lock().wants.clone()
    }

    /// Whether no worker was without some of the rules when it was asked last.
    pub fn has_all_rules(&self) -> bool {
        self.seen.lock().workers.iter().all(|worker| worker.lacking.is_none())
    }

    /// What is wrong with the files of the state directory; nothing where all is well.
    pub fn set_files(&self, problem: Option<String>) {
        self.seen.lock().files = problem;
    }

    pub(super) fn take(
        &self,
        answers: Answers,
        revision: u64,
        expected: &Expected<'_>,
        is_publishing: bool,
        now: Instant,
    ) {
        let mut seen = self.seen.lock();
        let (mut problems, mut wants) = (Vec::new(), None);
        let answered = |said: &Result<Rules, Lack>| !matches!(said, Err(Lack::Io(_)));
        let is_running = answers.workers.iter().any(answered);
        let mut not_running = None;
        for ((socket, worker), said) in self.sockets.iter().zip(&mut seen.workers).zip(answers.workers) {
            let socket = socket.display();
            let lack = match said.and_then(|rules| rules.has(revision, expected)) {
                Ok(()) => {
                    *worker = Worker::default();
                    continue;
                }
                Err(lack) => lack,
            };
            if let Lack::Io(error) = &lack {
                if error.kind() != io::ErrorKind::TimedOut {
                    *worker = Worker::default();
                    not_running.get_or_insert_with(|| format!("HAProxy does not run: {socket}: {lack}"));
                    continue;
                }
                let late = now.duration_since(*worker.late.get_or_insert(now - PATIENCE));
                // Nobody who answered before is taken for hung at once.
                if late >= PATIENCE + LATE {
                    let text = format!("HAProxy does not answer at {socket}");
                    problems.push(Problem::new(Kind::Haproxy, text));
                }
                continue;
            }
            worker.late = None;
            let lacking = now.duration_since(*worker.lacking.get_or_insert(now));
            // Whether another snapshot helps: a worker takes it in place of what it has.
            let (patience, is_mendable) = match &lack {
                Lack::Behind(Rules { incomplete: Some(_), .. }) => (Duration::ZERO, true),
                Lack::Behind(Rules { stopped: Some(_), .. }) | Lack::Differs(..) => (MENDING, true),
                Lack::Behind(Rules { more: true, .. }) => (READING, false),
                Lack::Behind(_) => (BEHIND, false),
                // Whether it has the rules is not known: changes are answered so, and nothing else is wrong.
                Lack::Older | Lack::NotUnderstood(_) | Lack::Io(_) => (Duration::MAX, false),
            };
            if lacking >= patience {
                let text = format!("{socket}: {lack}");
                if is_mendable && lacking >= MENDING {
                    wants.get_or_insert_with(|| text.clone());
                }
                problems.push(Problem::new(Kind::Rules, text));
            }
        }
        if !is_running && problems.is_empty() {
            problems.extend(not_running.map(|text| Problem::new(Kind::Haproxy, text)));
        }
        match answers.master {
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                let late = now.duration_since(*seen.master_late.get_or_insert(now - PATIENCE));
                if late >= PATIENCE + if is_publishing { LOADING } else { LATE } {
                    let text = "the master of HAProxy does not answer".to_owned();
                    problems.push(Problem::new(Kind::Haproxy, text));
                }
            }
            _ => seen.master_late = None,
        }
        (seen.looked, seen.is_running) = (Some(now), is_running);
        (seen.problems, seen.wants) = (problems, wants);
    }
}
