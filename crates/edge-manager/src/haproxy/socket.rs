//! A command on a stats socket.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

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
    let mut stream = UnixStream::connect(socket)?;
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

/// What is left until the deadline.
fn left(deadline: Instant) -> io::Result<std::time::Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
