//! A command on a stats socket.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

/// Longest answer that is read where nothing long is asked for, bytes.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Sends one command to a stats socket and reads the answer, all of it before the deadline.
///
/// # Errors
/// Nobody listens, the deadline has come, or the answer is too long or no text.
pub(super) fn ask(socket: &Path, command: &str, deadline: Instant) -> io::Result<String> {
    answer(send(socket, command, deadline)?, MAX_ANSWER_BYTES, deadline)
}

/// [`ask`], of a master: it would wait for the next command, and keeps the connection until it is told that none comes.
pub(super) fn ask_master(
    socket: &Path,
    command: &str,
    max_bytes: usize,
    deadline: Instant,
) -> io::Result<String> {
    let stream = send(socket, command, deadline)?;
    stream.shutdown(Shutdown::Write)?;
    answer(stream, max_bytes, deadline)
}

fn send(socket: &Path, command: &str, deadline: Instant) -> io::Result<UnixStream> {
    let mut stream = connect(socket, deadline)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    Ok(stream)
}

fn answer(mut stream: UnixStream, max_bytes: usize, deadline: Instant) -> io::Result<String> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let bytes = match stream.read(&mut piece) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(&piece[..bytes]);
        if answer.len() > max_bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
        }
        if bytes == 0 {
            return String::from_utf8(answer)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the answer is no text"));
        }
    }
}

/// Connects before the deadline: one who has been stopped takes nobody up, and a place in its queue may be long in coming
/// (unix(7): `connect` waits for it as long as `SO_SNDTIMEO` says).
fn connect(socket: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    loop {
        set_socket_timeout(&stream, Timeout::Send, Some(left(deadline)?))?;
        match rustix::net::connect(&stream, &address) {
            Ok(()) => return Ok(stream.into()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is left until the deadline.
fn left(deadline: Instant) -> io::Result<std::time::Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_takes_nobody_up_is_waited_for_until_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge.sock");
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let soon = || Instant::now() + Duration::from_millis(50);
        // Until its queue is full.
        let waiting: Vec<_> = (0..8).map_while(|_| connect(&path, soon()).ok()).collect();
        assert!((1..8).contains(&waiting.len()), "{}", waiting.len());
        assert_eq!(ask(&path, "show info", soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
