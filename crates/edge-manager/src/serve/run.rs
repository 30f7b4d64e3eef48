//! From start to stop.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::background::Background;
use super::backups::{self, Backups};
use super::following::Following;
use super::watching::Watching;
use super::{LogFiles, Server, ready, renewing};
use crate::access::{Caller, KeyHash};
use crate::api::{App, OpenError, Services};
use crate::certificates;
use crate::clock::{now_s, now_us};
use crate::configuration::{self, Published};
use crate::haproxy::{Control, Enforcement, Launch, Supervisor};
use crate::rules::RulesError;
use crate::site::GlobalInput;
use crate::sites::Defaults;
use crate::store::StoreError;
use crate::traffic::LOOK_EVERY;
use crate::validation::{self, Validation};

/// Threads for requests that wait; see [`App::blocking`] and what is like it, which use no more than 98.
const MAX_BLOCKING_THREADS: usize = 128;

/// How long work that nobody waits for any more may go on when the manager ends.
const LAST_WORK: Duration = Duration::from_secs(5);

/// What `serve` needs to know.
#[derive(Debug)]
pub struct Settings {
    /// The address of the API; port 0 for any that is free.
    pub listen: SocketAddr,
    /// Connections over the network of one client at the same time: of an IPv4 address, or an IPv6 /64.
    pub max_per_client: usize,
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
    /// Where the configuration of HAProxy is, and who checks and runs it.
    pub configuration: configuration::Settings,
    /// How HAProxy is started and watched, in place of who runs it by `configuration`.
    pub supervise: Option<Launch>,
    /// What the configuration says where the record does not.
    pub defaults: Defaults,
    /// Where certificates are kept, and whom they are got from.
    pub certificates: certificates::Settings,
    /// Where ACME validation is answered; a socket that HAProxy reaches, if nothing is said.
    pub acme_validation: Option<validation::Listen>,
    /// What the record says of all backends at the first start.
    pub global: Option<GlobalInput>,
    /// What an admin has to look after.
    pub warnings: Vec<String>,
    /// Daily copies of the database.
    pub backups: Backups,
    /// A file that gets the address as soon as it answers.
    pub ready_file: Option<PathBuf>,
    /// The files of the log, which are opened anew at a SIGHUP.
    pub logs: LogFiles,
}

/// Why the manager does not serve. One line.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The record or the state directory.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The directory of the configuration.
    #[error(transparent)]
    Configuration(OpenError),
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
    /// HAProxy cannot be kept running.
    #[error("--supervise {0}: {1}")]
    Supervise(PathBuf, io::Error),
    /// Who waits for it would not be told.
    #[error("--ready-file {0}: {1}")]
    Ready(PathBuf, io::Error),
    /// Threads, signals.
    #[error("cannot serve: {0}")]
    Runtime(io::Error),
}

impl From<OpenError> for ServeError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Rules(error) => Self::Rules(error),
            other => Self::Configuration(other),
        }
    }
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        Self::Rules(error.into())
    }
}

/// Serves until SIGTERM or SIGINT: then requests end, and what else there is to end.
///
/// # Errors
/// It cannot start: nothing was served. A HAProxy that it supervises runs on, for the next manager.
pub fn run(mut settings: Settings) -> Result<(), ServeError> {
    raise_descriptor_limit();
    let runtime = Builder::new_multi_thread()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    // Before there is anything to end: a signal that comes during the start ends the manager as soon as it serves.
    let mut stop = {
        let _inside = runtime.enter();
        runtime.spawn(reopen_signal(settings.logs.clone()).map_err(ServeError::Runtime)?);
        runtime.spawn(stop_signal().map_err(ServeError::Runtime)?)
    };
    // First of the services: while the manager looks at its record, clients are served by what was in force.
    let launch = settings.supervise.take();
    if launch.is_some() {
        stand_in(&settings.database, &settings.certificates.dir);
    }
    let supervisor = launch.map(|launch| supervisor(launch, &settings.configuration.dir)).transpose()?;
    if let Some(supervisor) = &supervisor {
        settings.configuration.control = Control::Supervised(supervisor.clone());
    }
    let served = serve(settings, &runtime, &mut stop);
    let is_wanted = stop.is_finished();
    runtime.shutdown_timeout(LAST_WORK);
    match supervisor {
        Some(supervisor) if is_wanted => supervisor.stop(),
        Some(supervisor) => supervisor.leave(),
        None => {}
    }
    served?;
    tracing::info!("stopped");
    Ok(())
}

