//! What a resource rule is about.

use std::fmt;
use std::net::Ipv4Addr;

use super::{CanonicalPath, Host, InvalidHost, InvalidPath, ParameterSegments};

/// How the path of a rule meets the path of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// The same path.
    Exact,
    /// The same path, and every path below it by whole segments: `/adm` and `/adm/` both cover `/adm`,
    /// `/adm/` and `/adm/x`, never `/admin`.
    Prefix,
}

/// Host, path, and how the path is matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// `None`: every host.
    pub host: Option<Host>,
    /// How `path` is matched.
    pub matching: Match,
    /// The path; of a prefix without its trailing slash, `/` alone excepted.
    pub path: CanonicalPath,
}

/// A text that is no resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResource {
    /// It has no slash.
    #[error("no path: write /path or host/path")]
    NoPath,
    /// A rule is about requests by both of the schemes that HAProxy serves, and no other.
    #[error("a URL that is neither http:// nor https://")]
    Scheme,
    /// A slip in an address or network would be a rule about something else.
    #[error(
        "neither an address nor a CIDR, though it looks like one: write 192.0.2.0/24, or http://192.0.2.0/24 for the path /24 of \
         that host"
    )]
    Address,
    /// It would match nothing.
    #[error("a * stands for whole segments at the end, as in /wp/*; that of a path itself is written %2A")]
    Star,
    /// What stands before the path.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// The path.
    #[error(transparent)]
    Path(#[from] InvalidPath),
}

impl Resource {
    /// Reads `/path` for every host, or `host/path`; with `/*` at its end it is a prefix. `http://` or `https://` may stand before
    /// a host, and has to where the rest could be taken for a network: `http://192.0.2.1/24`. The path is made canonical, and has
    /// at most `max_path_bytes` then.
    ///
    /// # Errors
    /// See [`InvalidResource`].
    pub fn parse(
        text: &str,
        parameters: ParameterSegments,
        max_path_bytes: usize,
    ) -> Result<Self, InvalidResource> {
        let url = match text.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) {
            Some((scheme, rest))
                if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) =>
            {
                Some(rest)
            }
            Some(_) => return Err(InvalidResource::Scheme),
            None => None,
        };
        let text = url.unwrap_or(text);
        let (host, path) = text.split_at(text.find('/').ok_or(InvalidResource::NoPath)?);
        let is_root =
            path == "/" && host.split(':').next().is_some_and(|name| name.parse::<Ipv4Addr>().is_ok());
        if url.is_none() && !is_root && looks_like_address(host, path) {
            return Err(InvalidResource::Address);
        }
        let host = if host.is_empty() && url.is_none() { None } else { Some(Host::parse(host)?) };
        let (path, is_prefix) = match path.strip_suffix("/*") {
            Some("") => ("/", true),
            Some(path) => (path, true),
            None => (path, false),
        };
        if path.contains('*') {
            return Err(InvalidResource::Star);
        }
        let path = CanonicalPath::parse(path, parameters, max_path_bytes)?;
        Ok(if is_prefix { Self::prefix(host, path) } else { Self::exact(host, path) })
    }

    /// The resource of this path alone.
    pub fn exact(host: Option<Host>, path: CanonicalPath) -> Self {
        Self { host, matching: Match::Exact, path }
    }

    /// The resource of this path and all below it by whole segments; a trailing slash does not matter.
    pub fn prefix(host: Option<Host>, path: CanonicalPath) -> Self {
        Self { host, matching: Match::Prefix, path: path.without_trailing_slash() }
    }

    /// Whether the resource takes in this canonical path, whatever the host.
    pub fn covers_path(&self, path: &CanonicalPath) -> bool {
        match self.matching {
            Match::Exact => self.path == *path,
            Match::Prefix => self.path.is_prefix_of(path.as_str()),
        }
    }
}

/// Whether somebody may have meant an address, a network or a range by this host and path.
fn looks_like_address(host: &str, path: &str) -> bool {
    let is_of = |text: &str, more: &[u8]| text.bytes().all(|b| b.is_ascii_digit() || more.contains(&b));
    let rest = path.strip_prefix('/').unwrap_or(path);
    // A prefix length or a netmask, and what people put behind it.
    let is_length = is_of(rest, b".,;:-");
    if host.starts_with('[') {
        return is_length && !rest.is_empty();
    }
    let (name, _) = host.split_once(':').unwrap_or((host, ""));
    let is_numeric = !name.is_empty() && is_of(name, b".-");
    is_numeric && (is_length || name.parse::<Ipv4Addr>().is_err())
}

