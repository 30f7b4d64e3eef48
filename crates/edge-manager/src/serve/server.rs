//! The two listeners of the API.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::Path;
use std::sync::Arc;

use axum::serve::ListenerExt;
use rustix::net::listen as listen_again;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, UnixListener};

use super::ServeError;
use super::clients::Clients;
use super::connections::Connections;
use super::control::{self, ControlSocket};
use super::listeners::{Accepting, room};
use crate::api::{App, Peer};
use crate::web;

/// Connections over the network at the same time; more wait to be accepted.
pub const MAX_CONNECTIONS: usize = 1024;

/// Connections over the control socket at the same time, so that nobody on the network keeps the command line out.
const MAX_CONTROL_CONNECTIONS: usize = 64;

/// Connections that wait to be accepted: with fewer, a burst of clients waits for the second of TCP's retransmission.
const BACKLOG: i32 = 1024;

/// How long a client may acknowledge none of its answer before the connection is closed, also of what waits in the kernel.
const UNREAD_TIMEOUT_MS: u32 = 30_000;

/// The API, bound to its addresses: who connects from now on is answered.
#[derive(Debug)]
pub struct Server {
    listener: StdTcpListener,
    address: SocketAddr,
    max_connections: usize,
    clients: Arc<Clients>,
    control: ControlSocket,
}

impl Server {
    /// Takes the address, where each client has so many connections at the same time, and the path of the control socket.
    ///
    /// # Errors
    /// One of them cannot be had.
    pub fn bind(listen: SocketAddr, max_per_client: usize, control: &Path) -> Result<Self, ServeError> {
        let bound = StdTcpListener::bind(listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            listen_again(&listener, BACKLOG)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        let (listener, address) = bound.map_err(|error| ServeError::Listen(listen, error))?;
        let control =
            ControlSocket::bind(control).map_err(|error| ServeError::Control(control.to_owned(), error))?;
        let max_connections = room(MAX_CONNECTIONS);
        let clients = Clients::new(max_per_client, max_connections);
        Ok(Self { listener, address, max_connections, clients, control })
    }

    /// The address, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is done; then no more connections are accepted, and requests under way end.
    ///
    /// # Errors
    /// The listeners cannot be used.
    pub async fn serve(self, app: Arc<App>, stop: impl Future<Output = ()>) -> io::Result<()> {
        let router = web::site(app.clone());
        let network = Accepting::new("network", TcpListener::from_std(self.listener)?).tap_io(|stream| {
            // Answers are short: without it, each may wait for the client to acknowledge the one before.
            let _ = stream.set_nodelay(true);
            let _ = set_tcp_user_timeout(&*stream, UNREAD_TIMEOUT_MS);
        });
        let local = Accepting::new("control socket", UnixListener::from_std(self.control.listener()?)?);
        let connections = Connections::new(router);
        let accepting = async {
            tokio::join!(
                connections.accept(network, self.max_connections, |_, address| {
                    Some((Peer::Network(*address), Some(self.clients.admit(address.ip())?)))
                }),
                connections.accept(local, MAX_CONTROL_CONNECTIONS, |stream, _| {
                    Some((control::peer(stream)?, None))
                }),
            )
        };
        tokio::select! {
            _ = accepting => {}
            () = stop => {}
        }
        drop(self.control);
        app.stop();
        connections.end().await;
        Ok(())
    }
}
