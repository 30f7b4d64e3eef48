//! What a key is good for, and what may be done without one.

use std::fmt;
use std::str::FromStr;

/// What a key is good for. A greater role may do all that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `read`: see everything but secrets.
    Reader,
    /// `operator`: change rules.
    Operator,
    /// `local`: change rules, domains and backends. No key has this role: programs of this machine have it while there is no
    /// key. Nothing that needs this role may name a file that the manager or HAProxy, which run as root, load, execute or write.
    Local,
    /// `admin`: change global settings, templates, certificates, the configuration of HAProxy, and what the manager is.
    Admin,
}

impl Role {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "read",
            Self::Operator => "operator",
            Self::Local => "local",
            Self::Admin => "admin",
        }
    }

    /// The least role of a key that may do what needs this role.
    pub const fn of_keys(self) -> Self {
        match self {
            Self::Local => Self::Admin,
            role => role,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut all = [Self::Reader, Self::Operator, Self::Admin].into_iter();
        all.find(|role| role.name() == text).ok_or("a role is read, operator or admin")
    }
}
