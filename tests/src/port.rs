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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;
    use std::thread;

    use nix::sched::{CloneFlags, unshare};

    use super::*;
    use crate::tell;

    #[test]
    fn a_reserved_port_refuses_until_its_program_listens() {
        let port = Port::reserve().unwrap();
        assert_eq!(TcpStream::connect(port.addr()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind(port.addr()).unwrap();
        let client = TcpStream::connect(port.addr()).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        // Nobody else may listen beside it.
        assert_eq!(TcpListener::bind(port.addr()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    /// In a network of its own with eight ports, so that the kernel would have to give it.
    #[test]
    fn nobody_is_given_a_reserved_port() {
        let alone = thread::spawn(|| {
            let is_up =
                || Command::new("ip").args(["link", "set", "lo", "up"]).status().is_ok_and(|s| s.success());
            if unshare(CloneFlags::CLONE_NEWNET).is_err() || !is_up() {
                return tell("no network namespace without CAP_SYS_ADMIN and ip: nothing is tested");
            }
            fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40007").unwrap();
            let port = Port::reserve().unwrap();
            let server = TcpListener::bind("127.0.0.1:50000").unwrap();
            let connected = || TcpStream::connect(server.local_addr().unwrap());
            let clients: Vec<TcpStream> = (0..7).map_while(|_| connected().ok()).collect();
            assert_eq!(clients.len(), 7);
            assert!(clients.iter().all(|client| client.local_addr().unwrap() != port.addr()));
            assert_eq!(connected().unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
            drop((clients, server));
            let others: Vec<Port> = std::iter::from_fn(|| Port::reserve().ok()).collect();
            assert!(others.iter().all(|other| other.addr() != port.addr()));
            assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), io::ErrorKind::AddrInUse);
        });
        alone.join().unwrap();
    }
}
