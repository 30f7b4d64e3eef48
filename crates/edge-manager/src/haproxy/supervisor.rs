//! HAProxy as our child: started, watched, started again.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::backoff::{Backoff, Pace};
use super::master::Master;
use super::output::{Output, pass_on};
use super::process::Process;
use super::program::Program;

/// Between two looks at one that starts, and at one that runs.
const START_PAUSE: Duration = Duration::from_millis(10);
const RUN_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks for a configuration to start with, and for a master that does not answer.
const WAIT_PAUSE: Duration = Duration::from_secs(1);

/// How long a master that nobody reaches may be executing itself anew.
const REEXEC_PATIENCE: Duration = Duration::from_secs(1);

/// How HAProxy is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: Program,
    /// The configuration, which may not be there yet.
    pub configuration: PathBuf,
    /// Where its master listens. The file beside it that ends in `.lock` is held while it is supervised.
    pub socket: PathBuf,
    /// How often it is started again.
    pub pace: Pace,
    /// How long connections may go on when it is stopped.
    pub grace: Duration,
}

/// What HAProxy is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no configuration to start it with.
    Waiting,
    /// It was started, and does not answer yet.
    Starting,
    /// Its worker answers.
    Running {
        /// Its first process.
        master_pid: u32,
        /// Whether an earlier manager started it: what it writes goes nowhere then.
        is_adopted: bool,
    },
    /// It has ended, and is started again.
    BackingOff {
        /// When.
        until: Instant,
    },
    /// It is not started any more.
    Stopped,
}

/// What HAProxy is doing, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// How often it has ended.
    pub exits: u64,
    /// How it ended the last time, in words that follow "HAProxy".
    pub last_exit: Option<String>,
}

/// Keeps HAProxy running. Dropping it stops HAProxy as [`Supervisor::stop`] does.
#[derive(Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// No other process supervises at this socket.
    _lock: File,
}

#[derive(Debug)]
struct Shared {
    launch: Launch,
    master: Master,
    output: Arc<Output>,
    watched: Mutex<Watched>,
    changed: Condvar,
}

#[derive(Debug)]
struct Watched {
    status: Status,
    /// Somebody does not want to wait any longer.
    is_urgent: bool,
    /// It is not watched any more.
    is_stopping: bool,
    /// It runs on then.
    is_left: bool,
}

