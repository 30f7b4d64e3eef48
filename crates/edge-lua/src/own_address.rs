//! Whether an address is one of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Whether this machine has this address, now and in the network namespace of HAProxy. Asks the kernel by which address it would
/// send there: of its own it is the same one (`ip_route_output_key_hash_rcu` in net/ipv4/route.c of Linux). A handful of system
/// calls, of which none waits and none sends anything. Where the kernel does not say, an address counts as own: a rule on it could
/// shut out everybody.
pub(crate) fn is_own(addr: IpAddr) -> bool {
    match source_towards(addr) {
        Ok(source) => source == addr,
        Err(error) => !is_unreachable(&error),
    }
}

fn source_towards(addr: IpAddr) -> io::Result<IpAddr> {
    /// RFC 863; connecting sends nothing.
    const DISCARD: u16 = 9;
    let any = match addr {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((addr, DISCARD))?;
    Ok(socket.local_addr()?.ip())
}

/// No route leads there, or there are no addresses of that family at all: then this machine has none of them.
fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable, PermissionDenied};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable | PermissionDenied)
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_is_not_own() {
        assert!(is_own([127, 0, 0, 1].into()));
        // TEST-NET-1 to -3 (RFC 5737) and the prefix for documentation (RFC 3849) are in use nowhere; broadcasts are nobody's.
        for addr in ["203.0.113.7", "198.51.100.7", "2001:db8::7", "255.255.255.255"] {
            assert!(!is_own(addr.parse().unwrap()), "{addr}");
        }
    }

    #[test]
    fn what_the_kernel_does_not_tell_counts_as_own() {
        // Of which link, it cannot know; without IPv6 it has none.
        let has_ipv6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
        assert_eq!(is_own("fe80::1".parse().unwrap()), has_ipv6);
        let lacking = io::Error::from_raw_os_error(libc::EMFILE);
        assert!(!is_unreachable(&lacking));
    }
}
