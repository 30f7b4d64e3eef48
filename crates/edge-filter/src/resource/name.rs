//! What a resource rule is about.

use std::fmt;

use super::{CanonicalPath, Host};

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
