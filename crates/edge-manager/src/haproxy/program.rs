//! The program: its version, and what it says of a configuration.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::render::{UnknownVersion, Version};

/// Where HAProxy is looked for, and the PATH that it gets: Debian keeps it where that of a user does not look.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of what it says is kept, bytes; the rest is read and dropped.
const MAX_WORDS_BYTES: usize = 64 << 10;

/// How long `haproxy -v` may take.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(2);

/// HAProxy, not running yet.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

/// What `haproxy -c` found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Whether HAProxy would take the configuration.
    pub is_valid: bool,
    /// All that it said, cut after 64 KiB.
    pub words: String,
}

/// Why the program did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be started.
    #[error("{program}: {error}")]
    Start {
        /// As it was named.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// It was ended because it took so long.
    #[error("{program} was not done after {} s", .patience.as_secs())]
    Slow {
        /// As it was named.
        program: String,
        /// How long it had.
        patience: Duration,
    },
    /// It is not HAProxy, or one that is too old.
    #[error("{program}: {error}")]
    Version {
        /// As it was named.
        program: String,
        /// What is wrong.
        error: UnknownVersion,
    },
}

impl Program {
    /// A path, or a name that is looked for where Debian keeps HAProxy.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Asks it for its version.
    ///
    /// # Errors
    /// It cannot be started, does not answer, or is not HAProxy 2.6 or later.
    pub fn version(&self) -> Result<Version, ProgramError> {
        let mut command = self.command();
        command.arg("-v").stdout(Stdio::piped());
        let (_, words) = self.run(command, |child| child.stdout.take(), VERSION_PATIENCE)?;
        Version::from_banner(&words).map_err(|error| ProgramError::Version { program: self.name(), error })
    }

    /// Asks it whether it would take a configuration. It parses everything and opens what is named, but listens nowhere.
    ///
    /// # Errors
    /// It cannot be started, or takes longer than this.
    pub fn check(&self, configuration: &Path, patience: Duration) -> Result<Checked, ProgramError> {
        let mut command = self.command();
        command.arg("-c").arg("-f").arg(configuration).stdout(Stdio::null()).stderr(Stdio::piped());
        let (status, words) = self.run(command, |child| child.stderr.take(), patience)?;
        Ok(Checked { is_valid: status.success(), words })
    }

    /// HAProxy with an environment of its own: ours holds a key, and everybody who reaches a stats socket may read that of
    /// HAProxy (`show env`). In a process group of its own, so that it ends with whatever it started.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.env_clear().env("PATH", PATH).stdin(Stdio::null()).stderr(Stdio::null()).process_group(0);
        if let Some(zone) = std::env::var_os("TZ") {
            command.env("TZ", zone);
        }
        command
    }

    pub(super) fn start_error(&self, error: io::Error) -> ProgramError {
        ProgramError::Start { program: self.name(), error }
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn run<Pipe: Read + Send>(
        &self,
        mut command: Command,
        pipe: impl FnOnce(&mut Child) -> Option<Pipe>,
        patience: Duration,
    ) -> Result<(ExitStatus, String), ProgramError> {
        let mut child = command.spawn().map_err(|error| self.start_error(error))?;
        let pipe = pipe(&mut child);
        thread::scope(|scope| {
            let pid = Pid::from_child(&child);
            let words = Builder::new().spawn_scoped(scope, || pipe.map_or_else(Vec::new, beginning));
            let (words, has_ended) = match words {
                Ok(words) => (Some(words), until_ended(pid, Instant::now() + patience)),
                Err(error) => (None, Err(error)),
            };
            // Whatever it has started and left behind would keep the pipe open. Its number is still its own: it is waited for
            // after that.
            let _ = kill_process_group(pid, Signal::KILL);
            let status = child.wait();
            let words = words.and_then(|words| words.join().ok()).unwrap_or_default();
            match (has_ended, status) {
                (Ok(true), Ok(status)) => Ok((status, String::from_utf8_lossy(&words).into_owned())),
                (Ok(false), _) => Err(ProgramError::Slow { program: self.name(), patience }),
                (Err(error), _) | (_, Err(error)) => Err(self.start_error(error)),
            }
        })
    }
}

/// Whether it has ended before the deadline. It stays to be waited for.
fn until_ended(child: Pid, deadline: Instant) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        let has_ended = waitid(WaitId::Pid(child), options)?.is_some();
        if has_ended || Instant::now() >= deadline {
            return Ok(has_ended);
        }
        thread::sleep(PAUSE);
    }
}

/// Reads to the end, so that nobody waits for the pipe, and keeps the beginning.
fn beginning(mut pipe: impl Read) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match pipe.read(&mut piece) {
            Ok(0) => return kept,
            Ok(bytes) => kept.extend_from_slice(&piece[..bytes.min(MAX_WORDS_BYTES - kept.len())]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that does this in place of HAProxy.
    fn script(text: &str) -> (tempfile::TempDir, Program) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("haproxy");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        (dir, Program::new(path))
    }

    #[test]
    fn a_check_that_never_ends_is_ended_with_what_it_started() {
        let (dir, program) =
            script("echo $$ >\"${0%/*}/pid.new\"; mv \"${0%/*}/pid.new\" \"${0%/*}/pid\"; sleep 1000");
        // A busy machine may need longer to come so far.
        let pid = (0..10).find_map(|n| {
            let error = program.check(Path::new("x"), Duration::from_millis(300 << n)).unwrap_err();
            assert!(error.to_string().contains("was not done after "), "{error}");
            fs::read_to_string(dir.path().join("pid")).ok()
        });
        let pid = pid.expect("it began");
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }

    #[test]
    fn a_check_is_over_when_it_has_ended_whatever_it_left_behind() {
        let (_dir, program) = script("sleep 1000 & echo done >&2; exit 1");
        let checked = program.check(Path::new("x"), Duration::from_secs(60)).unwrap();
        assert_eq!((checked.is_valid, checked.words.as_str()), (false, "done\n"));
    }

    #[test]
    fn what_it_says_is_kept_up_to_a_limit() {
        let (_dir, program) = script("yes no | head -c 1000000 >&2; exit 1");
        let checked = program.check(Path::new("x"), Duration::from_secs(60)).unwrap();
        assert!(!checked.is_valid);
        assert_eq!(checked.words.len(), MAX_WORDS_BYTES);
    }

    #[test]
    fn nothing_of_our_environment_gets_there() {
        let (_dir, program) = script("env >&2");
        let checked = program.check(Path::new("x"), Duration::from_secs(60)).unwrap();
        // The shell sets some of its own.
        let names = ["PATH", "PWD", "TZ", "_", "OLDPWD", "SHLVL"];
        let foreign = checked.words.lines().find(|line| !names.contains(&line.split('=').next().unwrap()));
        assert_eq!(foreign, None);
    }

    #[test]
    fn what_is_not_there_or_not_haproxy_is_named() {
        let error = Program::new("/none/haproxy").version().unwrap_err().to_string();
        assert_eq!(error, "/none/haproxy: No such file or directory (os error 2)");
        let (_dir, program) = script("echo nginx 1.2.3");
        let error = program.version().unwrap_err().to_string();
        assert!(error.ends_with("haproxy: \"nginx 1.2.3\" is not what `haproxy -v` prints"), "{error}");
    }
}
