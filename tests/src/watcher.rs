//! The end of a process group with the process that started it.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// The second read lasts until nobody holds the other end of the pipe any more.
const SCRIPT: &str = "read -r group && { read -r _; kill -s \"$0\" -- \"-$group\"; }";

/// A process that signals a process group when this one ends without dropping it. A parent-death signal would not do:
/// the kernel clears it when HAProxy changes its user (prctl(2), `PR_SET_PDEATHSIG`).
#[derive(Debug)]
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Starts it, in a process group of its own, where no Ctrl-C reaches it.
    ///
    /// # Errors
    /// There is no shell.
    pub(crate) fn spawn(signal: Signal) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        let name = signal.as_str().trim_start_matches("SIG");
        shell.args(["-c", SCRIPT, name]).process_group(0);
        Ok(Self(shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }

    /// Names the process group.
    ///
    /// # Errors
    /// The watcher has ended.
    pub(crate) fn watch(&mut self, group: Pid) -> io::Result<()> {
        let pipe = self.0.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(pipe, "{group}")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Before the pipe is closed, so that it kills nobody.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        (child, pid)
    }

    #[test]
    fn a_closed_pipe_kills_the_group() {
        let (mut child, pid) = sleeper();
        let mut watcher = Watcher::spawn(Signal::SIGKILL).unwrap();
        watcher.watch(pid).unwrap();
        // As the kernel does when this process ends.
        drop(watcher.0.stdin.take());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_dropped_watcher_kills_nobody() {
        let (mut child, pid) = sleeper();
        let mut watcher = Watcher::spawn(Signal::SIGKILL).unwrap();
        watcher.watch(pid).unwrap();
        drop(watcher);
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
