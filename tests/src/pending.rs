//! Requests that are under way.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Request;

/// Requests that were sent, each on a connection of its own, and whose answers come when they come.
#[derive(Debug, Default)]
pub struct Pending {
    open: Vec<(TcpStream, Vec<u8>)>,
    answered: Vec<u16>,
}

impl Pending {
    /// Sends one more.
    ///
    /// # Errors
    /// There is no connection.
    pub fn send(&mut self, request: &Request, to: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(to)?;
        stream.write_all(request.text(false).as_bytes())?;
        stream.set_nonblocking(true)?;
        self.open.push((stream, Vec::new()));
        Ok(())
    }

    /// The statuses of those that were answered so far; 0 where the connection was closed instead. The connections of answered
    /// ones are closed: HAProxy 3.0 keeps one open whose request never ends.
    pub fn answered(&mut self) -> &[u16] {
        let answered = &mut self.answered;
        self.open.retain_mut(|(stream, bytes)| {
            let mut buffer = [0; 4096];
            let is_closed = match stream.read(&mut buffer) {
                Ok(read) => {
                    bytes.extend_from_slice(&buffer[..read]);
                    read == 0
                }
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            };
            match final_status(bytes) {
                Some(status) => answered.push(status),
                None if is_closed => answered.push(0),
                None => return true,
            }
            false
        });
        answered
    }

    /// How many are not answered yet.
    pub fn waiting(&self) -> usize {
        self.open.len()
    }
}

/// Of the first answer that is not an interim one (RFC 9110, section 15.2), once its head is complete.
fn final_status(bytes: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(bytes);
    let mut heads = text.split_inclusive("\r\n\r\n").filter(|head| head.ends_with("\r\n\r\n"));
    heads.find_map(|head| head.split(' ').nth(1)?.parse().ok().filter(|status| *status >= 200))
}

#[cfg(test)]
mod tests {
    use super::final_status;

    #[test]
    fn interim_and_incomplete_answers_are_passed_over() {
        assert_eq!(final_status(b""), None);
        assert_eq!(final_status(b"HTTP/1.1 400 Bad Request\r\nA: b\r\n"), None);
        assert_eq!(final_status(b"HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(final_status(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n"), Some(403));
        assert_eq!(final_status(b"HTTP/1.1 429 Too Many\r\n\r\n<html>"), Some(429));
    }
}
