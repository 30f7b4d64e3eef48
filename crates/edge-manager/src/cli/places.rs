//! Where everything is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::read::Database;
use crate::clock::now_us;
use crate::publish::Publication;
use crate::rules::{Rules, RulesError};
use crate::store::Store;

/// How long one command waits for another to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where everything is.
#[derive(Debug, Args)]
pub(super) struct Places {
    #[command(flatten)]
    pub(super) record: Database,
    /// The state directory, EDGE_STATE_DIR of haproxy.cfg
    #[arg(long, env = "EDGE_STATE_DIR", value_name = "DIR", default_value = "/var/lib/edge-filter")]
    pub(super) state_dir: PathBuf,
    /// A stats socket of HAProxy, which is asked until it says that the change is in force; more than one apart by commas
    #[arg(
        long = "socket",
        env = "EDGE_SOCKET",
        value_name = "PATH",
        value_delimiter = ',',
        default_value = "/run/haproxy/edge.sock"
    )]
    pub(super) sockets: Vec<PathBuf>,
    /// How long HAProxy is asked, such as 500ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(super) wait: Duration,
}

impl Places {
    /// The lock on the directory comes first: whoever has it may change the record.
    pub(super) fn open(&self) -> Result<Rules, RulesError> {
        let publication = Publication::open(&self.state_dir, now_us(), PATIENCE)?;
        Rules::open(Arc::new(Store::open(&self.record.database)?), publication, now_us())
    }
}
