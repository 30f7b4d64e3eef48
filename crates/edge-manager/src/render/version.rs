//! The version of HAProxy that files are rendered for.

/// A series of HAProxy, 2.6 or later. What a series does not know is not rendered for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
}

/// No version, or one that is too old.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownVersion {
    /// Not what `haproxy -v` prints.
    #[error("{0:?} is not what `haproxy -v` prints")]
    NoVersion(String),
    /// Before 2.6.
    #[error("HAProxy {0}.{1} is older than 2.6")]
    TooOld(u16, u16),
}

impl Version {
    const OLDEST: Self = Self { major: 2, minor: 6 };

    /// Reads what `haproxy -v` prints: `HAProxy version 3.0.11-1+deb13u3 2026/05/20 - https://haproxy.org/`.
    ///
    /// # Errors
    /// It is something else, or a version before 2.6.
    pub fn from_banner(text: &str) -> Result<Self, UnknownVersion> {
        let no_version =
            || UnknownVersion::NoVersion(text.lines().next().unwrap_or("").chars().take(80).collect());
        let rest = text.strip_prefix("HAProxy version ").or_else(|| text.strip_prefix("HA-Proxy version "));
        let mut numbers = rest.ok_or_else(no_version)?.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next().and_then(|number| number.parse().ok()).ok_or_else(no_version);
        let version = Self { major: number()?, minor: number()? };
        if version < Self::OLDEST {
            return Err(UnknownVersion::TooOld(version.major, version.minor));
        }
        Ok(version)
    }

    /// Major and minor, in an order that templates compare: `version >= [3, 0]`.
    pub(super) fn numbers(self) -> [u16; 2] {
        [self.major, self.minor]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_of_all_series_are_read_and_ordered() {
        let version = |text: &str| Version::from_banner(text).unwrap();
        let debian =
            version("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: x\n");
        assert_eq!(debian.numbers(), [2, 6]);
        assert_eq!(version("HAProxy version 3.5-dev5 2026/10/17").numbers(), [3, 5]);
        assert!(
            debian < version("HAProxy version 2.10.0 ")
                && version("HAProxy version 2.10.0 ") < version("HAProxy version 3.0.11")
        );
    }

    #[test]
    fn what_is_no_banner_or_too_old_is_refused() {
        assert_eq!(Version::from_banner("HA-Proxy version 2.2.9-2"), Err(UnknownVersion::TooOld(2, 2)));
        for text in [
            "",
            "nginx 1.2.3",
            "HAProxy version",
            "HAProxy version 3",
            "HAProxy version x.y",
            "HAProxy version 99999.1",
        ] {
            assert!(matches!(Version::from_banner(text), Err(UnknownVersion::NoVersion(_))), "{text}");
        }
    }
}
