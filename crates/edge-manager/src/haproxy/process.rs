//! HAProxy's master process, ours or found running.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal, test_kill_process_group,
};

/// How long it has after SIGTERM, which ends all connections, before it is killed.
const TERM_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at workers that were killed.
const PAUSE: Duration = Duration::from_millis(5);

/// A process by a descriptor, which does not pass to another process with its number.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    descriptor: OwnedFd,
    /// `None` where an earlier manager started it: how it ends is not known then.
    child: Option<Child>,
}

impl Process {
    /// One that we have started, as the first of its process group. Where it cannot be watched, all of the group is killed:
    /// nobody would know of it.
    pub(super) fn started(mut child: Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Self { pid, descriptor, child: Some(child) }),
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// One that runs already. Whoever has its number from somewhere must ask there again afterwards.
    pub(super) fn found(pid: u32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { pid, descriptor: pidfd_open(pid, PidfdFlags::empty())?, child: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(super) fn is_adopted(&self) -> bool {
        self.child.is_none()
    }

    /// Waits so long for its end, and says whether it has come.
    pub(super) fn has_ended(&self, patience: Duration) -> bool {
        let timeout = Timespec::try_from(patience).ok();
        let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
        // A signal to us ends the wait early, which does no harm: it is asked again.
        matches!(poll(&mut descriptors, timeout.as_ref()), Ok(ready) if ready > 0)
    }

    /// Waits so long for its end, and says how it ended.
    pub(super) fn ended_within(&mut self, patience: Duration) -> Option<String> {
        if !self.has_ended(patience) {
            return None;
        }
        Some(match &mut self.child {
            Some(child) => {
                // A worker that was stopped or hangs would listen on beside those of the next HAProxy. The number of the group is
                // still its own: it is waited for after that.
                let _ = kill_process_group(self.pid, Signal::KILL);
                group_has_ended(self.pid, TERM_PATIENCE);
                child.wait().map_or_else(|error| error.to_string(), how)
            }
            None => "ended; an earlier manager started it".to_owned(),
        })
    }

    /// Ends it with its workers: their connections may go on so long, then they are cut.
    pub(super) fn stop(&mut self, grace: Duration) -> String {
        for (signal, patience) in [(Signal::USR1, grace), (Signal::TERM, TERM_PATIENCE)] {
            if patience.is_zero() {
                continue;
            }
            // It may end this moment.
            let _ = pidfd_send_signal(&self.descriptor, signal);
            if let Some(exit) = self.ended_before(Instant::now() + patience) {
                return exit;
            }
        }
        self.kill()
    }

    /// Ends it with its workers, at once.
    pub(super) fn kill(&mut self) -> String {
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
        let _ = kill_process_group(self.pid, Signal::KILL);
        let exit = self.ended_before(Instant::now() + TERM_PATIENCE);
        group_has_ended(self.pid, TERM_PATIENCE);
        exit.unwrap_or_else(|| "cannot be killed".to_owned())
    }

    fn ended_before(&mut self, deadline: Instant) -> Option<String> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let exit = self.ended_within(left);
            if exit.is_some() || left.is_zero() {
                return exit;
            }
        }
    }
}

/// Waits so long until no process of this group runs, and says whether none does. A killed worker listens until the kernel has
/// ended its last thread, which takes a moment on a busy machine.
fn group_has_ended(group: Pid, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if test_kill_process_group(group).is_err() || !is_group_running(group) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// A process that nobody has waited for runs no longer, unless its first thread alone has ended: the others hold its sockets.
fn is_group_running(group: Pid) -> bool {
    // State, parent and group stand behind the name, which is in parentheses (proc_pid_stat(5)).
    let group = group.to_string();
    let runs = |thread: &Path| {
        let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit_once(") ").unwrap_or_default().1.split(' ');
        !matches!(fields.next(), None | Some("" | "Z" | "X")) && fields.nth(1) == Some(&group)
    };
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries("/proc".as_ref()).flat_map(|process| entries(&process.join("task"))).any(|thread| runs(&thread))
}

/// In words that follow "HAProxy".
fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    fn start(script: &str) -> Process {
        let mut command = Command::new("sh");
        Process::started(command.args(["-c", script]).process_group(0).spawn().unwrap()).unwrap()
    }

    /// Until it has said a line.
    fn start_and_hear(script: &str) -> Process {
        let mut command = Command::new("sh");
        let mut child = command.args(["-c", script]).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        assert_eq!(out.read_line(&mut String::new()).unwrap(), 1);
        Process::started(child).unwrap()
    }

    #[test]
    fn a_group_runs_until_its_last_process_has_ended() {
        // Its first process ends; the other one reads until it is told something.
        let (theirs, mut ours) = io::pipe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<&0; read line <&3 & exit 0"]).process_group(0).stdin(theirs);
        let mut child = command.spawn().unwrap();
        let group = Pid::from_child(&child);
        assert!(child.wait().unwrap().success());
        assert!(!group_has_ended(group, Duration::from_millis(20)));
        ours.write_all(b"\n").unwrap();
        assert!(group_has_ended(group, Duration::from_secs(60)));
    }

    #[test]
    fn an_end_is_seen_and_told() {
        assert_eq!(start("exit 3").ended_within(Duration::from_secs(60)).unwrap(), "exited with status 3");
        assert_eq!(
            start("kill -KILL $$").ended_within(Duration::from_secs(60)).unwrap(),
            "was ended by signal 9"
        );
        let mut sleeper = start("exec sleep 1000");
        assert_eq!(sleeper.ended_within(Duration::from_millis(20)), None);
        sleeper.stop(Duration::ZERO);
    }

    #[test]
    fn a_stop_is_gentle_first_and_certain_last() {
        let mut gentle = start_and_hear("trap 'exit 7' USR1; echo; while :; do sleep 0.01; done");
        assert_eq!(gentle.stop(Duration::from_secs(60)), "exited with status 7");
        let mut deaf = start_and_hear("trap '' USR1; echo; exec sleep 1000");
        assert_eq!(deaf.stop(Duration::from_millis(50)), "was ended by signal 15");
    }

    #[test]
    fn one_that_was_found_is_watched_too() {
        let mut own = start("exec sleep 1000");
        let mut found = Process::found(own.pid()).unwrap();
        assert!(found.is_adopted() && found.ended_within(Duration::from_millis(10)).is_none());
        own.stop(Duration::ZERO);
        assert!(found.ended_within(Duration::from_secs(60)).unwrap().contains("earlier manager"));
    }

    #[test]
    fn what_cannot_be_watched_is_killed_with_what_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & exit 0"]).process_group(0).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdout.take().unwrap();
        // Its number is nobody's from now on.
        child.wait().unwrap();
        let error = Process::started(child).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::SRCH.raw_os_error()));
        // What it started holds the pipe.
        assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
    }
}
