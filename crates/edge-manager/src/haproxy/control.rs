//! Making HAProxy run a configuration, and seeing that it does.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::master::{Master, Processes, Reloaded};
use super::masters::master_of;
use super::process::Process;
use super::supervisor::{State, Supervisor};

/// Between two questions to a worker that starts.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a worker must go on after its first answer to be taken for sound.
const SETTLE: Duration = Duration::from_millis(100);

/// How long a worker may answer that it runs something else: it will not change.
const MISFIT_PATIENCE: Duration = Duration::from_secs(1);

/// How long a worker that does not answer may be loading: then it is to be replaced.
const LOAD_PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer may take before a change goes on without HAProxy.
const HANG_PATIENCE: Duration = Duration::from_secs(2);

const OTHER_CONFIGURATION: &str = "its worker runs another configuration than that of the link `current`";

/// Who has a say in HAProxy.
#[derive(Clone, Debug)]
pub enum Control {
    /// Nobody here: files are written, and whoever runs HAProxy reloads it.
    Nobody,
    /// Somebody else runs it, and its master listens.
    Attached(Master),
    /// We run it.
    Supervised(Arc<Supervisor>),
}

/// Why HAProxy does not run what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is none that would run it, which is no fault of the configuration. Why, in one line.
    Absent(String),
    /// It was told.
    Failed {
        /// What did not happen, in one line.
        cause: String,
        /// What HAProxy said, as far as it can be known.
        words: String,
    },
}

impl Control {
    /// The master, if there may be one.
    pub fn master(&self) -> Option<&Master> {
        match self {
            Self::Nobody => None,
            Self::Attached(master) => Some(master),
            Self::Supervised(supervisor) => Some(supervisor.master()),
        }
    }

    /// Whether there is somebody who would run a configuration now.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Nobody => false,
            Self::Attached(master) => master.processes().is_ok(),
            Self::Supervised(_) => true,
        }
    }

    /// Whether a HAProxy is there that does not answer, for some seconds: it was stopped, or hangs.
    pub fn hangs(&self) -> bool {
        match self {
            Self::Nobody => false,
            Self::Attached(master) => master.hangs(HANG_PATIENCE),
            Self::Supervised(supervisor) => {
                matches!(supervisor.status().state, State::Running { .. })
                    && supervisor.master().hangs(HANG_PATIENCE)
            }
        }
    }

    /// The set that HAProxy runs; `None` where it runs none or nobody can say.
    pub fn running_set(&self) -> Option<u64> {
        self.master().and_then(|master| master.worker_set().ok().flatten())
    }

    /// [`Control::running_set`] of a HAProxy that is being started, as soon as it answers: it need not be told to reload then.
    pub fn settled_set(&self, patience: Duration) -> Option<u64> {
        if let Self::Supervised(supervisor) = self {
            supervisor.until_up(Instant::now() + patience);
        }
        self.running_set()
    }

    /// Makes HAProxy read its configuration, which is this set, and waits until a worker runs it and goes on to do so.
    /// `has_filter`: and the filter is at work in it.
    ///
    /// # Errors
    /// There is no HAProxy; it does not take the configuration; its worker ends at once or is not there in time.
    pub fn run(&self, set: u64, has_filter: bool, patience: Duration) -> Result<(), Trouble> {
        let deadline = Instant::now() + patience;
        match self {
            Self::Nobody => Err(Trouble::Absent("no HAProxy is attached".to_owned())),
            Self::Attached(master) => {
                let is_none = || !matches!(master_of(master.socket()), Ok(Some(_)));
                let processes =
                    processes(master, deadline, is_none).map_err(|error| absent(master, &error))?;
                // A reload would have it read what it was started with, once more.
                if let Ok(None) = master.worker_set() {
                    return Err(elsewhere(master, OTHER_CONFIGURATION));
                }
                // It may run where we see no processes.
                let process = Process::found(processes.master_pid).ok();
                let has_ended = || {
                    let has_ended = process.as_ref().is_some_and(|process| process.has_ended(Duration::ZERO));
                    has_ended.then(|| "HAProxy has ended".to_owned())
                };
                reload(master, deadline, has_ended)?;
                until_runs(master, set, has_filter, deadline, has_ended).map_err(|cause| {
                    // It has taken what it read, which was not what is at fault.
                    match master.worker_set() {
                        Ok(running) if running != Some(set) => elsewhere(master, &cause),
                        _ => failed(cause),
                    }
                })
            }
            Self::Supervised(supervisor) => {
                // A master that loads answers nobody.
                let _loading = supervisor.loading();
                let (mark, master) = (supervisor.mark(), supervisor.master());
                let has_ended_since = |exits: u64| {
                    move || {
                        let status = supervisor.status();
                        if status.state == State::Stopped {
                            return Some("HAProxy was stopped".to_owned());
                        }
                        let exit = status.last_exit.filter(|_| status.exits > exits);
                        exit.map(|exit| format!("HAProxy {exit}"))
                    }
                };
                // One that is starting may have read this configuration, or the one before, and end of it.
                let first = supervisor.status();
                if first.state == State::Starting {
                    until_answers(master, deadline, has_ended_since(first.exits));
                }
                let has_ended = has_ended_since(supervisor.status().exits);
                let has_none = || !matches!(supervisor.status().state, State::Running { .. });
                let told = match processes(master, deadline, has_none) {
                    Ok(_) => reload(master, deadline, has_ended),
                    Err(_) => {
                        supervisor.start_now();
                        Ok(())
                    }
                };
                let done = told
                    .and_then(|()| until_runs(master, set, has_filter, deadline, has_ended).map_err(failed));
                done.map_err(|trouble| match trouble {
                    Trouble::Failed { cause, words } if words.is_empty() => {
                        // Its last words are on their way through the pipe.
                        thread::sleep(SETTLE);
                        Trouble::Failed { cause, words: supervisor.said_since(mark) }
                    }
                    other => other,
                })
            }
        }
    }
}

