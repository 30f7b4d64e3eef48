//! An HTTP/1.1 server in this process that answers what it was told and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;
/// The demo may stand for days: older requests are forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// What to answer.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// With this status and no headers of its own.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }

    /// `404` with this value of `X-Edge-Resource`.
    pub fn teaching(value: &str) -> Self {
        Self::status(404).header("X-Edge-Resource", value)
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A request that reached the backend.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The target, as it came.
    pub target: String,
    /// Name in lower case, and value.
    pub headers: Vec<(String, String)>,
}

impl Received {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
struct State {
    answers: HashMap<String, Answer>,
    /// For paths without an answer of their own, instead of a plain 200.
    otherwise: Option<fn(&Received) -> Answer>,
    received: VecDeque<Received>,
    received_in_all: u64,
    /// Open connections, by the other side.
    connections: HashMap<SocketAddr, TcpStream>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopping: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running server. Whatever it was not told about, it answers with 200. Its answers carry
/// `X-Answered-By: backend`.
#[derive(Debug)]
pub struct Backend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Backend {
    /// On a port of 127.0.0.1 that the kernel chooses.
    ///
    /// # Panics
    /// There is none.
    pub fn start() -> Self {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port on 127.0.0.1")
    }

    /// On this address.
    ///
    /// # Errors
    /// It cannot be bound.
    pub fn listen(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared))
        };
        Ok(Self { addr, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers requests whose path (what stands before `?`) is `path` like this from now on.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.shared.state().answers.insert(path.to_owned(), answer);
    }

    /// Answers requests whose path was given no answer of its own as this says from now on.
    pub fn answer_others(&self, answer: fn(&Received) -> Answer) {
        self.shared.state().otherwise = Some(answer);
    }

    /// How many requests came for this path, among the last 10,000.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.state().received.iter().filter(|r| path_of(&r.target) == path).count()
    }

    /// How many requests came.
    pub fn asked_in_all(&self) -> u64 {
        self.shared.state().received_in_all
    }

    /// The last request that came.
    ///
    /// # Panics
    /// None came.
    pub fn last(&self) -> Received {
        self.shared.state().received.back().cloned().expect("a request that reached the backend")
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor; where that fails it is gone already.
        let _ = TcpStream::connect(self.addr);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for (_, connection) in self.shared.state().connections.drain() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (Ok(handle), Ok(peer)) = (stream.try_clone(), stream.peer_addr()) else { continue };
        shared.state().connections.insert(peer, handle);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            serve(stream, &shared);
            shared.state().connections.remove(&peer);
        });
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

/// Answers requests until the other side closes or sends something else than HTTP without a body.
fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut bytes = Vec::new();
    loop {
        let received = match read_head(&mut stream, &mut bytes) {
            Ok(Some(received)) => received,
            Ok(None) | Err(_) => return,
        };
        let (method, path) = (received.method.clone(), path_of(&received.target).to_owned());
        let answer = {
            let mut state = shared.state();
            let told = state.answers.get(&path).cloned();
            let answer = told.or_else(|| state.otherwise.map(|answer| answer(&received)));
            if state.received.len() == MAX_REMEMBERED {
                state.received.pop_front();
            }
            state.received.push_back(received);
            state.received_in_all += 1;
            answer.unwrap_or_else(|| Answer::status(200))
        };
        if stream.write_all(&render(&answer, &method, &path)).is_err() {
            return;
        }
    }
}

/// The next request head; `bytes` keeps what was read beyond it. `None` at the end.
fn read_head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Received>> {
    loop {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut slots);
        let parsed = head.parse(bytes).map_err(io::Error::other)?;
        if let (httparse::Status::Complete(length), Some(method), Some(target)) =
            (parsed, head.method, head.path)
        {
            let headers = head
                .headers
                .iter()
                .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned()))
                .collect();
            let received = Received { method: method.to_owned(), target: target.to_owned(), headers };
            bytes.drain(..length);
            return Ok(Some(received));
        }
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer)?;
        if read == 0 || bytes.len() > MAX_HEAD_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

fn render(answer: &Answer, method: &str, path: &str) -> Vec<u8> {
    let body = format!("{} {path}, says the backend\n", answer.status);
    let mut text = format!("HTTP/1.1 {} Told\r\nX-Answered-By: backend\r\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len()));
    if method != "HEAD" {
        text.push_str(&body);
    }
    text.into_bytes()
}
