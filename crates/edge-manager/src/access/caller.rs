//! Who has something done.

use std::net::IpAddr;
use std::sync::Arc;

use super::Role;

/// Who has something done, as logs and the audit name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the key; of who uses the command line, `CLI`, with the user's name where it is known.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// The other end of the connection; none for the command line.
    pub from: Option<IpAddr>,
}

impl Caller {
    /// Whoever runs a command that has the record to itself.
    pub fn command_line() -> Self {
        Self { name: "CLI".into(), role: Role::Admin, from: None }
    }

    /// The manager itself, on behalf of nobody: what it learns, and what it does by the clock.
    pub fn manager() -> Self {
        Self { name: "manager".into(), role: Role::Admin, from: None }
    }
}
