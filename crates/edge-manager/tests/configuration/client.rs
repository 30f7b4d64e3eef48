//! Clients of HAProxy.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until `probe` gives a value.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "in vain waited for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The whole answer to a request for `/` of a host.
pub(crate) fn get(address: SocketAddr, host: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// Asks one request after the other, each on a connection of its own, until it is stopped.
pub(crate) struct Steady {
    is_stopping: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<Vec<String>>,
}

impl Steady {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (is_stopping, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stops, counts) = (Arc::clone(&is_stopping), Arc::clone(&answered));
        let thread = thread::spawn(move || {
            let mut failures = Vec::new();
            while !stops.load(Ordering::Relaxed) {
                match get(address, "www.example.com") {
                    Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {
                        counts.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(answer) => failures.push(answer),
                    Err(error) => failures.push(error.to_string()),
                }
                // Not so fast that ports run out.
                thread::sleep(Duration::from_millis(1));
            }
            failures
        });
        Self { is_stopping, answered, thread }
    }

    /// How many were answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// What went wrong.
    pub(crate) fn stop(self) -> Vec<String> {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
