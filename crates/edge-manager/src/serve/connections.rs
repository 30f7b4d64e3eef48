//! Connections, none of which can hold up the others.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::unread::Unread;
use crate::api::Peer;

/// How long a client may take to send the head of a request, and to begin another one on the same connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest head of a request, bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// How long requests under way may go on when the manager ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// All connections, of all listeners. HTTP/1.1 only: nobody needs more of an API such as this.
pub(super) struct Connections {
    router: Router,
    open: GracefulShutdown,
}

impl Connections {
    pub(super) fn new(router: Router) -> Self {
        Self { router, open: GracefulShutdown::new() }
    }

    /// Accepts connections, so many at the same time, for as long as it is polled. `peer` says whose they are, with what they
    /// hold as long as they last; one of nobody is closed.
    pub(super) async fn accept<L: Listener, H: Send + 'static>(
        &self,
        mut listener: L,
        max: usize,
        peer: impl Fn(&L::Io, &L::Addr) -> Option<(Peer, H)>,
    ) {
        let places = Arc::new(Semaphore::new(max));
        while let Ok(place) = places.clone().acquire_owned().await {
            let (io, address) = listener.accept().await;
            let Some((peer, held)) = peer(&io, &address) else { continue };
            let router = self.router.clone();
            let answer = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer.clone());
                router.clone().oneshot(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(Unread::new(io)), answer);
            let connection = self.open.watch(connection);
            tokio::spawn(async move {
                // What goes wrong here is the client's: it went away, or did not speak HTTP.
                let _ = connection.await;
                drop((place, held));
            });
        }
    }

    /// Waits until all requests under way have been answered, for 10 s at most.
    pub(super) async fn end(self) {
        if tokio::time::timeout(DRAIN_TIMEOUT, self.open.shutdown()).await.is_err() {
            tracing::warn!("requests under way are broken off after {} s", DRAIN_TIMEOUT.as_secs());
        }
    }
}
