//! HAProxy's master process, through its socket (management guide, section 9.4).

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::socket::{MAX_ANSWER_BYTES, ask_master};

/// Between two questions while a master executes itself anew.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest wait for the answer to one question, and to one with a long answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
const LONG_PATIENCE: Duration = Duration::from_secs(5);

/// Longest state of servers that is read, bytes: some 50,000 servers.
const MAX_SERVER_STATE_BYTES: usize = 16 << 20;

/// The environment variable by which a worker knows the set that it was started with. Not `EDGE_...`: those are the settings of
/// the filter, which warns of any that it does not know.
pub(crate) const SET_VARIABLE: &str = "MANAGER_SET";

/// A master process that may be listening at this socket.
#[derive(Clone, Debug)]
pub struct Master {
    socket: PathBuf,
}

/// What `show proc` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processes {
    /// The master.
    pub master_pid: u32,
    /// How often it was reloaded, or tried to.
    pub reloads: u32,
    /// How many of the last reloads failed one after the other.
    pub failed: u32,
    /// The workers that take connections.
    pub workers: Vec<u32>,
    /// The workers that end with their connections.
    pub old_workers: Vec<u32>,
}

/// How a reload went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// There is a new worker.
    Loaded,
    /// There is none. What HAProxy said, where it says it here: from 2.7 on.
    Failed(String),
}

impl Master {
    /// The one that listens at this socket.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it answers before the deadline.
    ///
    /// # Errors
    /// It does not.
    pub fn answers(&self, deadline: Instant) -> io::Result<()> {
        ask_master(&self.socket, "show proc", MAX_ANSWER_BYTES, deadline).map(drop)
    }

