//! HAProxy as a child process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::eventually;
use crate::version::{PATH, Version, program};
use crate::watcher::Watcher;

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1);

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The configuration file.
    pub config: PathBuf,
    /// The environment. Nothing else of ours reaches HAProxy, so that no `EDGE_*` variable of the caller does.
    pub env: Vec<(String, OsString)>,
    /// A program that runs HAProxy, and its arguments; empty: none does.
    pub under: Vec<OsString>,
    /// Under a master process: `-W`.
    pub master_worker: bool,
    /// Addresses that must be listening before it counts as started.
    pub listeners: Vec<SocketAddr>,
    /// The stats socket, which must be listening too.
    pub stats_socket: Option<PathBuf>,
    /// The directory where `stdout` and `log` (its stderr) are written; `None`: they are those of the caller.
    pub output_dir: Option<PathBuf>,
}

/// HAProxy ended instead of starting, or did not listen in time.
#[derive(Debug)]
pub struct StartFailure {
    /// How it ended; `None` when it had to be killed.
    pub status: Option<ExitStatus>,
    /// All it wrote to stderr.
    pub log: String,
}

/// The outcome of `haproxy -c`.
#[derive(Debug)]
pub struct Checked {
    /// Whether HAProxy would start.
    pub valid: bool,
    /// All it wrote to stderr.
    pub log: String,
}

/// A running HAProxy, in a process group of its own. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Haproxy {
    child: Child,
    /// Ends it when this process is killed, and drops nothing.
    watcher: Watcher,
    output_dir: Option<PathBuf>,
    /// A master that executes itself anew when it has started its worker, as they do up to 3.0.
    executes_anew: bool,
    /// Killed and reaped: its number may be another's by now.
    is_gone: bool,
}

impl Launch {
    /// Starts HAProxy in the foreground and waits until it listens.
    ///
    /// # Errors
    /// It ended, or did not listen within 60 s.
    pub fn start(&self) -> Result<Haproxy, StartFailure> {
        let mut haproxy = self.spawn().map_err(|e| StartFailure { status: None, log: e.to_string() })?;
        let started = Instant::now();
        loop {
            let ended = haproxy.child.try_wait().ok().flatten();
            if ended.is_some() || started.elapsed() > START_DEADLINE {
                return Err(StartFailure { status: ended, log: haproxy.log() });
            }
            if self.listens() {
                return Ok(haproxy);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Asks HAProxy whether it would start with this configuration.
    ///
    /// # Errors
    /// There is no HAProxy.
    pub fn check(&self) -> io::Result<Checked> {
        let output = self.command().arg("-c").arg("-f").arg(&self.config).output()?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Checked { valid: output.status.success(), log })
    }

    fn listens(&self) -> bool {
        self.listeners.iter().all(|addr| TcpStream::connect(addr).is_ok())
            && self.stats_socket.iter().all(|path| UnixStream::connect(path).is_ok())
    }

    fn spawn(&self) -> io::Result<Haproxy> {
        let program = program();
        // An absolute path stands for itself in this.
        if !PATH.split(':').any(|dir| Path::new(dir).join(&program).exists()) {
            return Err(io::Error::other(format!("{} is not installed in any of {PATH}", program.display())));
        }
        let (stdout, stderr) = match &self.output_dir {
            Some(dir) => (File::create(dir.join("stdout"))?.into(), File::create(dir.join("log"))?.into()),
            None => (Stdio::inherit(), Stdio::inherit()),
        };
        let watcher = Watcher::spawn(Signal::SIGKILL)?;
        let child = self
            .command()
            .args([if self.master_worker { "-W" } else { "-db" }, "-f"])
            .arg(&self.config)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        let executes_anew = self.master_worker && Version::under_test() < Version(3, 1);
        let output_dir = self.output_dir.clone();
        let mut haproxy = Haproxy { child, watcher, output_dir, executes_anew, is_gone: false };
        haproxy.watcher.watch(haproxy.pid())?;
        Ok(haproxy)
    }

    fn command(&self) -> Command {
        let mut command = match self.under.split_first() {
            Some((runner, arguments)) => {
                let mut command = Command::new(runner);
                command.args(arguments).arg(program());
                command
            }
            None => Command::new(program()),
        };
        command.env_clear().env("PATH", PATH).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Haproxy {
    /// All it wrote to stderr so far: its messages, and its log where that goes to stderr. Empty where its
    /// output is that of the caller.
    pub fn log(&self) -> String {
        self.output("log")
    }

    /// All it wrote to stdout so far. Empty where its output is that of the caller.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    fn output(&self, file: &str) -> String {
        let bytes = self.output_dir.as_ref().and_then(|dir| fs::read(dir.join(file)).ok());
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            // Workers that it could not take along.
            self.kill();
        }
        Ok(status)
    }

    /// Sends a signal to the first process, which under `-W` is the master.
    ///
    /// # Panics
    /// There is no such process any more, or it does not handle this signal.
    pub fn signal(&self, signal: Signal) {
        // What a master catches before it executes itself anew is lost.
        eventually(signal.as_str(), || (self.has_started() && self.catches(signal)).then_some(()));
        nix::sys::signal::kill(self.pid(), signal).expect("HAProxy lives");
    }

    /// Whether it is as it stays: a master has executed itself anew (mworker_reexec_waitmode in src/haproxy.c).
    fn has_started(&self) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid())).unwrap_or_default();
        let waits = environment.split(|byte| *byte == 0).any(|entry| entry == b"HAPROXY_MWORKER_WAIT_ONLY=1");
        waits || !self.executes_anew
    }

    fn catches(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        caught & (1 << (signal as u32 - 1)) != 0
    }

    /// Ends it as an operator would, and waits. SIGUSR1 is the soft stop, after which HAProxy closes its Lua
    /// states and its libraries; SIGTERM just ends a process without a master.
    ///
    /// # Errors
    /// It was still there after 60 s.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGUSR1);
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > STOP_DEADLINE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "HAProxy still runs after a soft stop"));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Kills it, and its workers if it is a master, without a chance to tidy up, and waits for its end.
    pub fn kill(&mut self) {
        if !self.is_gone {
            // The group holds the workers too, and outlives the first process while one of them lives.
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
            // Until they have ended, they hold their sockets and locks, and the next HAProxy would seem to listen already.
            let started = Instant::now();
            while is_group_running(self.pid()) && started.elapsed() < STOP_DEADLINE {
                thread::sleep(PAUSE);
            }
            self.is_gone = true;
        }
    }

    /// The first process, which under `-W` is the master.
    pub fn first_pid(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

/// Whether a process of this group runs. One that nobody has waited for does not, but one does whose first thread alone
/// has ended: the others hold its sockets still.
fn is_group_running(group: Pid) -> bool {
    // State, parent and group stand behind the name, which is in parentheses (proc(5)).
    let runs = |stat: String| {
        let mut fields = stat.rsplit_once(") ").unwrap_or_default().1.split(' ');
        !matches!(fields.next(), Some("Z" | "X")) && fields.nth(1) == Some(&group.to_string())
    };
    let entries = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    killpg(group, None).is_ok()
        && entries("/proc".into())
            .flat_map(|process| entries(process.join("task")))
            .any(|thread| fs::read_to_string(thread.join("stat")).is_ok_and(runs))
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("HAProxy said:\n{}", self.log());
        }
    }
}