/// As [`Resource::parse`] reads it.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_ref().map_or("", Host::as_str);
        let path = self.path.as_str();
        if looks_like_address(host, path) {
            f.write_str("http://")?;
        }
        f.write_str(host)?;
        let path = if self.matching == Match::Prefix { path.trim_end_matches('/') } else { path };
        for (n, part) in path.split('*').enumerate() {
            f.write_str(if n > 0 { "%2A" } else { "" })?;
            f.write_str(part)?;
        }
        f.write_str(if self.matching == Match::Prefix { "/*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParameterSegments;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text, ParameterSegments::Keep, 99).unwrap()
    }

    #[test]
    fn a_prefix_has_no_trailing_slash() {
        assert_eq!(Resource::prefix(None, path("/adm/")), Resource::prefix(None, path("/adm")));
        assert_eq!(Resource::prefix(None, path("/")).path.as_str(), "/");
        assert_ne!(Resource::exact(None, path("/adm/")), Resource::exact(None, path("/adm")));
    }

    #[test]
    fn a_resource_covers_what_it_matches() {
        assert!(Resource::exact(None, path("/adm")).covers_path(&path("/adm")));
        assert!(!Resource::exact(None, path("/adm")).covers_path(&path("/adm/x")));
        assert!(Resource::prefix(None, path("/adm/")).covers_path(&path("/adm/x")));
        assert!(!Resource::prefix(None, path("/adm/")).covers_path(&path("/admin")));
    }

    #[test]
    fn a_resource_reads_like_a_line_of_a_list() {
        let host = Host::parse("shop.example").ok();
        assert_eq!(Resource::exact(host.clone(), path("/a/")).to_string(), "shop.example/a/");
        assert_eq!(Resource::prefix(host, path("/a/")).to_string(), "shop.example/a/*");
        assert_eq!(Resource::prefix(None, path("/")).to_string(), "/*");
    }

    fn read(text: &str) -> Result<Resource, InvalidResource> {
        Resource::parse(text, ParameterSegments::Keep, 99)
    }

    #[test]
    fn what_looks_like_an_address_is_no_resource() {
        for slip in [
            "10.0.0.0/8,",
            "10.0.0.0/8;",
            "192.168.1/24",
            "192.168/16",
            "10/8",
            "10.0.0.0/33",
            "10.0.0.0/255.255.0.0,",
            "10.0.0.0:80/24",
            "10.0.0.0-10.0.0.255/24",
            "10.0.0.256/24",
            "1.2.3.4.5/32",
            "192.168.1/admin",
            "[2001:db8::]/32",
        ] {
            assert_eq!(read(slip), Err(InvalidResource::Address), "{slip}");
        }
        for good in [
            "192.0.2.1/",
            "192.0.2.1:8080/",
            "192.0.2.1/admin",
            "192.0.2.1:8080/24h",
            "[::1]/a",
            "shop.example/24",
            "24.example/24",
            "/24",
            "/10.0.0.0/8",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_star_stands_for_whole_segments_only() {
        for bad in ["/wp-*", "/*.php", "/a*b", "/a/*/b", "/*/", "shop.example/wp-*", "/**", "/a/**"] {
            assert_eq!(read(bad), Err(InvalidResource::Star), "{bad}");
        }
        assert_eq!(read("/wp-%2A").unwrap(), Resource::exact(None, path("/wp-*")));
    }

    #[test]
    fn the_text_of_a_resource_is_that_of_no_other() {
        let hosts = [None, Some("shop.example"), Some("192.0.2.1"), Some("10"), Some("1.2.3"), Some("[::1]")];
        let paths = ["/", "/24", "/24/", "/a*b", "/*", "/a/*", "/a%2Fb", "/255.0.0.0", "/a//b"];
        for host in hosts.map(|host| host.map(|text| Host::parse(text).unwrap())) {
            for path in paths.map(path) {
                for resource in
                    [Resource::exact(host.clone(), path.clone()), Resource::prefix(host.clone(), path)]
                {
                    let text = resource.to_string();
                    assert_eq!(read(&text).as_ref(), Ok(&resource), "{text}");
                    assert!(text.parse::<crate::ClientNet>().is_err(), "{text}");
                }
            }
        }
        assert_eq!(
            Resource::exact(Host::parse("192.0.2.1").ok(), path("/24")).to_string(),
            "http://192.0.2.1/24"
        );
        assert_eq!(read("HTTPS://Shop.Example:8443/a").unwrap().to_string(), "shop.example/a");
        for bad in ["ftp://shop.example/a", "http:///a", "http://shop.example", "http://"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
