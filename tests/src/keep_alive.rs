//! A client that keeps its connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{Request, Response};

/// A bulk change of a busy machine takes a while.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client that sends one request after the other on one connection, and opens another when that was closed.
#[derive(Debug)]
pub struct KeepAlive {
    to: SocketAddr,
    stream: Option<TcpStream>,
    retried: u64,
}

impl KeepAlive {
    /// A client of this address, not connected yet.
    pub fn new(to: SocketAddr) -> Self {
        Self { to, stream: None, retried: 0 }
    }

    /// The answer to a `GET` for `target` on `www.example`.
    ///
    /// # Errors
    /// As [`KeepAlive::send`].
    pub fn get(&mut self, target: &str) -> io::Result<Response> {
        self.send(&Request::get(target))
    }

    /// The answer to a request. Where a kept connection is closed before anything came back, a request that changes nothing
    /// goes out again on a new one, as RFC 9112 section 9.3.1 has clients do.
    ///
    /// # Errors
    /// No connection, or no whole answer on a new one.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        if let Some(stream) = self.stream.take() {
            match self.exchange(stream, request) {
                Err(NoAnswer { began: false, .. }) if request.is_repeatable() => self.retried += 1,
                outcome => return outcome.map_err(|failure| failure.error),
            }
        }
        let stream = TcpStream::connect(self.to)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        self.exchange(stream, request).map_err(|failure| failure.error)
    }

    /// How many requests went out again.
    pub fn retried(&self) -> u64 {
        self.retried
    }

    fn exchange(&mut self, mut stream: TcpStream, request: &Request) -> Result<Response, NoAnswer> {
        let unanswered = |error| NoAnswer { began: false, error };
        stream.write_all(request.text(true).as_bytes()).map_err(unanswered)?;
        let mut bytes = Vec::new();
        loop {
            let mut buffer = [0; 64 * 1024];
            let began = !bytes.is_empty();
            let read = stream.read(&mut buffer).map_err(|error| NoAnswer { began, error })?;
            if read == 0 {
                return Err(NoAnswer { began, error: io::ErrorKind::UnexpectedEof.into() });
            }
            bytes.extend_from_slice(&buffer[..read]);
            let whole = Response::parse_whole(&bytes).map_err(|error| NoAnswer { began: true, error })?;
            if let Some(response) = whole {
                if response.header("connection") != Some("close") {
                    self.stream = Some(stream);
                }
                return Ok(response);
            }
        }
    }
}

struct NoAnswer {
    /// A part of it came.
    began: bool,
    error: io::Error,
}
