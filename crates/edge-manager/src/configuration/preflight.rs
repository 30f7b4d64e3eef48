//! What `haproxy -c` does not look at.
//!
//! A reload that finds a port in use makes the old worker stop listening for a second or more while it tries again (the loop
//! around `protocol_bind_all` in src/haproxy.c), and up to 3.0 one that finds no `chroot` has sent the old worker away before it
//! looks, and ends everything. So we look first.

use std::io;
use std::net::SocketAddr;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::directives::Directives;

/// What is wrong, one line each. `running`: what HAProxy has in force, and so may have.
pub(super) fn faults(new: &Directives, running: &Directives) -> Vec<String> {
    let in_use = new
        .binds
        .difference(&running.binds)
        .filter(|address| is_in_use(address))
        .map(|address| format!("bind {address}: another program listens there"));
    let no_directory = new.chroots.iter().filter(|path| !path.is_dir());
    in_use
        .chain(no_directory.map(|path| format!("chroot {}: there is no such directory", path.display())))
        .collect()
}

/// Asks the kernel with the options that HAProxy sets (`tcp_bind_listener` in src/proto_tcp.c). Nothing ever listens. What
/// only HAProxy may do, such as to bind a low port, is left to it.
fn is_in_use(address: &SocketAddr) -> bool {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let bound = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).and_then(|socket| {
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, address)
    });
    bound.is_err_and(|error| io::Error::from(error).kind() == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::net::getsockname;

    use super::*;

    #[test]
    fn a_port_of_another_program_is_told_and_a_free_one_and_ours_are_not() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = (taken.local_addr().unwrap(), taken);
        // Nobody else is given this one, and nobody listens.
        let reserved =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        sockopt::set_socket_reuseport(&reserved, true).unwrap();
        bind(&reserved, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let free = getsockname(&reserved).unwrap().try_into().unwrap();
        let new = Directives { binds: [taken.0, free].into(), ..Directives::default() };
        let expected = format!("bind {}: another program listens there", taken.0);
        assert_eq!(faults(&new, &Directives::default()), [expected]);
        assert_eq!(faults(&new, &new), Vec::<String>::new());
    }

    #[test]
    fn a_chroot_must_be_there() {
        let new = Directives { chroots: vec!["/".into(), "/none".into()], ..Directives::default() };
        assert_eq!(faults(&new, &new), ["chroot /none: there is no such directory"]);
    }
}
