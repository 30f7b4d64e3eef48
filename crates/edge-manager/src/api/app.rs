//! The services, put together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_journal::WriteError;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::Span;

use super::ApiError;
use crate::access::{KeyHash, Keys};
use crate::certificates::{self, CertificateError, Certificates};
use crate::clock::seconds;
use crate::configuration::{self, Configuration, PublishError};
use crate::events::Events;
use crate::haproxy::{Enforcement, enforce, enforce_replaced};
use crate::learned::Learned;
use crate::metrics::Metrics;
use crate::publish::Publication;
use crate::rules::{Effect, Rules, RulesError};
use crate::sites::{Defaults, Sites};
use crate::store::Store;
use crate::traffic::Traffic;
use crate::watch::Watch;

/// Requests that use the record, the state directory or HAProxy at the same time; others wait. Each has a thread.
const MAX_AT_WORK: usize = 64;

/// Bulk changes at the same time: each may need some 200 MB.
const MAX_BULKS: usize = 2;

/// Requests that only read the record at the same time, beside the others.
const MAX_READING: usize = 16;

/// Keys that are looked up at the same time: nobody who reads or changes anything is in their way.
const MAX_ADMITTING: usize = 4;

/// Checks of health at the same time: everybody may ask for them, and each may wait for a HAProxy that does not answer.
const MAX_CHECKING: usize = 4;

/// Changes of the site at the same time: each has HAProxy check and reload, which takes seconds.
const MAX_PUBLISHING: usize = 1;

/// Certificates that are being got at the same time: each waits for the server, and for its own limits.
const MAX_ORDERING: usize = 8;

/// Looks of the clock after certificates at the same time: no request takes its place.
const MAX_UPKEEP: usize = 1;

/// How long the start waits for another process to end that has the state directory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the services find what they need.
#[derive(Clone, Debug)]
pub struct Services {
    /// The record.
    pub database: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// The stats sockets of the workers.
    pub sockets: Vec<PathBuf>,
    /// How long they are asked whether a change is in force.
    pub wait: Duration,
    /// `HAPROXY_API_KEY`.
    pub environment_key: Option<KeyHash>,
    /// Whether only this machine can ask, so that everybody may do everything while there are no keys.
    pub is_local: bool,
    /// Where the configuration of HAProxy is, and who checks and runs it.
    pub configuration: configuration::Settings,
    /// What the configuration says where the record does not.
    pub defaults: Defaults,
    /// Where certificates are kept, and whom they are got from.
    pub certificates: certificates::Settings,
}

