//! HAProxy as our child: started, watched, started again.

use std::fs::{self, File};
use std::io;
use std::path::{self, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::backoff::{Backoff, Pace};
use super::lock::lock;
use super::master::Master;
use super::masters::master_of;
use super::output::{Output, pass_on};
use super::process::Process;
use super::program::Program;
use super::pulse::{Listening, Loading, Pulse};

/// Between two looks at one that starts, and at one that runs.
const START_PAUSE: Duration = Duration::from_millis(10);
const RUN_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks for a configuration to start with, and for a master that does not answer.
const WAIT_PAUSE: Duration = Duration::from_secs(1);

/// How long one that does not answer is not worth a word: it may be reading long lists.
const QUIET_PATIENCE: Duration = Duration::from_secs(10);

/// How many times as long as otherwise it may not answer while it starts.
const START_LIMITS: u32 = 10;

/// How long one that is to be stopped has for an answer: one that gives none is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How HAProxy is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: Program,
    /// The configuration, which may not be there yet.
    pub configuration: PathBuf,
    /// Where its master listens, by which it is found again. The file beside it that ends in `.lock` is held while it is
    /// supervised.
    pub socket: PathBuf,
    /// How often it is started again.
    pub pace: Pace,
    /// How long connections may go on when it is stopped.
    pub grace: Duration,
    /// How long it may not answer before it is killed, and started again, and ten times as long while it starts; zero: for ever.
    pub hang_limit: Duration,
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

/// Keeps HAProxy running. Dropping it stops HAProxy as [`Supervisor::stop`] does; in a panic it is [left](Supervisor::leave): a
/// fault of the manager is no reason to serve nobody.
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
    pulse: Arc<Pulse>,
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
        // The same to whoever looks for it from another directory.
        let launch = Launch { socket: path::absolute(&launch.socket)?, ..launch };
        let mut path = launch.socket.clone().into_os_string();
        path.push(".lock");
        let lock = lock(&PathBuf::from(path))?;
        let status = Status { state: State::Waiting, exits: 0, last_exit: None };
        let shared = Arc::new(Shared {
            master: Master::at(&launch.socket),
            launch,
            output: Arc::default(),
            watched: Mutex::new(Watched { status, is_urgent: false, is_stopping: false, is_left: false }),
            changed: Condvar::new(),
            pulse: Arc::default(),
        });
        let watching = Arc::clone(&shared);
        let thread = thread::Builder::new().name("supervisor".into()).spawn(move || watching.supervise())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), _lock: lock })
    }

    /// What HAProxy is doing.
    pub fn status(&self) -> Status {
        self.shared.watched.lock().status.clone()
    }

    /// While this is held, it may be loading a configuration, and does not have to answer.
    pub(super) fn loading(&self) -> Loading<'_> {
        Loading::new(&self.shared.pulse)
    }

    /// Its master.
    pub fn master(&self) -> &Master {
        &self.shared.master
    }

    /// Waits until one that is there, or is being started, answers or has ended, or the deadline has come.
    pub(super) fn until_up(&self, deadline: Instant) {
        let mut watched = self.shared.watched.lock();
        loop {
            let is_coming = match watched.status.state {
                State::Starting => true,
                // Nobody has looked yet, or the one that is there does not answer.
                State::Waiting => self.shared.launch.configuration.exists(),
                State::Running { .. } | State::BackingOff { .. } | State::Stopped => false,
            };
            if !is_coming || self.shared.changed.wait_until(&mut watched, deadline).timed_out() {
                return;
            }
        }
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
        self.end(thread::panicking());
    }
}

