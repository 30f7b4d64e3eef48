//! TCP ports for processes that cannot be asked which port they got.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port of 127.0.0.1 that nobody else gets while this lives.
///
/// The socket is bound with `SO_REUSEADDR` and `SO_REUSEPORT`, and never listens. A program that sets either of them may
/// bind the port too: HAProxy and BIND set `SO_REUSEPORT`; servers in Rust and Go set `SO_REUSEADDR`, which is enough beside
/// a socket that does not listen (inet_bind_conflict in net/ipv4/inet_connection_sock.c). The kernel gives the port to
/// nobody who asks for any free port or connects, and it refuses connections until the program listens. A port that was
/// free a moment ago could belong to another test by now.
#[derive(Debug)]
pub struct Port {
    _reservation: Socket,
    number: u16,
}

impl Port {
    /// A port that was free.
    ///
    /// # Errors
    /// The kernel has none.
    pub fn reserve() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let bound = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("no address"))?;
        Ok(Self { _reservation: socket, number: bound.port() })
    }

    /// `127.0.0.1` with this port.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