fn absent(master: &Master, error: &io::Error) -> Trouble {
    let socket = master.socket().display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            Trouble::Absent(format!("no HAProxy listens at {socket}"))
        }
        _ => Trouble::Absent(format!("the master of HAProxy at {socket}: {error}")),
    }
}

fn elsewhere(master: &Master, cause: &str) -> Trouble {
    Trouble::Absent(format!("HAProxy at {} reads other files: {cause}", master.socket().display()))
}

fn failed(cause: String) -> Trouble {
    Trouble::Failed { cause, words: String::new() }
}

/// The processes of a master, which is asked again unless there is none: while somebody else has it reload, it answers nobody.
fn processes(master: &Master, deadline: Instant, is_none: impl Fn() -> bool) -> io::Result<Processes> {
    let deadline = deadline.min(Instant::now() + LOAD_PATIENCE);
    loop {
        match master.processes() {
            Err(_) if !is_none() && Instant::now() < deadline => thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// From 3.1 on a master listens while its first worker loads, and fails in a reload until that is done.
fn until_answers(master: &Master, deadline: Instant, has_ended: impl Fn() -> Option<String>) {
    while master.worker_set().is_err() && has_ended().is_none() && Instant::now() < deadline {
        thread::sleep(PAUSE);
    }
}

fn reload(
    master: &Master,
    deadline: Instant,
    has_ended: impl Fn() -> Option<String> + Copy,
) -> Result<(), Trouble> {
    until_answers(master, deadline.min(Instant::now() + LOAD_PATIENCE), has_ended);
    match master.reload(deadline, || has_ended().is_some()) {
        Ok(Reloaded::Loaded) => Ok(()),
        Ok(Reloaded::Failed(words)) => {
            Err(Trouble::Failed { cause: "HAProxy does not reload".to_owned(), words })
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(failed("HAProxy was not done with its reload in time".to_owned()))
        }
        Err(error) => {
            Err(failed(has_ended().unwrap_or_else(|| format!("HAProxy was lost in its reload: {error}"))))
        }
    }
}

/// Waits for a worker that runs this set. Says what is lacking.
fn until_runs(
    master: &Master,
    set: u64,
    has_filter: bool,
    deadline: Instant,
    has_ended: impl Fn() -> Option<String>,
) -> Result<(), String> {
    let mut fitting = Instant::now();
    loop {
        let lack = match runs(master, set, has_filter) {
            Ok(Ok(worker)) => {
                thread::sleep(SETTLE);
                match runs(master, set, has_filter) {
                    Ok(Ok(now)) if now == worker => return Ok(()),
                    // HAProxy ends with it, unless it is told otherwise.
                    _ => "its worker has ended".to_owned(),
                }
            }
            Ok(Err(lack)) => lack,
            Err(error) => {
                fitting = Instant::now();
                format!("its worker does not answer: {error}")
            }
        };
        if let Some(end) = has_ended() {
            return Err(end);
        }
        if Instant::now() >= deadline || fitting.elapsed() > MISFIT_PATIENCE {
            return Err(lack);
        }
        thread::sleep(PAUSE);
    }
}

/// The worker that runs this set, or what is lacking.
fn runs(master: &Master, set: u64, has_filter: bool) -> io::Result<Result<Vec<u32>, String>> {
    Ok(match master.worker_set()? {
        Some(running) if running == set => {
            if has_filter && let Err(error) = master.worker_filters() {
                Err(format!("the filter is not at work in its worker: {error}"))
            } else {
                Ok(master.processes()?.workers)
            }
        }
        Some(running) => Err(format!("its worker runs set {running}")),
        None => Err(OTHER_CONFIGURATION.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_master_that_cannot_answer_this_moment_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("master.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answering = thread::spawn(move || {
            for answer in ["", "", "1162 master 5 [failed: 0] 0d00h02m07s 2.6.12\n"] {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 64]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let master = Master::at(&socket);
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(processes(&master, deadline, || true).is_err(), "there is none");
        assert_eq!(processes(&master, deadline, || false).unwrap().master_pid, 1162);
        answering.join().unwrap();
    }
}
