//! Addresses with ports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::refusal::Refusal;
use super::words::{FilePath, HostName};

/// Where a server is: an address, or a name that HAProxy resolves. A name in digits and dots only is a mistyped address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A name, resolved at the start, and from then on where the backend has resolvers.
    Name(HostName),
}

impl FromStr for ServerAddress {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Ip(ip));
        }
        let name: HostName = text.parse()?;
        if name.as_str().bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err("is no IPv4 address".into());
        }
        Ok(Self::Name(name))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A port, 1 to 65535.
pub(super) fn port(text: &str) -> Result<u16, Refusal> {
    let all_digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|&port| port > 0 && all_digits);
    port.ok_or_else(|| "is no port, 1 to 65535".into())
}

/// What HAProxy listens on: `:80`, `127.0.0.1:80` or `[::1]:80`; `*:80` and `0.0.0.0:80` are `:80`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    address: Option<IpAddr>,
    port: u16,
}

impl Bind {
    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        self.address.is_some_and(|address| address.is_loopback())
    }
}

impl FromStr for Bind {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if let Ok(address) = text.parse::<SocketAddr>()
            && address.port() > 0
            && !text.contains('%')
        {
            let ip = Some(address.ip()).filter(|ip| *ip != IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            return Ok(Self { address: ip, port: address.port() });
        }
        match text.strip_prefix('*').unwrap_or(text).strip_prefix(':') {
            Some(number) => Ok(Self { address: None, port: port(number)? }),
            None => Err("is no address with a port such as :80, 127.0.0.1:80 or [::1]:80".into()),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

/// An IP address with a port, of a name server or a log server: `192.0.2.53:53`, `[2001:db8::53]:53`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint(SocketAddr);

impl FromStr for Endpoint {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let address =
            text.parse().ok().filter(|address: &SocketAddr| address.port() > 0 && !text.contains('%'));
        address.map(Self).ok_or_else(|| "is no IP address with a port such as 192.0.2.53:53".into())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where HAProxy logs to: `stdout`, `stderr`, a syslog socket or a syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Lines of text on standard output.
    Stdout,
    /// Lines of text on standard error.
    Stderr,
    /// A Unix socket, such as `/dev/log`.
    Socket(FilePath),
    /// An address that takes syslog by UDP.
    Server(Endpoint),
}

impl FromStr for LogTarget {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            _ if text.starts_with('/') => text.parse().map(Self::Socket),
            _ => match text.parse() {
                Ok(server) => Ok(Self::Server(server)),
                Err(_) => Err("is not stdout, stderr, the path of a socket or ADDRESS:PORT".into()),
            },
        }
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout format raw local0"),
            Self::Stderr => f.write_str("stderr format raw local0"),
            Self::Socket(path) => write!(f, "{path} local0"),
            Self::Server(server) => write!(f, "{server} local0"),
        }
    }
}

/// A server that answers ACME validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidationServer {
    /// A Unix socket, by the path that HAProxy connects to after its `chroot`.
    Socket(FilePath),
    /// An address.
    Address(Endpoint),
}

impl FromStr for ValidationServer {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) if text.starts_with('/') => text.parse().map(Self::Socket),
            Err(_) => Err("is neither ADDRESS:PORT nor the path of a socket".into()),
        }
    }
}

impl fmt::Display for ValidationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

macro_rules! serialize_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

serialize_as_text!(ServerAddress, Bind, Endpoint, LogTarget, ValidationServer);
