//! Where everything is.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use edge_journal::WriteError;

use super::control;
use super::failure::Failure;
use super::read::Database;
use crate::clock::now_us;
use crate::publish::Publication;
use crate::rules::{Rules, RulesError};
use crate::store::Store;

/// How long one command waits for another to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits before it looks whether `serve` listens meanwhile.
const TURN: Duration = Duration::from_millis(100);

/// Where everything is.
#[derive(Debug, Args)]
pub(super) struct Places {
    #[command(flatten)]
    pub(super) record: Database,
    /// Where `serve` listens for commands, which it then does itself, with its own settings; by default the path of the record
    /// with .sock behind it
    #[arg(long, env = "EDGE_CONTROL", value_name = "PATH")]
    control: Option<PathBuf>,
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

/// Who changes the record.
pub(super) enum Hands {
    /// `serve`, over its control socket.
    Serve(UnixStream),
    /// This process, which has the state directory: the record, and the rules in it.
    Own(Arc<Store>, Box<Rules>),
}

impl Places {
    /// The control socket.
    pub(super) fn control(&self) -> PathBuf {
        self.control.clone().unwrap_or_else(|| {
            let mut path = self.record.database.clone().into_os_string();
            path.push(".sock");
            path.into()
        })
    }

    /// Who changes the record: `serve` has the state directory while it runs. Takes some patience where it is about to
    /// listen, or another command about to end.
    pub(super) fn hands(&self) -> Result<Hands, Failure> {
        let (control, deadline) = (self.control(), Instant::now() + PATIENCE);
        loop {
            if let Some(stream) = control::connect(&control)? {
                return Ok(Hands::Serve(stream));
            }
            match self.open() {
                Err(RulesError::Publication(WriteError::Locked)) if Instant::now() < deadline => {}
                opened => {
                    let (store, rules) = opened?;
                    return Ok(Hands::Own(store, Box::new(rules)));
                }
            }
        }
    }

    /// The state directory, which nobody else has meanwhile: `serve` does not run.
    pub(super) fn alone(&self) -> Result<Publication, Failure> {
        if control::connect(&self.control())?.is_some() {
            return Err(Failure::Serving(self.control()));
        }
        let opened = Publication::open(&self.state_dir, now_us(), TURN).map_err(RulesError::from);
        Ok(opened?)
    }

    /// The lock on the directory comes first: whoever has it may change the record.
    fn open(&self) -> Result<(Arc<Store>, Rules), RulesError> {
        let publication = Publication::open(&self.state_dir, now_us(), TURN)?;
        let store = Arc::new(Store::open(&self.record.database)?);
        Ok((store.clone(), Rules::open(store, publication, now_us())?))
    }
}