impl Shared {
    fn supervise(&self) {
        let mut backoff = Backoff::new(self.launch.pace);
        loop {
            let process = match self.running() {
                Ok(Some(process)) => {
                    tracing::info!("HAProxy runs already, as process {}: it is taken over", process.pid());
                    Ok(process)
                }
                // Only who has been found can be stopped, so one is looked for even then.
                _ if self.is_stopping() => break,
                Ok(None) if !self.launch.configuration.exists() => {
                    self.set(State::Waiting);
                    self.pause(WAIT_PAUSE);
                    continue;
                }
                Ok(None) => self.spawn(),
                Err(error) => {
                    tracing::warn!("HAProxy at {}: {error}", self.launch.socket.display());
                    self.pause(WAIT_PAUSE);
                    continue;
                }
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
        if !self.is_left() && matches!(self.running(), Ok(None)) {
            // Nobody listens there any more, and whoever comes next need not ask.
            let _ = fs::remove_file(&self.launch.socket);
        }
        self.set(State::Stopped);
    }

    /// The HAProxy that is there already: that of an earlier manager, or of somebody else who answers at the socket. While it
    /// lives, no other is started: both would listen on the same ports, since HAProxy shares them (SO_REUSEPORT).
    ///
    /// # Errors
    /// Nothing is known, or somebody listens there who cannot be watched.
    fn running(&self) -> io::Result<Option<Process>> {
        match master_of(&self.launch.socket)? {
            Some(process) => Ok(Some(process)),
            None => self.answering(),
        }
    }

    /// The master that answers at the socket, whoever started it.
    fn answering(&self) -> io::Result<Option<Process>> {
        let before = match self.master.processes() {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            other => other?,
        };
        let process = Process::found(before.master_pid)?;
        if self.master.processes()?.master_pid == before.master_pid {
            Ok(Some(process))
        } else {
            Err(io::Error::other("it was replaced this moment"))
        }
    }

    fn spawn(&self) -> io::Result<Process> {
        self.set(State::Starting);
        let mut address = self.launch.socket.clone().into_os_string();
        address.push(",level,admin,mode,600");
        let mut command = self.launch.program.command();
        // In the foreground, whatever the configuration says: who goes away to the background is nobody's child.
        command.args(["-W", "-db", "-S"]).arg(address).arg("-f").arg(&self.launch.configuration);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (out, error) = (child.stdout.take(), child.stderr.take());
        let mut process = Process::started(child)?;
        let is_heard = out.map_or(Ok(()), pass_on);
        let is_heard = is_heard.and_then(|()| error.map_or(Ok(()), |pipe| self.output.follow(pipe)));
        if let Err(error) = is_heard {
            process.kill();
            return Err(error);
        }
        Ok(process)
    }

    /// Watches it until it ends, or ends it when that is wanted. Says how it ended.
    fn watch(&self, process: &mut Process) -> String {
        let (began, mut is_running, mut is_told) = (Instant::now(), false, false);
        let mut listening = None;
        loop {
            let pause = if is_running { RUN_PAUSE } else { START_PAUSE };
            if let Some(exit) = process.ended_within(pause) {
                return exit;
            }
            if self.is_stopping() {
                return if self.is_left() {
                    "runs on".to_owned()
                } else if is_running && self.master.hangs(STOP_PATIENCE) {
                    // It does not see the signals that would end it, nor serve the connections that it might end.
                    format!("did not answer: {}", process.kill())
                } else {
                    process.stop(self.launch.grace)
                };
            }
            let limit = self.launch.hang_limit;
            let (silent, limit) = match &listening {
                Some(_) => (self.pulse.silent(), limit),
                // While it loads its configuration and its lists, it answers nobody.
                None if !is_running => (began.elapsed(), limit.saturating_mul(START_LIMITS)),
                None => (Duration::ZERO, limit),
            };
            if !limit.is_zero() && silent >= limit {
                let killed = process.kill();
                return format!("did not answer for {} s and was killed: it {killed}", silent.as_secs());
            }
            if !is_running && self.master.worker_set().is_ok() {
                is_running = true;
                listening = Listening::start(&self.pulse, self.master.clone());
                self.set(State::Running { master_pid: process.pid(), is_adopted: process.is_adopted() });
            }
            if !is_running && !is_told && began.elapsed() > QUIET_PATIENCE {
                is_told = true;
                let socket = self.launch.socket.display();
                tracing::warn!("HAProxy, process {}, does not answer at {socket}", process.pid());
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
