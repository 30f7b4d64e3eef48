//! The least HTTP/1.1 that sends a request exactly as written, and reads what came back.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HEADERS: usize = 64;

/// A request. Method, target and headers reach the wire as they are.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    body: String,
    from: Option<IpAddr>,
}

impl Request {
    /// For `target` on `www.example`.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some("www.example".to_owned()),
            headers: Vec::new(),
            body: String::new(),
            from: None,
        }
    }

    /// A `GET` for `target`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// To another host.
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Without a `Host` header, as HTTP/1.0 allows.
    pub fn without_host(mut self) -> Self {
        self.host = None;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body; a `Content-Length` goes with it.
    pub fn body(mut self, text: &str) -> Self {
        text.clone_into(&mut self.body);
        self.header("Content-Length", &text.len().to_string())
    }

    /// As if a proxy had forwarded it for this client.
    pub fn forwarded_for(self, client: &str) -> Self {
        self.header("X-Forwarded-For", client)
    }

    /// From this address of the machine; any of 127.0.0.0/8 will do.
    pub fn from(mut self, addr: IpAddr) -> Self {
        self.from = Some(addr);
        self
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// No connection, no whole answer, or none within 60 s.
    pub fn send(&self, to: SocketAddr) -> io::Result<Response> {
        let stream = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        if let Some(from) = self.from {
            stream.bind(&SocketAddr::from((from, 0)).into())?;
        }
        stream.connect_timeout(&to.into(), TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        self.exchange(stream)
    }

    /// Sends it to a Unix socket and reads the answer.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub fn send_to_socket(&self, path: &Path) -> io::Result<Response> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        self.exchange(stream)
    }

    fn exchange(&self, mut stream: impl Read + Write) -> io::Result<Response> {
        // Who refuses a body does not read it to its end, and may say so and close before all of it is sent.
        let sent = stream.write_all(self.text(false).as_bytes());
        let mut bytes = Vec::new();
        let received = stream.read_to_end(&mut bytes);
        match Response::parse_whole(&bytes)? {
            Some(response) => Ok(response),
            None => sent.and(received).and_then(|_| Response::parse(&bytes)),
        }
    }

    /// What goes over the wire; the connection may be kept, if it is not to end with the answer.
    pub(crate) fn text(&self, is_kept: bool) -> String {
        let Self { method, target, .. } = self;
        let mut text = match &self.host {
            Some(host) => format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n"),
            None => format!("{method} {target} HTTP/1.0\r\n"),
        };
        if !is_kept && self.host.is_some() {
            text.push_str("Connection: close\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text
    }

    /// Whether it may be sent twice (RFC 9110 section 9.2.2); what changes something only counts once here.
    pub(crate) fn is_repeatable(&self) -> bool {
        ["GET", "HEAD"].contains(&self.method.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Name in lower case, and value, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, without transfer coding.
    pub body: String,
}

impl Response {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether a [`crate::Backend`] gave it, rather than HAProxy.
    pub fn is_from_backend(&self) -> bool {
        self.header("x-answered-by") == Some("backend")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.body))
    }

    /// The answer at the beginning of `bytes`, by its `Content-Length` or its chunks; `None` until all of it is there.
    pub(crate) fn parse_whole(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(head_bytes) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let (head, body) = bytes.split_at(head_bytes + 4);
        let response = Self::parse_head(head)?;
        let is_whole = if response.is_chunked() {
            join_chunks(body).is_some()
        } else {
            let length = response.header("content-length").and_then(|length| length.parse::<usize>().ok());
            body.len() >= length.unwrap_or(0)
        };
        if is_whole { Self::parse(bytes).map(Some) } else { Ok(None) }
    }

    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let head_bytes = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
        let (head, body) = bytes.split_at(head_bytes);
        let mut response = Self::parse_head(head)?;
        let body = if response.is_chunked() { join_chunks(body) } else { Some(body.to_vec()) };
        let body = body.ok_or_else(|| malformed("a bad chunk"))?;
        response.body = String::from_utf8_lossy(&body).into_owned();
        Ok(response)
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }

    fn parse_head(bytes: &[u8]) -> io::Result<Self> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut slots);
        if head.parse(bytes).map_err(|e| malformed(&e.to_string()))?.is_partial() {
            return Err(malformed("the answer ended within its head"));
        }
        let headers = head
            .headers
            .iter()
            .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned()))
            .collect();
        let status = head.code.ok_or_else(|| malformed("no status"))?;
        Ok(Self { status, headers, body: String::new() })
    }
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// The data of a chunked body (RFC 9112 section 7.1); `None` when it is torn.
fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(rest).ok()? else {
            return None;
        };
        let end = start + usize::try_from(size).ok()?;
        if size == 0 {
            return Some(data);
        }
        data.extend_from_slice(rest.get(start..end)?);
        rest = rest.get(end + 2..)?;
    }
}
