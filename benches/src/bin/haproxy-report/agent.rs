//! The least SPOE agent that answers whether a key is blocked: a thread for each connection of HAProxy, a hash set, and
//! the `spop` crate for the protocol.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::unistd::gettid;
use spop::actions::VarScope;
use spop::frame::{FramePayload, FrameType, Message};
use spop::frames::{Ack, AgentDisconnect, AgentHello, FrameCapabilities, HaproxyHello};
use spop::{MAX_FRAME_SIZE_LIMIT, SpopFrame, StatusCode, TypedData};

/// Frames of HAProxy fit its buffers.
const BUFFER_BYTES: usize = 64 * 1024;

/// What is blocked: addresses in network byte order, text as it is.
pub(crate) type Keys = HashSet<Box<[u8]>, ahash::RandomState>;

#[derive(Default)]
struct Shared {
    keys: Keys,
    stopping: AtomicBool,
    /// The threads that serve, as the kernel numbers them.
    threads: Mutex<Vec<i32>>,
}

/// A running agent. Its threads end with the connections of HAProxy, which must be gone before it.
pub(crate) struct Agent {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Agent {
    /// On a port of 127.0.0.1, on the processors of the calling thread.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn start(keys: Keys) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared { keys, ..Shared::default() });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if shared.stopping.load(Ordering::Relaxed) {
                        break;
                    }
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        shared.threads.lock().expect("no thread panics").push(gettid().as_raw());
                        // HAProxy says itself what is wrong with a connection: requests pass then, and are counted.
                        let _ = serve(stream, &shared.keys);
                    });
                }
            })
        };
        Ok(Self { addr, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Time on a processor, of all threads that serve now.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = self.shared.threads.lock().expect("no thread panics");
        let nanos = threads.iter().filter_map(|tid| {
            let times = fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).ok()?;
            times.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.addr);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn serve(mut stream: TcpStream, keys: &Keys) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut output) = (Vec::with_capacity(BUFFER_BYTES), Vec::with_capacity(BUFFER_BYTES));
    let mut chunk = [0; BUFFER_BYTES / 4];
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        input.extend_from_slice(&chunk[..count]);
        let mut rest = &input[..];
        let mut is_over = false;
        output.clear();
        while !is_over {
            match spop::parser::parse_frame(rest) {
                Ok((after, frame)) => {
                    is_over = answer(frame.as_ref(), keys, &mut output)?;
                    rest = after;
                }
                Err(e) if e.is_incomplete() => break,
                Err(_) => return Err(malformed("not a frame")),
            }
        }
        // All answers at once, as HAProxy sends all questions at once.
        stream.write_all(&output)?;
        if is_over {
            return Ok(());
        }
        let read = input.len() - rest.len();
        input.drain(..read);
    }
}

/// Whether this was the last frame of the connection.
fn answer(frame: &dyn SpopFrame, keys: &Keys, output: &mut Vec<u8>) -> io::Result<bool> {
    match frame.frame_type() {
        FrameType::HaproxyHello => {
            let hello = HaproxyHello::try_from(frame.payload()).map_err(|_| malformed("not a hello"))?;
            let version = hello.negotiate_version().ok_or_else(|| malformed("an unknown version"))?;
            let max_frame_size = hello
                .negotiate_max_frame_size(MAX_FRAME_SIZE_LIMIT)
                .map_err(|status| malformed(status.message()))?;
            let capabilities = vec![FrameCapabilities::Pipelining];
            AgentHello { version, max_frame_size, capabilities }.serialize_into(output)?;
            Ok(hello.healthcheck == Some(true))
        }
        FrameType::Notify => {
            let metadata = frame.metadata();
            let mut ack = Ack::new(metadata.stream_id, metadata.frame_id);
            if let FramePayload::ListOfMessages(messages) = frame.payload() {
                let is_blocked = messages.iter().any(|message| is_blocked(message, keys));
                ack = ack.set_var(VarScope::Transaction, "blocked", is_blocked);
            }
            ack.serialize_into(output)?;
            Ok(false)
        }
        FrameType::HaproxyDisconnect => {
            let message = StatusCode::None.message().to_owned();
            AgentDisconnect { status_code: StatusCode::None.to_u32(), message }.serialize_into(output)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn is_blocked(message: &Message, keys: &Keys) -> bool {
    match message.get("key") {
        Some(TypedData::IPv4(addr)) => keys.contains(&addr.octets()[..]),
        Some(TypedData::IPv6(addr)) => keys.contains(&addr.octets()[..]),
        Some(TypedData::String(text)) => keys.contains(text.as_bytes()),
        _ => false,
    }
}
