//! The process of a manager.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::processes::{is_running, parent_of, processes_of};
use crate::version::PATH;
use crate::watcher::Watcher;

const DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(2);

/// What to start.
#[derive(Clone, Debug)]
pub struct ServeCommand {
    /// `edge-manager`.
    pub program: PathBuf,
    /// Its arguments behind `serve` and those that are named here.
    pub arguments: Vec<OsString>,
    /// The environment. Nothing else of ours reaches the manager.
    pub env: Vec<(String, OsString)>,
    /// Where it says on which address it answers, as soon as it does.
    pub ready_file: PathBuf,
    /// The directory of HAProxy's configurations, by which its processes are known.
    pub config_dir: PathBuf,
    /// For what it, and HAProxy below it, write to stdout and stderr; `None`: these are those of the caller.
    pub log: Option<PathBuf>,
}

/// The manager ended instead of starting, or did not get ready in time.
#[derive(Debug)]
pub struct ServeFailure {
    /// How it ended; `None` when it had to be killed.
    pub status: Option<ExitStatus>,
    /// All that it wrote, where that was not to our own output.
    pub log: String,
}

/// A manager that runs, in a process group of its own. Dropping it kills and reaps it, and its HAProxy.
#[derive(Debug)]
pub struct ServeProcess {
    child: Child,
    /// Ends it when this process is killed, and drops nothing.
    _watcher: Watcher,
    config_dir: PathBuf,
    is_gone: bool,
    /// Its HAProxy is another manager's.
    is_succeeded: bool,
}

impl ServeCommand {
    /// On a free port, with files in this directory: `ready`, `haproxy/` and `log`.
    pub fn within(dir: &Path, program: impl Into<PathBuf>, env: Vec<(String, OsString)>) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["--listen".into(), "127.0.0.1:0".into()],
            env,
            ready_file: dir.join("ready"),
            config_dir: dir.join("haproxy"),
            log: Some(dir.join("log")),
        }
    }

    /// Starts it and waits until it answers; where.
    ///
    /// # Errors
    /// It ended, or was not ready within 60 s.
    pub fn start(&self) -> Result<(ServeProcess, SocketAddr), ServeFailure> {
        let mut process = self.spawn().map_err(|e| ServeFailure { status: None, log: e.to_string() })?;
        let started = Instant::now();
        loop {
            let ended = process.child.try_wait().ok().flatten();
            if ended.is_some() || started.elapsed() > DEADLINE {
                return Err(ServeFailure { status: ended, log: self.log() });
            }
            let ready = fs::read_to_string(&self.ready_file).unwrap_or_default();
            if let Ok(addr) = ready.trim().parse() {
                return Ok((process, addr));
            }
            thread::sleep(PAUSE);
        }
    }

    fn spawn(&self) -> io::Result<ServeProcess> {
        // That of the process before would name a port that is another's by now.
        if let Err(e) = fs::remove_file(&self.ready_file)
            && e.kind() != io::ErrorKind::NotFound
        {
            return Err(e);
        }
        let (stdout, stderr) = match &self.log {
            Some(log) => {
                let log = File::options().create(true).append(true).open(log)?;
                (log.try_clone()?.into(), log.into())
            }
            None => (Stdio::inherit(), Stdio::inherit()),
        };
        // It takes its HAProxy along, which is in a group of its own.
        let mut watcher = Watcher::spawn(Signal::SIGTERM)?;
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--ready-file").arg(&self.ready_file).args(&self.arguments);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("EDGE_CONFIG_DIR", &self.config_dir)
            .envs(self.env.iter().cloned());
        let child = command.process_group(0).stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn()?;
        watcher.watch(Pid::from_raw(child.id().cast_signed()))?;
        Ok(ServeProcess {
            child,
            _watcher: watcher,
            config_dir: self.config_dir.clone(),
            is_gone: false,
            is_succeeded: false,
        })
    }

    pub(super) fn log(&self) -> String {
        let bytes = self.log.as_ref().and_then(|log| fs::read(log).ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl ServeProcess {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Every process of its HAProxy: the master first.
    pub(super) fn haproxy(&self) -> Vec<u32> {
        let mut found = processes_of(&self.config_dir);
        let all = found.clone();
        found.retain(|pid| *pid != self.pid() && is_running(*pid));
        found.sort_by_key(|pid| {
            parent_of(*pid).is_some_and(|parent| parent != self.pid() && all.contains(&parent))
        });
        found
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).expect("the manager lives");
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.is_gone |= status.is_some();
        Ok(status)
    }

    /// Ends it as an operator would, with SIGTERM, and waits.
    ///
    /// # Errors
    /// It was still there after 60 s.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if started.elapsed() > DEADLINE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the manager still runs after SIGTERM"));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Kills the manager alone, without a chance to tidy up.
    pub(super) fn kill_alone(&mut self) {
        if !self.is_gone {
            // It may have ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.is_gone = true;
        }
    }

    /// Leaves its HAProxy to the next one.
    pub(super) fn hand_over(&mut self) {
        self.is_succeeded = true;
    }

    /// Kills the manager and its HAProxy, and waits for their end.
    pub(super) fn kill_all(&mut self) {
        // First, since it would start another one.
        self.kill_alone();
        loop {
            let running = self.haproxy();
            if self.is_succeeded || running.is_empty() {
                return;
            }
            for pid in running {
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        self.kill_all();
    }
}
