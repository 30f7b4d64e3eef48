//! What a key is good for.

use std::fmt;
use std::str::FromStr;

/// What a key is good for. A greater role may do all that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `read`: see everything but secrets.
    Reader,
    /// `operator`: change rules.
    Operator,
    /// `admin`: change domains, backends, the configuration of HAProxy, and what the manager is.
    Admin,
}

impl Role {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "read",
            Self::Operator => "operator",
            Self::Admin => "admin",
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