/// Why the services cannot be opened. One line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The record or the state directory.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The directory of the configuration.
    #[error("the configuration of HAProxy: {0}")]
    Configuration(#[from] PublishError),
    /// The directory of the certificates.
    #[error("the certificates: {0}")]
    Certificates(#[from] CertificateError),
}

/// What all handlers have. Services are synchronous: handlers call them by [`App::blocking`].
#[derive(Debug)]
pub struct App {
    /// The record.
    pub store: Arc<Store>,
    /// Rules, in the record and the state directory.
    pub rules: Arc<Rules>,
    /// What backends taught.
    pub learned: Learned,
    /// What haproxy.cfg is made of, and its publication.
    pub sites: Sites,
    /// Certificates, their files and their orders.
    pub certificates: Certificates,
    /// Who may ask.
    pub keys: Keys,
    /// The stats sockets of the workers.
    pub sockets: Vec<PathBuf>,
    /// Held while workers are given other certificates: each takes one at a time.
    pub(super) replacing: Mutex<()>,
    /// How long they are asked whether a change is in force.
    pub wait: Duration,
    /// Who wants to hear what happens.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// What comes of requests.
    pub traffic: Traffic,
    /// Whether HAProxy answers, and has all rules.
    pub watch: Watch,
    /// What an admin has to look after, since the start: see [`App::alert`].
    warnings: Mutex<Vec<String>>,
    /// When it was opened, seconds since the Unix epoch.
    pub began_at_s: u32,
    /// Bodies with thousands of changes that are read at the same time.
    pub(crate) bulks: Arc<Semaphore>,
    at_work: Arc<Semaphore>,
    publishing: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    admitting: Arc<Semaphore>,
    checking: Arc<Semaphore>,
    ordering: Arc<Semaphore>,
    upkeep: Arc<Semaphore>,
}

impl App {
    /// Opens the record and the state directory, which it has alone from then on.
    ///
    /// # Errors
    /// One of them cannot be used, or another process has the directory.
    pub fn open(services: Services, now_us: u64) -> Result<Self, OpenError> {
        let Services {
            database,
            state_dir,
            sockets,
            wait,
            environment_key,
            is_local,
            configuration,
            mut defaults,
            certificates,
        } = services;
        defaults.paths.allow(database.parent().map(Path::to_owned));
        defaults.paths.allow([certificates.dir.clone()]);
        defaults.paths.allow_setting("filter.state_dir", &state_dir);
        for socket in &sockets {
            defaults.paths.allow_setting("stats_socket", socket);
        }
        let publication = Publication::open(&state_dir, now_us, PATIENCE).map_err(RulesError::from)?;
        let store = Arc::new(Store::open(&database).map_err(RulesError::from)?);
        let rules = Arc::new(Rules::open(store.clone(), publication, now_us)?);
        let learned = Learned::open(rules.clone(), &state_dir, sockets.clone(), now_us)
            .map_err(|error| WriteError::Io { file: state_dir.display().to_string(), error })
            .map_err(RulesError::from)?;
        let files = sockets.iter().cloned().chain([database]);
        let configuration = Configuration::open(configuration)?.keeping_out_of([state_dir], files);
        let certificates = Certificates::open(store.clone(), &certificates)?;
        Ok(Self {
            rules,
            learned,
            sites: Sites::new(store.clone(), configuration, defaults)
                .standing_in(certificates.files().clone()),
            certificates,
            keys: Keys::new(store.clone(), environment_key, is_local),
            store,
            traffic: Traffic::new(sockets.clone()),
            watch: Watch::new(sockets.clone()),
            warnings: Mutex::default(),
            began_at_s: seconds(now_us),
            sockets,
            replacing: Mutex::default(),
            wait,
            events: Events::new(now_us),
            metrics: Metrics::new(now_us),
            bulks: Arc::new(Semaphore::new(MAX_BULKS)),
            publishing: Arc::new(Semaphore::new(MAX_PUBLISHING)),
            at_work: Arc::new(Semaphore::new(MAX_AT_WORK)),
            reading: Arc::new(Semaphore::new(MAX_READING)),
            admitting: Arc::new(Semaphore::new(MAX_ADMITTING)),
            checking: Arc::new(Semaphore::new(MAX_CHECKING)),
            ordering: Arc::new(Semaphore::new(MAX_ORDERING)),
            upkeep: Arc::new(Semaphore::new(MAX_UPKEEP)),
        })
    }

    /// Does what may wait for the disk or for HAProxy on a thread of its own, as soon as there is one. Done to its end, even
    /// where the client goes away meanwhile.
    ///
    /// # Errors
    /// That of `work`, or it panicked.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.on_a_thread(&self.at_work, work).await
    }

    /// [`App::blocking`] for what publishes a configuration, one at a time: those that wait for their turn have no thread,
    /// and take no place from changes of the rules.
    ///
    /// # Errors
    /// That of `work`, or it panicked.
    pub async fn publishing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.on_a_thread(&self.publishing, work).await
    }

    /// [`App::blocking`] for what reads a bounded part of the record or of the configurations: it does not wait behind changes,
    /// which wait for the disk and for HAProxy. At most one of them asks HAProxy something.
    ///
    /// # Errors
    /// That of `work`, or it panicked.
    pub async fn reading<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.on_a_thread(&self.reading, work).await
    }

    /// [`App::blocking`] for the look at who asks, which comes before all else: it waits behind nothing but others of its kind.
    ///
    /// # Errors
    /// That of `work`, or it panicked.
    pub(crate) async fn admitting<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.on_a_thread(&self.admitting, work).await
    }

    /// [`App::blocking`] for what needs no key: it takes no place from those who have one.
    ///
    /// # Errors
    /// That of `work`, or it panicked.
    pub async fn checking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.on_a_thread(&self.checking, work).await
    }

    /// [`App::blocking`] for what gets certificates, which takes as long as an ACME server takes.
    ///
    /// # Errors
    /// That of `work`, or it panicked.
    pub async fn ordering<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.on_a_thread(&self.ordering, work).await
    }

    /// [`App::ordering`] for the clock.
    ///
    /// # Errors
    /// That of `work`, or it panicked.
    pub async fn upkeep<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.on_a_thread(&self.upkeep, work).await
    }

    async fn on_a_thread<T: Send + 'static>(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = places.clone().acquire_owned().await.map_err(ApiError::internal)?;
        let (app, span) = (self.clone(), Span::current());
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            span.in_scope(|| work(&app))
        });
        done.await
            .unwrap_or_else(|_| Err(ApiError::internal("a fault of edge-manager itself: its log says more")))
    }

    /// Waits until HAProxy obeys a change of the rules, for [`App::wait`] at most.
    pub fn enforce(&self, effect: &Effect) -> Enforcement {
        match effect {
            Effect::Published(revision) => self.enforce_revision(*revision),
            Effect::StoredOnly(error) => Enforcement::StoredNotEnforced { reason: error.to_string() },
        }
    }

    /// Asks HAProxy whether it is there and has all rules: to be called again and again by one thread, after the pause that it
    /// answers with.
    pub fn look(&self) -> Duration {
        // A record that cannot be read expects nothing of the workers.
        let revision = self.store.read(|view| view.revision()).ok().flatten().unwrap_or_default();
        let marks = self.rules.marks();
        let control = self.sites.configuration().control();
        self.watch.look(control, revision, &|revision| marks.at(revision), self.sites.is_changing())
    }

    /// Waits until all workers have this revision, for [`App::wait`] at most, and those that a reload has replaced too.
    pub(super) fn enforce_revision(&self, revision: u64) -> Enforcement {
        let marks = self.rules.marks();
        let expected = |revision| marks.at(revision);
        let began = Instant::now();
        let enforcement = enforce(&self.sockets, revision, &expected, self.wait);
        if enforcement != Enforcement::InForce {
            // The files may be why.
            self.rules.doubt();
            return enforcement;
        }
        match self.sites.configuration().control().master() {
            Some(master) => {
                let left = self.wait.saturating_sub(began.elapsed());
                enforce_replaced(master, revision, &expected, left)
            }
            None => enforcement,
        }
    }

    /// Tells admins that they have something to look after: in the log, and on the page until the next start.
    pub fn alert(&self, warning: String) {
        tracing::error!(%warning, "look after this");
        self.warnings.lock().push(warning);
    }

    /// What [`App::alert`] has told.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().clone()
    }

    /// Tells answers without an end, such as streams of events, to end.
    pub fn stop(&self) {
        self.events.close();
    }
}