fn serve(settings: Settings, runtime: &Runtime, stop: &mut JoinHandle<()>) -> Result<(), ServeError> {
    let Settings {
        listen, max_per_client, control, database, state_dir, sockets, wait, environment_key, ..
    } = settings;
    let Settings {
        configuration,
        defaults,
        certificates,
        acme_validation,
        global,
        ready_file,
        warnings,
        backups,
        ..
    } = settings;
    let check_every = certificates.check_every;
    let is_local = listen.ip().is_loopback();
    let validation = validation::Settings { listen: acme_validation, state_dir: state_dir.clone() };
    let services = Services {
        database,
        state_dir,
        sockets,
        wait,
        environment_key,
        is_local,
        configuration,
        defaults,
        certificates,
    };
    let app = Arc::new(App::open(services, now_us())?);
    if !is_local && app.keys.is_empty()? {
        return Err(ServeError::OpenToAll(listen));
    }
    // A site that cannot be read is told by its own error.
    let paths = app.sites.path_warnings().unwrap_or_default();
    for warning in warnings.into_iter().chain(paths) {
        app.alert(warning);
    }
    let server = Server::bind(listen, max_per_client, &control)?;
    let address = server.address();
    let answers = app.certificates.answers().clone();
    let validation = Validation::new(validation, answers, runtime.handle().clone(), address);
    app.sites.validate_by(Arc::new(validation));
    start(&app, global);
    let following = Following::start(app.clone()).map_err(ServeError::Runtime)?;
    let watching = {
        let (app, mut watching) = (app.clone(), Watching::default());
        Background::start("watch", move || watching.look(&app)).map_err(ServeError::Runtime)?
    };
    let looking = {
        let app = app.clone();
        Background::start("traffic", move || {
            // A record that cannot be read expects nothing of the workers; whoever asks it something is told.
            let recorded = app.store.read(|view| view.revision()).ok().flatten();
            app.traffic.look(recorded.unwrap_or_default(), now_us());
            LOOK_EVERY
        })
        .map_err(ServeError::Runtime)?
    };
    let upholding = {
        let app = app.clone();
        Background::start("uphold", move || app.uphold_when_there()).map_err(ServeError::Runtime)?
    };
    let copying = {
        let (app, mut is_first) = (app.clone(), true);
        let look = move || {
            if std::mem::take(&mut is_first) {
                warn_of_unreadable(&app);
            }
            backups.turn();
            backups::LOOK_EVERY
        };
        Background::start("database", look).map_err(ServeError::Runtime)?
    };
    runtime.block_on(async {
        if let Some(path) = ready_file {
            ready::write(&path, address).map_err(|error| ServeError::Ready(path, error))?;
        }
        tracing::info!(%address, control = %control.display(), "ready");
        ready::tell(&app);
        tokio::spawn(renewing::renew(app.clone(), check_every));
        let stop = async {
            // It cannot fail: nothing in it panics.
            let _ = stop.await;
        };
        server.serve(app, stop).await.map_err(ServeError::Runtime)
    })?;
    drop((following, looking, watching, upholding, copying));
    Ok(())
}

/// HAProxy does not start where one of its certificates is gone. A record that cannot be read yet is opened later, with all that it
/// takes.
fn stand_in(database: &Path, dir: &Path) {
    if let Err(error) = certificates::stand_in_before_start(database, dir, now_s().into()) {
        tracing::debug!(%error, "whether certificates are missing is not known yet");
    }
}

fn supervisor(launch: Launch, dir: &Path) -> Result<Arc<Supervisor>, ServeError> {
    let started = make_dir(dir).and_then(|()| Supervisor::start(launch));
    started.map(Arc::new).map_err(|error| ServeError::Supervise(dir.to_owned(), error))
}

/// Whatever is wrong with the configuration, its last good one serves on, and it takes the API to mend it.
fn start(app: &App, global: Option<GlobalInput>) {
    if let Err(error) = app.certificates.stand_in(now_s().into()) {
        tracing::error!(%error, "certificates that are missing have no stand-in");
    }
    match app.change_site(&Caller::manager(), |sites| sites.start(global, now_us())) {
        Ok(Published { set, enforcement: Enforcement::InForce, .. }) => {
            tracing::info!(set, "HAProxy runs it")
        }
        Ok(Published { set, enforcement: Enforcement::StoredNotEnforced { reason }, .. }) => {
            tracing::warn!(set, %reason, "HAProxy does not run it yet");
        }
        Err(error) => tracing::error!(%error, "the configuration of the record is not in force"),
    }
}

/// One bad row keeps nothing from starting, and is told.
fn warn_of_unreadable(app: &App) {
    let unreadable = app.store.read(|view| Ok::<_, StoreError>(view.unreadable()));
    for row in unreadable.unwrap_or_else(|error| vec![error.to_string()]) {
        app.alert(format!("{row}: it is passed over; `edge-manager database check` lists all such rows"));
    }
}

/// With rights of its own, whatever the umask.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(dir)
}

fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        ready::tell_stopping();
    })
}

/// SIGHUP is how whoever has moved the files of a log says so.
fn reopen_signal(logs: LogFiles) -> io::Result<impl Future<Output = ()>> {
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        while hang_up.recv().await.is_some() {
            logs.reopen();
            tracing::info!("SIGHUP: files of the log are opened anew, and nothing else is");
        }
    })
}

/// Each connection takes a descriptor, and the soft limit is a thousand of them for the sake of select(2), which nobody uses here.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
