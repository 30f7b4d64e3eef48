//! The HAProxy that the tests run on.

use std::ffi::OsString;
use std::process::Command;
use std::sync::OnceLock;

/// Debian keeps haproxy where the PATH of a user does not look.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The HAProxy to start: `EDGE_HAPROXY`, a path that `scripts/haproxy-root.sh` prints, or the installed one.
pub(crate) fn program() -> OsString {
    std::env::var_os("EDGE_HAPROXY").unwrap_or_else(|| "haproxy".into())
}

/// The series of HAProxy: `Version(3, 0)` of 3.0.11. Tests ask for it where HAProxy itself behaves in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

impl Version {
    /// That of the HAProxy under test.
    ///
    /// # Panics
    /// There is none, or it does not say.
    pub fn under_test() -> Self {
        static VERSION: OnceLock<Version> = OnceLock::new();
        *VERSION.get_or_init(|| {
            let output = Command::new(program()).arg("-v").env("PATH", PATH).output();
            let text = String::from_utf8(output.expect("HAProxy is installed").stdout).expect("text");
            Self::parse(&text).unwrap_or_else(|| panic!("no version in {text:?}"))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("HAProxy version ")?.splitn(3, ['.', '-']);
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_and_ordered() {
        let version = |text: &str| Version::parse(text);
        assert_eq!(version("HAProxy version 2.6.12-1+deb12u4 2026/10/17"), Some(Version(2, 6)));
        assert_eq!(version("HAProxy version 3.5-dev5 2026/10/17"), Some(Version(3, 5)));
        assert_eq!(version("nginx 1.2.3"), None);
        assert!(Version(2, 10) > Version(2, 6) && Version(3, 0) > Version(2, 10));
    }
}
