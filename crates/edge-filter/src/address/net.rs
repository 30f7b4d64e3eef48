//! Networks in canonical form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 network in canonical form: no bits set beyond the prefix length, and IPv4-mapped IPv6
/// networks (RFC 4291 section 2.5.5.2) held as IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientNet {
    /// Address bits and prefix length 0 to 32.
    V4(u32, u8),
    /// Address bits and prefix length 0 to 128.
    V6(u128, u8),
}

/// A text that is neither an address nor a CIDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNet {
    /// Something else.
    #[error("not an IPv4 or IPv6 address or CIDR")]
    NoNet,
    /// The network is larger than all of IPv4, although its address is an IPv4 address.
    #[error(
        "an IPv4 address written as IPv6 has a prefix of 96 bits at least: write the network as IPv4, such as 10.0.0.0/8"
    )]
    Mapped,
}

/// IPv4-mapped addresses are `::ffff:0:0/96`.
const MAPPED_PREFIX_LEN: u8 = 96;

impl ClientNet {
    /// The network of `addr` with `prefix_len` bits. Bits beyond the prefix are cleared, as HAProxy does.
    ///
    /// # Errors
    /// The prefix length is longer than the address, or shorter than what makes an IPv4-mapped one of it.
    pub fn new(addr: IpAddr, prefix_len: u8) -> Result<Self, InvalidNet> {
        match addr {
            IpAddr::V4(v4) if prefix_len <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
                Ok(Self::V4(v4.to_bits() & mask, prefix_len))
            }
            IpAddr::V6(v6) if prefix_len <= 128 => match v6.to_ipv4_mapped() {
                Some(_) if prefix_len < MAPPED_PREFIX_LEN => Err(InvalidNet::Mapped),
                Some(v4) => Self::new(IpAddr::V4(v4), prefix_len - MAPPED_PREFIX_LEN),
                None => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len)).unwrap_or(0);
                    Ok(Self::V6(v6.to_bits() & mask, prefix_len))
                }
            },
            _ => Err(InvalidNet::NoNet),
        }
    }

    /// The network that stands for a client where several have to agree: the /24 of an IPv4 address, the /48 of an IPv6
    /// address. No longer prefixes are routed between the networks of the Internet, so for another one a client needs
    /// addresses that were given to somebody else, where for another address it needs only its own /64 or subnet.
    pub fn of_client(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits() & (u32::MAX << 8), 24),
            IpAddr::V6(v6) => Self::V6(v6.to_bits() & (u128::MAX << 80), 48),
        }
    }

    /// The network that holds `addr` alone.
    pub fn host(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits(), 32),
            IpAddr::V6(v6) => Self::V6(v6.to_bits(), 128),
        }
    }
}

impl FromStr for ClientNet {
    type Err = InvalidNet;

    fn from_str(text: &str) -> Result<Self, InvalidNet> {
        let Some((addr, suffix)) = text.split_once('/') else {
            return text.parse().map(Self::host).map_err(|_| InvalidNet::NoNet);
        };
        let addr: IpAddr = addr.parse().map_err(|_| InvalidNet::NoNet)?;
        Self::new(addr, prefix_len(addr, suffix).ok_or(InvalidNet::NoNet)?)
    }
}

/// The number after the slash, or for IPv4 a netmask such as `255.255.255.0`, which HAProxy's files may hold.
fn prefix_len(addr: IpAddr, suffix: &str) -> Option<u8> {
    if suffix.bytes().all(|b| b.is_ascii_digit()) {
        return suffix.parse().ok();
    }
    let mask = suffix.parse::<Ipv4Addr>().ok()?.to_bits();
    (addr.is_ipv4() && mask.leading_ones() + mask.trailing_zeros() == 32).then(|| mask.leading_ones() as u8)
}

impl fmt::Display for ClientNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(bits, 32) => Ipv4Addr::from_bits(bits).fmt(f),
            Self::V4(bits, len) => write!(f, "{}/{len}", Ipv4Addr::from_bits(bits)),
            Self::V6(bits, 128) => Ipv6Addr::from_bits(bits).fmt(f),
            Self::V6(bits, len) => write!(f, "{}/{len}", Ipv6Addr::from_bits(bits)),
        }
    }
}

impl fmt::Debug for ClientNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> ClientNet {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn host_bits_are_cleared_and_mapped_networks_are_ipv4() {
        assert_eq!(net("10.1.2.3/8"), net("10.0.0.0/8"));
        assert_eq!(net("10.1.2.0/255.255.255.0"), net("10.1.2.0/24"));
        assert_eq!(net("0.0.0.0/0.0.0.0"), net("0.0.0.0/0"));
        assert_eq!(net("::ffff:10.1.2.3"), net("10.1.2.3"));
        assert_eq!(net("::ffff:10.1.2.3/120"), net("10.1.2.0/24"));
        assert_eq!(net("::ffff:10.1.2.3/104"), net("10.0.0.0/8"));
        assert_eq!(net("::ffff:0:0/96"), net("0.0.0.0/0"));
        assert_eq!(net("2001:db8::1/32").to_string(), "2001:db8::/32");
        assert_eq!(net("2001:db8::1/128").to_string(), "2001:db8::1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "1.2.3",
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/+8",
            "::/129",
            "1.2.3.4/255.0.255.0",
            "::1/255.0.0.0",
            "01.2.3.4",
            "1.2.3.4 ",
            "fe80::1%eth0",
            "1.2.3.4/8/8",
            "::ffff:1.2.3.4/",
            "::ffff:10.0.0.0/8",
            "::ffff:0:0/95",
            "::ffff:a00:0/32",
        ] {
            assert!(text.parse::<ClientNet>().is_err(), "{text:?} was taken");
        }
    }
}
