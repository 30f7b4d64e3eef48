//! Where everything is, and who is asked.

use std::path::PathBuf;
use std::time::Duration;

use crate::haproxy::{Control, Program};

/// Where everything is, and who is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the sets and the link `current`. HAProxy is started with `-f DIR/current/haproxy.cfg`.
    pub dir: PathBuf,
    /// The operator's templates.
    pub templates: Option<PathBuf>,
    /// HAProxy, to check what was rendered.
    pub program: Program,
    /// HAProxy, as it runs.
    pub control: Control,
    /// How long each is waited for.
    pub patience: Patience,
}

/// How long to wait for others.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For another process to end its publication.
    pub turn: Duration,
    /// For `haproxy -c`, which looks up the names of servers.
    pub check: Duration,
    /// For a start or a reload, until the new worker answers.
    pub reload: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            turn: Duration::from_secs(60),
            check: Duration::from_secs(60),
            reload: Duration::from_secs(30),
        }
    }
}
