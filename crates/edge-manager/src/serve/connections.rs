//! Connections, none of which can hold up the others.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::serve::Listener;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::clients::{Place, Underway};
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

    /// Accepts connections, so many at the same time, for as long as it is polled. `peer` says whose they are, with the places
    /// that they have among those of their client, if these are counted; one of nobody is closed.
    pub(super) async fn accept<L: Listener>(
        &self,
        mut listener: L,
        max: usize,
        peer: impl Fn(&L::Io, &L::Addr) -> Option<(Peer, Option<Arc<Place>>)>,
    ) {
        let places = Arc::new(Semaphore::new(max));
        while let Ok(place) = places.clone().acquire_owned().await {
            let (io, address) = listener.accept().await;
            let Some((peer, own)) = peer(&io, &address) else { continue };
            let (router, answering) = (self.router.clone(), own.clone());
            let answer = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer.clone());
                let underway = answering.as_ref().map(Place::begin);
                let answer = router.clone().oneshot(request);
                async {
                    answer
                        .await
                        .map(|answer| answer.map(|body| Body::new(Held { body, _underway: underway })))
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(Unread::new(io)), answer);
            let connection = self.open.watch(connection);
            tokio::spawn(async move {
                let taken = async {
                    match &own {
                        Some(own) => own.taken().await,
                        None => pending().await,
                    }
                };
                // What goes wrong here is the client's: it went away, or did not speak HTTP.
                tokio::select! {
                    _ = connection => {}
                    () = taken => {}
                }
                drop((place, own));
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

/// The body of an answer, until whose end its request is under way.
struct Held {
    body: Body,
    _underway: Option<Underway>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
