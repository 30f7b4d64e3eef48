//! What a resource rule is about.

use std::fmt;

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
    /// It has a scheme, which no rule is about.
    #[error("a URL: write host/path")]
    Url,
    /// What stands before the path.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// The path.
    #[error(transparent)]
    Path(#[from] InvalidPath),
}

impl Resource {
    /// Reads `/path` for every host, or `host/path`; with `/*` at its end it is a prefix. The path is made canonical, and
    /// has at most `max_path_bytes` then.
    ///
    /// # Errors
    /// See [`InvalidResource`].
    pub fn parse(
        text: &str,
        parameters: ParameterSegments,
        max_path_bytes: usize,
    ) -> Result<Self, InvalidResource> {
        if text.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('/')) {
            return Err(InvalidResource::Url);
        }
        let (host, path) = text.split_at(text.find('/').ok_or(InvalidResource::NoPath)?);
        let host = if host.is_empty() { None } else { Some(Host::parse(host)?) };
        let (path, is_prefix) = match path.strip_suffix("/*") {
            Some("") => ("/", true),
            Some(path) => (path, true),
            None => (path, false),
        };
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

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_ref().map_or("", Host::as_str);
        let path = self.path.as_str();
        match self.matching {
            Match::Exact => write!(f, "{host}{path}"),
            Match::Prefix => write!(f, "{host}{}/*", path.trim_end_matches('/')),
        }
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
}
