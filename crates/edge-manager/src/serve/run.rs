//! From start to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::following::Following;
use super::{Server, ready};
use crate::access::KeyHash;
use crate::api::{App, Services};
use crate::clock::now_us;
use crate::rules::RulesError;
use crate::store::StoreError;

/// Threads for requests that wait; see [`App::blocking`] and what is like it, which use no more than 84.
const MAX_BLOCKING_THREADS: usize = 128;

/// How long work that nobody waits for any more may go on when the manager ends.
const LAST_WORK: Duration = Duration::from_secs(5);

/// What `serve` needs to know.
#[derive(Debug)]
pub struct Settings {
    /// The address of the API; port 0 for any that is free.
    pub listen: SocketAddr,
    /// The Unix socket for the command line.
    pub control: PathBuf,
    /// Where the services find what they need.
    pub database: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// The stats sockets of the workers.
    pub sockets: Vec<PathBuf>,
    /// How long they are asked whether a change is in force.
    pub wait: Duration,
    /// `HAPROXY_API_KEY`.
    pub environment_key: Option<KeyHash>,
    /// A file that gets the address as soon as it answers.
    pub ready_file: Option<PathBuf>,
}

/// Why the manager does not serve. One line.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The record or the state directory.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Everybody could change everything.
    #[error(
        "--listen {0}: without a key, only a loopback address such as 127.0.0.1:8000 is taken; make a key with `edge-manager \
         key add NAME --role admin`, or set HAPROXY_API_KEY"
    )]
    OpenToAll(SocketAddr),
    /// The address cannot be had.
    #[error("--listen {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The control socket cannot be had.
    #[error("--control {0}: {1}")]
    Control(PathBuf, io::Error),
    /// Who waits for it would not be told.
    #[error("--ready-file {0}: {1}")]
    Ready(PathBuf, io::Error),
    /// Threads, signals.
    #[error("cannot serve: {0}")]
    Runtime(io::Error),
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        Self::Rules(error.into())
    }
}

/// Serves until SIGTERM, SIGINT or SIGHUP: then requests end, and what else there is to end.
///
/// # Errors
/// It cannot start: nothing was served.
pub fn run(settings: Settings) -> Result<(), ServeError> {
    let Settings { listen, control, database, state_dir, sockets, wait, environment_key, ready_file } =
        settings;
    let is_local = listen.ip().is_loopback();
    let services = Services { database, state_dir, sockets, wait, environment_key, is_local };
    let app = Arc::new(App::open(services, now_us())?);
    if !is_local && app.keys.is_empty()? {
        return Err(ServeError::OpenToAll(listen));
    }
    let server = Server::bind(listen, &control)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let address = server.address();
    let following = Following::start(app.clone()).map_err(ServeError::Runtime)?;
    runtime.block_on(async {
        let stop = stop_signal().map_err(ServeError::Runtime)?;
        if let Some(path) = ready_file {
            ready::write(&path, address).map_err(|error| ServeError::Ready(path, error))?;
        }
        tracing::info!(%address, control = %control.display(), "ready");
        ready::tell(&app);
        server.serve(app, stop).await.map_err(ServeError::Runtime)
    })?;
    drop(following);
    runtime.shutdown_timeout(LAST_WORK);
    tracing::info!("stopped");
    Ok(())
}

fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
        tracing::info!("stopping");
        ready::tell_stopping();
    })
}