impl Supervisor {
    /// Begins. One that an earlier manager started and still runs, since that was killed, is taken over.
    ///
    /// # Errors
    /// Another process supervises at this socket; there is no thread to be had.
    pub fn start(launch: Launch) -> io::Result<Self> {
        let mut path = launch.socket.clone().into_os_string();
        path.push(".lock");
        let lock = File::options().create(true).append(true).open(&path)?;
        lock.try_lock().map_err(|_| {
            let path = PathBuf::from(path);
            io::Error::other(format!("{}: another process supervises HAProxy here", path.display()))
        })?;
        let status = Status { state: State::Waiting, exits: 0, last_exit: None };
        let shared = Arc::new(Shared {
            master: Master::at(&launch.socket),
            launch,
            output: Arc::default(),
            watched: Mutex::new(Watched { status, is_urgent: false, is_stopping: false, is_left: false }),
            changed: Condvar::new(),
        });
        let watching = Arc::clone(&shared);
        let thread = thread::Builder::new().name("supervisor".into()).spawn(move || watching.supervise())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), _lock: lock })
    }

    /// What HAProxy is doing.
    pub fn status(&self) -> Status {
        self.shared.watched.lock().status.clone()
    }

    /// Its master.
    pub fn master(&self) -> &Master {
        &self.shared.master
    }

    /// Ends a wait for the next start, if there is one.
    pub fn start_now(&self) {
        self.shared.watched.lock().is_urgent = true;
        self.shared.changed.notify_all();
    }

    /// Stops HAProxy: connections may go on for the grace of [`Launch`], then they are cut. Waits for its end.
    pub fn stop(&self) {
        self.end(false);
    }

    /// Ends the watch and lets HAProxy run on, if it runs: the next supervisor at this socket takes it over.
    pub fn leave(&self) {
        self.end(true);
    }

    fn end(&self, is_left: bool) {
        let mut watched = self.shared.watched.lock();
        // Of two ends, the first counts.
        if !watched.is_stopping {
            (watched.is_stopping, watched.is_left) = (true, is_left);
        }
        drop(watched);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // It has told of its panic on standard error.
            let _ = thread.join();
        }
    }

    /// How many lines it has written to standard error.
    pub(super) fn mark(&self) -> u64 {
        self.shared.output.mark()
    }

    /// What it has written to standard error since then.
    pub(super) fn said_since(&self, mark: u64) -> String {
        self.shared.output.since(mark)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn supervise(&self) {
        let mut backoff = Backoff::new(self.launch.pace);
        let mut next = self.running();
        while !self.is_stopping() {
            let process = match next.take() {
                Some(process) => Ok(process),
                None if !self.launch.configuration.exists() => {
                    self.set(State::Waiting);
                    self.pause(WAIT_PAUSE);
                    continue;
                }
                None => self.spawn(),
            };
            let began = Instant::now();
            let exit = match process {
                Ok(mut process) => self.watch(&mut process),
                Err(error) => self.launch.program.start_error(error).to_string(),
            };
            if self.is_stopping() {
                break;
            }
            let wait = backoff.after(began.elapsed(), getrandom::u32().unwrap_or(0));
            tracing::error!("HAProxy {exit}; it is started again in {} ms", wait.as_millis());
            self.told(exit, State::BackingOff { until: Instant::now() + wait });
            if self.pause(wait) {
                backoff.reset();
            }
        }
        if !self.is_left() {
            // Nobody listens there any more, and whoever comes next need not ask.
            let _ = fs::remove_file(&self.launch.socket);
        }
        self.set(State::Stopped);
    }

    /// The one that an earlier manager has started. While somebody listens at its socket, no other is started: both would
    /// listen on the same ports, since HAProxy shares them (SO_REUSEPORT).
    fn running(&self) -> Option<Process> {
        let mut reached = Instant::now();
        while self.launch.socket.exists() && !self.is_stopping() {
            let found = self.master.processes().and_then(|before| {
                let process = Process::found(before.master_pid)?;
                let is_still = self.master.processes()?.master_pid == before.master_pid;
                Ok(is_still.then_some(process))
            });
            match found {
                Ok(Some(process)) => {
                    tracing::info!("HAProxy runs already, as process {}: it is taken over", process.pid());
                    return Some(process);
                }
                Ok(None) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused) => {
                    if reached.elapsed() > REEXEC_PATIENCE {
                        return None;
                    }
                }
                Err(error) => {
                    tracing::warn!("HAProxy at {}: {error}", self.launch.socket.display());
                    self.pause(WAIT_PAUSE);
                    reached = Instant::now();
                }
            }
            self.pause(START_PAUSE);
        }
        None
    }

    fn spawn(&self) -> io::Result<Process> {
        self.set(State::Starting);
        let mut address = self.launch.socket.clone().into_os_string();
        address.push(",level,admin,mode,600");
        let mut command = self.launch.program.command();
        // In the foreground, whatever the configuration says: who goes away to the background is nobody's child.
        command.args(["-W", "-db", "-S"]).arg(address).arg("-f").arg(&self.launch.configuration);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(pipe) = child.stdout.take() {
            pass_on(pipe);
        }
        if let Some(pipe) = child.stderr.take() {
            self.output.follow(pipe);
        }
        Process::started(child)
    }

    /// Watches it until it ends, or ends it when that is wanted. Says how it ended.
    fn watch(&self, process: &mut Process) -> String {
        let mut is_running = false;
        loop {
            let pause = if is_running { RUN_PAUSE } else { START_PAUSE };
            if let Some(exit) = process.ended_within(pause) {
                return exit;
            }
            if self.is_stopping() {
                return if self.is_left() { "runs on".to_owned() } else { process.stop(self.launch.grace) };
            }
            if !is_running && self.master.worker_set().is_ok() {
                is_running = true;
                self.set(State::Running { master_pid: process.pid(), is_adopted: process.is_adopted() });
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.watched.lock().is_stopping
    }

    fn is_left(&self) -> bool {
        self.watched.lock().is_left
    }

    fn set(&self, state: State) {
        self.watched.lock().status.state = state;
        self.changed.notify_all();
    }

    fn told(&self, exit: String, state: State) {
        let mut watched = self.watched.lock();
        watched.status.exits += 1;
        watched.status.last_exit = Some(exit);
        // Whoever was in a hurry meant the one that has ended.
        watched.is_urgent = false;
        drop(watched);
        self.set(state);
    }

    /// Waits, unless somebody is in a hurry. Whether somebody was.
    fn pause(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        let mut watched = self.watched.lock();
        while !watched.is_urgent && !watched.is_stopping {
            if self.changed.wait_until(&mut watched, deadline).timed_out() {
                break;
            }
        }
        std::mem::take(&mut watched.is_urgent)
    }
}
