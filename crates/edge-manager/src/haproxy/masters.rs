//! The master of a HAProxy among the processes of this machine.
//!
//! That nobody answers at its socket is no proof that there is none: a master that executes itself anew, that loads or that was
//! stopped (SIGSTOP) is reached by nobody, and its workers serve on. But every process has its arguments from its first moment to
//! its last; only while it executes a program they cannot be read.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::geteuid;

use super::process::Process;

/// The arguments of HAProxy are among so many bytes.
const MAX_ARGUMENTS_BYTES: u64 = 64 << 10;

/// Between two looks at one that executes a program, and how long that may take: others hide their arguments for good.
const PAUSE: Duration = Duration::from_millis(5);
const EXEC_PATIENCE: Duration = Duration::from_secs(1);

/// What a process is.
enum Seen {
    /// Something else, or gone.
    Stranger,
    /// One of ours that has no arguments, as one that executes a program.
    Hidden,
    /// A HAProxy with `-S` and the socket.
    Master,
}

/// The master that was started by our user, as the first of its process group, to listen at this absolute path.
///
/// Takes a millisecond for some hundred processes.
///
/// # Errors
/// The processes cannot be looked at, so nothing is known.
pub(super) fn master_of(socket: &Path) -> io::Result<Option<Process>> {
    let deadline = Instant::now() + EXEC_PATIENCE;
    loop {
        let mut is_certain = true;
        for pid in numbers()? {
            match seen(pid, socket)? {
                Seen::Stranger => {}
                Seen::Hidden => is_certain = false,
                Seen::Master => match Process::found(pid) {
                    // By now its number may be that of another.
                    Ok(process) if matches!(seen(pid, socket)?, Seen::Master) => return Ok(Some(process)),
                    Ok(_) => is_certain = false,
                    Err(error) if is_gone(&error) => is_certain = false,
                    Err(error) => return Err(error),
                },
            }
        }
        if is_certain || Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

fn numbers() -> io::Result<BTreeSet<u32>> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse().ok());
    fs::read_dir("/proc")?.filter_map(|entry| entry.map(number).transpose()).collect()
}

fn seen(pid: u32, socket: &Path) -> io::Result<Seen> {
    let arguments = read(pid, "cmdline")?;
    if !arguments.is_empty() && !listens_at(&arguments, socket) {
        return Ok(Seen::Stranger);
    }
    let status = read(pid, "status")?;
    let status = Status(str::from_utf8(&status).unwrap_or_default());
    Ok(if !status.is_ours(pid) || !shares_directory(pid, socket) {
        Seen::Stranger
    } else if !arguments.is_empty() {
        Seen::Master
    } else if status.has_memory() {
        Seen::Hidden
    } else {
        Seen::Stranger
    })
}

/// What the kernel says of a process; nothing of one that is gone, or of one that is none of our business.
fn read(pid: u32, what: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(format!("/proc/{pid}/{what}"))
        .and_then(|file| file.take(MAX_ARGUMENTS_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::PermissionDenied => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// Whether `-S` and this socket are among the arguments, whatever else is said of the socket (management guide, section 3).
fn listens_at(arguments: &[u8], socket: &Path) -> bool {
    let mut arguments = arguments.split(|&byte| byte == 0);
    let socket = socket.as_os_str().as_bytes();
    arguments.any(|argument| argument == b"-S")
        && arguments
            .next()
            .and_then(|address| address.strip_prefix(socket))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b","))
}

/// Whether its directory of the socket is the one that we see: a container has another of the same name. HAProxy's may be out of
/// sight for us, and is then taken for ours.
fn shares_directory(pid: u32, socket: &Path) -> bool {
    let Some(dir) = socket.parent() else { return true };
    match (fs::metadata(format!("/proc/{pid}/root{}", dir.display())), fs::metadata(dir)) {
        (Ok(theirs), Ok(ours)) => (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()),
        _ => true,
    }
}

/// `/proc/PID/status` (proc_pid_status(5)).
struct Status<'a>(&'a str);

impl<'a> Status<'a> {
    fn words(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().split_ascii_whitespace()
    }

    /// Whether it is of our user, who else could not have started it; in no container of its own; and the first of its group,
    /// as no worker is.
    fn is_ours(&self, pid: u32) -> bool {
        let (user, pid) = (geteuid().as_raw().to_string(), pid.to_string());
        self.words("Uid").nth(1) == Some(user.as_str())
            && self.words("NSpid").eq([pid.as_str()])
            && self.words("NSpgid").eq([pid.as_str()])
    }

    /// Unlike a thread of the kernel, and one that has ended.
    fn has_memory(&self) -> bool {
        self.words("VmSize").next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process with these arguments that does nothing.
    struct Idle(Child);

    impl Idle {
        fn start(socket: &str, is_leader: bool) -> Self {
            let mut command = Command::new("sh");
            command.args(["-c", "read line", "haproxy", "-W", "-S", socket, "-f", "x"]).stdin(Stdio::piped());
            if is_leader {
                command.process_group(0);
            }
            Self(command.spawn().unwrap())
        }
    }

    impl Drop for Idle {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_master_is_found_by_its_arguments_and_no_other_process_is() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("master.sock");
        let path = socket.to_str().unwrap();
        let found = || master_of(&socket).unwrap().map(|process| process.pid());
        let _others = [
            Idle::start(&format!("{path}2,level,admin"), true),
            Idle::start(&format!("/x{path}"), true),
            // As a worker.
            Idle::start(path, false),
        ];
        assert_eq!(found(), None);
        for address in [path.to_owned(), format!("{path},level,admin,mode,600")] {
            let master = Idle::start(&address, true);
            assert_eq!(found(), Some(master.0.id()), "{address}");
        }
        assert_eq!(found(), None);
    }

    #[test]
    fn one_of_another_user_or_in_a_container_is_no_master_of_ours() {
        let user = geteuid().as_raw();
        let status = |user: u32, numbers: &str, group: &str| {
            let text =
                format!("Name:\thaproxy\nUid:\t0\t{user}\t0\t0\nNSpid:\t{numbers}\nNSpgid:\t{group}\n");
            Status(&text).is_ours(7)
        };
        assert!(status(user, "7", "7"));
        assert!(!status(user + 1, "7", "7") && !status(user, "7\t1", "7\t1") && !status(user, "7", "6"));
    }

    #[test]
    fn a_thread_of_the_kernel_has_no_memory() {
        assert!(Status("VmPeak:\t 5 kB\nVmSize:\t 4 kB\n").has_memory());
        assert!(!Status("Name:\tkthreadd\n").has_memory());
    }
}
