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

    /// The statuses of those that were answered so far; 0 where the connection was closed instead.
    pub fn answered(&mut self) -> &[u16] {
        let answered = &mut self.answered;
        self.open.retain_mut(|(stream, bytes)| {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(0) => {}
                Ok(read) => {
                    bytes.extend_from_slice(&buffer[..read]);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // Reset: what came before counts.
                Err(_) => {}
            }
            let line = String::from_utf8_lossy(bytes);
            answered.push(line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0));
            false
        });
        answered
    }

    /// How many are not answered yet.
    pub fn waiting(&self) -> usize {
        self.open.len()
    }
}
