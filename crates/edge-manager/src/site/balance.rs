//! How requests are spread over the servers.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::refusal::Refusal;
use super::words::FieldName;

/// The balance algorithm, as HAProxy writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// One that looks at the servers only: `roundrobin`, `static-rr`, `leastconn`, `first` or `random`.
    OfServers(&'static str),
    /// By the client's address.
    Source,
    /// By the path.
    Uri,
    /// By a header: `hdr(X-User)`.
    Header(FieldName),
    /// By a parameter of the query: `url_param(id)`.
    Parameter(FieldName),
    /// By the cookie of a remote desktop session.
    RdpCookie,
}

impl Balance {
    const OF_SERVERS: [&'static str; 5] = ["roundrobin", "static-rr", "leastconn", "first", "random"];

    /// Whether it hashes: then it does so consistently, and a server that goes takes only its own share along.
    pub fn is_hash(&self) -> bool {
        !matches!(self, Self::OfServers(_))
    }

    /// Whether it needs a request that is parsed.
    pub(super) fn needs_http(&self) -> bool {
        matches!(self, Self::Uri | Self::Header(_) | Self::Parameter(_))
    }
}

impl Default for Balance {
    fn default() -> Self {
        Self::OfServers("roundrobin")
    }
}

impl FromStr for Balance {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let argument = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(&word) = Self::OF_SERVERS.iter().find(|&&word| word == text) {
            return Ok(Self::OfServers(word));
        }
        match text {
            "source" => Ok(Self::Source),
            "uri" => Ok(Self::Uri),
            "rdp-cookie" => Ok(Self::RdpCookie),
            _ => match (argument("hdr"), argument("url_param")) {
                (Some(header), _) => header.parse().map(Self::Header),
                (_, Some(parameter)) => parameter.parse().map(Self::Parameter),
                _ => Err("is not one of roundrobin, static-rr, leastconn, first, random, source, uri, \
                          rdp-cookie, hdr(NAME), url_param(NAME)"
                    .into()),
            },
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfServers(word) => f.write_str(word),
            Self::Source => f.write_str("source"),
            Self::Uri => f.write_str("uri"),
            Self::Header(name) => write!(f, "hdr({name})"),
            Self::Parameter(name) => write!(f, "url_param {name}"),
            Self::RdpCookie => f.write_str("rdp-cookie"),
        }
    }
}

impl Serialize for Balance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
