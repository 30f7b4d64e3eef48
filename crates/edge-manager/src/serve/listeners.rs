//! Accepting connections, also where the process has no descriptor left for one more.

use std::io;
use std::time::{Duration, Instant};

use axum::serve::Listener;
use rustix::process::{Resource, getrlimit};
use tokio::net::unix::SocketAddr as UnixAddr;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::sleep;

/// Between two lines of the log about connections that cannot be accepted.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Before it is tried again: somebody has to give something free first.
const PAUSE: Duration = Duration::from_millis(200);

/// Descriptors for all that are no connections over the network: the record, the state directory, HAProxy's sockets, the
/// control socket.
const OTHER_DESCRIPTORS: u64 = 256;

/// How many connections of `wanted` there is room for under the limit of descriptors: others never take those that the
/// control socket and the record need.
pub(super) fn room(wanted: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return wanted };
    let room = usize::try_from(limit.saturating_sub(OTHER_DESCRIPTORS).max(limit / 4)).unwrap_or(wanted);
    if room < wanted {
        tracing::warn!(
            limit,
            connections = room,
            "the limit of descriptors leaves room for fewer connections; raise it"
        );
    }
    room.min(wanted)
}

/// Accepts until it can.
#[derive(Debug)]
pub(super) struct Accepting<L> {
    listener: L,
    errors: Errors,
}

#[derive(Debug)]
struct Errors {
    name: &'static str,
    told: Option<Instant>,
    since: u64,
}

impl<L> Accepting<L> {
    pub(super) fn new(name: &'static str, listener: L) -> Self {
        Self { listener, errors: Errors { name, told: None, since: 0 } }
    }
}

impl Errors {
    /// Waits, unless it was the client alone that failed.
    async fn after(&mut self, error: io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        if let Some(times) = self.tell_at(Instant::now()) {
            let listener = self.name;
            tracing::error!(%error, listener, times, "connections cannot be accepted: they wait");
        }
        sleep(PAUSE).await;
    }

    /// One more error: how many it were since this was told last, if it is to be told now.
    fn tell_at(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self.told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

impl Listener for Accepting<TcpListener> {
    type Io = TcpStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (TcpStream, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => self.errors.after(error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Listener for Accepting<UnixListener> {
    type Io = UnixStream;
    type Addr = UnixAddr;

    async fn accept(&mut self) -> (UnixStream, UnixAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => self.errors.after(error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<UnixAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_once_a_minute() {
        let mut errors = Errors { name: "network", told: None, since: 0 };
        let start = Instant::now();
        let told = [0, 1, 59, 60, 61, 300].map(|s| errors.tell_at(start + Duration::from_secs(s)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