    /// Whether it, or its worker, is there and does not answer within this time: it was stopped, or hangs. A master that loads a
    /// configuration looks the same.
    pub fn hangs(&self, patience: Duration) -> bool {
        let question = format!("@1 show env {SET_VARIABLE}");
        let asked = ask_master(&self.socket, &question, MAX_ANSWER_BYTES, Instant::now() + patience);
        asked.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    /// What this one of its workers answers to `edge sync`; a text that does not begin with `revision` where there is none.
    ///
    /// # Errors
    /// The master does not answer before the deadline.
    pub(super) fn sync(&self, worker_pid: u32, deadline: Instant) -> io::Result<String> {
        ask_master(&self.socket, &format!("@!{worker_pid} edge sync"), MAX_ANSWER_BYTES, deadline)
    }

    /// Its processes.
    ///
    /// # Errors
    /// Nobody listens, or it is no master.
    pub fn processes(&self) -> io::Result<Processes> {
        self.processes_before(Instant::now() + ANSWER_PATIENCE)
    }

    /// Its processes, asked for until the deadline.
    ///
    /// # Errors
    /// Nobody listens, it is no master, or the deadline has come.
    pub(super) fn processes_before(&self, deadline: Instant) -> io::Result<Processes> {
        let answer = ask_master(&self.socket, "show proc", MAX_ANSWER_BYTES, deadline)?;
        Processes::parse(&answer).ok_or_else(|| not_understood("show proc", &answer))
    }

    /// The set that the worker was started with; `None` where it was started with something else.
    ///
    /// # Errors
    /// Nobody listens, or there is no worker yet.
    pub fn worker_set(&self) -> io::Result<Option<u64>> {
        let question = format!("@1 show env {SET_VARIABLE}");
        let answer = self.ask(&question)?;
        let answer = answer.trim();
        if answer == "Variable not found" {
            return Ok(None);
        }
        let value = answer.strip_prefix(SET_VARIABLE).and_then(|rest| rest.strip_prefix('='));
        value.map(|value| value.parse().ok()).ok_or_else(|| not_understood(&question, answer))
    }

    /// Whether the filter is at work in the worker.
    ///
    /// # Errors
    /// Nobody listens, or it is not.
    pub fn worker_filters(&self) -> io::Result<()> {
        let answer = self.ask("@1 edge sync")?;
        if answer.starts_with("revision ") { Ok(()) } else { Err(not_understood("edge sync", &answer)) }
    }

    /// What the worker knows of its servers, as `load-server-state-from-file` reads it.
    ///
    /// # Errors
    /// Nobody listens, or it is too much.
    pub fn server_state(&self) -> io::Result<String> {
        let question = "@1 show servers state";
        let deadline = Instant::now() + LONG_PATIENCE;
        let answer = ask_master(&self.socket, question, MAX_SERVER_STATE_BYTES, deadline)?;
        if answer.starts_with("1\n") { Ok(answer) } else { Err(not_understood(question, &answer)) }
    }

    /// Makes it read its configuration again and replace the worker. Up to 2.6 it says nothing of it, and is asked how it went,
    /// which it cannot be while it executes itself anew: `has_ended` tells that from its end.
    ///
    /// # Errors
    /// Nobody listens, it is gone, or nothing is known when the deadline has come.
    pub fn reload(&self, deadline: Instant, has_ended: impl Fn() -> bool) -> io::Result<Reloaded> {
        let before = self.processes()?;
        match ask_master(&self.socket, "reload", MAX_ANSWER_BYTES, deadline) {
            Ok(answer) if answer.starts_with("Success=1") => return Ok(Reloaded::Loaded),
            Ok(answer) if answer.starts_with("Success=0") => {
                let (_, words) = answer.split_once('\n').unwrap_or_default();
                return Ok(Reloaded::Failed(words.trim_start_matches("--\n").to_owned()));
            }
            Ok(answer) if !answer.trim().is_empty() => return Err(not_understood("reload", &answer)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            // The connection ends with the program that the master was.
            Ok(_) | Err(_) => {}
        }
        loop {
            match self.processes() {
                Ok(now) if now.master_pid != before.master_pid => {
                    return Err(io::Error::other("the master has ended, and there is another"));
                }
                Ok(now) if now.reloads != before.reloads && now.failed == 0 => return Ok(Reloaded::Loaded),
                Ok(now) if now.reloads != before.reloads => return Ok(Reloaded::Failed(String::new())),
                Err(error) if has_ended() => return Err(error),
                Ok(_) | Err(_) => {}
            }
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(PAUSE);
        }
    }

    fn ask(&self, command: &str) -> io::Result<String> {
        ask_master(&self.socket, command, MAX_ANSWER_BYTES, Instant::now() + ANSWER_PATIENCE)
    }
}

impl Processes {
    fn parse(text: &str) -> Option<Self> {
        let mut found =
            Self { master_pid: 0, reloads: 0, failed: 0, workers: Vec::new(), old_workers: Vec::new() };
        let mut are_old = false;
        for line in text.lines() {
            are_old |= line.starts_with("# old workers");
            let mut words = line.split_whitespace();
            let Some(pid) = words.next().and_then(|word| word.parse().ok()) else { continue };
            match words.next()? {
                "master" => {
                    found.master_pid = pid;
                    found.reloads = words.next()?.parse().ok()?;
                    let failed = words.nth(1).and_then(|word| word.strip_suffix(']'));
                    found.failed = failed.and_then(|number| number.parse().ok()).unwrap_or(0);
                }
                "worker" if are_old => found.old_workers.push(pid),
                "worker" => found.workers.push(pid),
                // Programs, which 3.3 no longer has.
                _ => {}
            }
        }
        (found.master_pid > 0).then_some(found)
    }
}

fn not_understood(question: &str, answer: &str) -> io::Error {
    let shown: String = answer.trim().chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("answered {shown:?} to {question}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_read() {
        let text = "\
#<PID>          <type>          <reloads>       <uptime>        <version>
1162            master          5 [failed: 2]   0d00h02m07s     2.6.12-1+deb12u4
# workers
1271            worker          1               0d00h00m00s     2.6.12-1+deb12u4
# old workers
1233            worker          3               0d00h00m43s     2.6.12-1+deb12u4
# programs
1244            foo             0               0d00h00m00s     -

";
        let expected = Processes {
            master_pid: 1162,
            reloads: 5,
            failed: 2,
            workers: vec![1271],
            old_workers: vec![1233],
        };
        assert_eq!(Processes::parse(text), Some(expected));
        assert_eq!(Processes::parse("Unknown command: 'show proc'.\n"), None);
    }
}
