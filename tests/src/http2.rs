//! As much of HTTP/2 (RFC 9113) as it takes to send requests that HTTP/1.1 cannot say: many at once, without an end.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The codes of a reset behind an answer to a request that does not end: NO_ERROR (section 8.1), of HAProxy 2.6 CANCEL.
const AFTER_AN_ANSWER: [u32; 2] = [0, 8];

/// A connection that begins with HTTP/2 at once, as HAProxy takes it on every port without TLS.
#[derive(Debug)]
pub struct Http2 {
    stream: TcpStream,
    next: u32,
    bytes: Vec<u8>,
}

impl Http2 {
    /// Connects.
    ///
    /// # Errors
    /// There is no connection.
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut http2 = Self { stream, next: 1, bytes: Vec::new() };
        http2.frame(SETTINGS, 0, 0, &[])?;
        Ok(http2)
    }

    /// Sends a `GET`; with `ends`, that is all of it. The number of its stream.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn get(
        &mut self,
        authority: &str,
        path: &str,
        headers: &[(&str, &str)],
        ends: bool,
    ) -> io::Result<u32> {
        let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", path)];
        let fields: Vec<u8> =
            pseudo.iter().chain(headers).flat_map(|(name, value)| field(name, value)).collect();
        let number = self.next;
        self.next += 2;
        let flags = if ends { END_HEADERS | END_STREAM } else { END_HEADERS };
        self.frame(HEADERS, flags, number, &fields)?;
        Ok(number)
    }

    /// Sends a part of a body, which does not end with it.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn data(&mut self, number: u32, data: &[u8]) -> io::Result<()> {
        self.frame(DATA, 0, number, data)
    }

    fn frame(&mut self, kind: u8, flags: u8, number: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
        let head = [&length[1..], &[kind, flags], &number.to_be_bytes()].concat();
        self.stream.write_all(&[&head, payload].concat())
    }

    /// Waits for the next answer: its stream, and its status; 0 where the stream was reset instead.
    ///
    /// # Errors
    /// None came within 30 s, or the connection was closed.
    pub fn answer(&mut self) -> io::Result<(u32, u16)> {
        loop {
            if let Some((kind, number, payload)) = self.take_frame() {
                match kind {
                    HEADERS => return Ok((number, status(&payload)?)),
                    RST_STREAM if !AFTER_AN_ANSWER.iter().any(|code| payload == code.to_be_bytes()) => {
                        return Ok((number, 0));
                    }
                    _ => continue,
                }
            }
            let mut buffer = [0; 4096];
            let read = self.stream.read(&mut buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes.extend_from_slice(&buffer[..read]);
        }
    }

    fn take_frame(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let head: [u8; 9] = self.bytes.first_chunk().copied()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = self.bytes.get(9..9 + length)?.to_vec();
        self.bytes.drain(..9 + length);
        Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }
}

/// A field without compression (RFC 7541, section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text");
        [&[length], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}

/// The status, which comes first. HAProxy takes it from the static table, or writes it without compression.
fn status(fields: &[u8]) -> io::Result<u16> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match fields {
        [index @ 0x88..=0x8e, ..] => Ok(INDEXED[usize::from(index - 0x88)]),
        [0x48 | 0x08, 3, digits @ ..] if digits.len() >= 3 => {
            let digits = String::from_utf8_lossy(&digits[..3]).into_owned();
            digits.parse().map_err(io::Error::other)
        }
        _ => Err(io::Error::other(format!("a status that this client cannot read: {fields:?}"))),
    }
}
