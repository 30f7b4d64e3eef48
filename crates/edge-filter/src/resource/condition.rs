//! What a resource rule may ask of a request beyond its host and path.

use std::net::IpAddr;

/// The request that a rule is held against. Texts are as HAProxy gives them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The `Host` header.
    pub host: &'a [u8],
    /// The path, raw.
    pub path: &'a [u8],
    /// What follows `?`, without it.
    pub query: &'a [u8],
    /// The method, as sent.
    pub method: &'a [u8],
    /// No session cookie and no `Authorization`.
    pub anonymous: bool,
    /// The client; `None` where HAProxy has no address for it.
    pub client: Option<IpAddr>,
}

/// All of these must hold; none set: every request for the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conditions {
    /// This method.
    pub method: Option<Box<str>>,
    /// This query string, its escapes in canonical form.
    pub query: Option<Box<str>>,
    /// The query parameter of this name has this value, escapes in canonical form.
    pub parameter: Option<(Box<str>, Box<str>)>,
    /// Only requests without a session.
    pub anonymous: bool,
    /// Only this client.
    pub client: Option<IpAddr>,
}

impl Conditions {
    /// Whether every request for the resource is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
