//! `edge-manager serve`.

use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::authority::Authority;
use super::failure::Failure;
use super::places::Places;
use super::publishing::Publishing;
use super::site::read_json;
use crate::access::KeyHash;
use crate::serve::{self, Backups, Format, Logs, Settings};
use crate::site::GlobalInput;
use crate::sites::SitesError;
use crate::validation::Listen;

/// An admin's key, which is no argument: those are seen by every user of the machine.
const KEY: &str = "HAPROXY_API_KEY";

/// Shortest key that nobody guesses, bytes. Clients have shorter ones, so that they are taken, and warned of.
const MIN_KEY_BYTES: usize = 16;

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    places: Places,
    /// The address of the API; port 0 for any that is free. Without keys, a loopback address
    #[arg(long, env = "EDGE_MANAGER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Connections that one client may have there at the same time: an IPv4 address, or an IPv6 /64. From 256 on, this machine
    /// may have seven eighths of all: a reverse proxy has one address for all its clients
    #[arg(
        long,
        env = "EDGE_MAX_CONNECTIONS_PER_CLIENT",
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u16).range(1..=serve::MAX_CONNECTIONS as i64)
    )]
    max_connections_per_client: u16,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    authority: Authority,
    /// Where ACME validation by HTTP is answered, for HAProxy: the path of a Unix socket, below its chroot if it has one, or a
    /// loopback ADDRESS:PORT. By default edge/acme-validation.sock below the chroot that the record names, or
    /// acme-validation.sock in the state directory
    #[arg(long, env = "EDGE_ACME_VALIDATION_LISTEN", value_name = "LISTEN")]
    acme_validation_listen: Option<Listen>,
    /// JSON of what holds for all backends, as PUT /api/global takes it: the record gets it at the first start
    #[arg(long, env = "EDGE_GLOBAL_FILE", value_name = "FILE")]
    global: Option<PathBuf>,
    /// The directory of daily copies of the database; by default `copies` beside it
    #[arg(long, env = "EDGE_BACKUP_DIR", value_name = "DIR")]
    backup_dir: Option<PathBuf>,
    /// How many daily copies are kept; 0 for none
    #[arg(long, env = "EDGE_BACKUPS", value_name = "COUNT", default_value_t = 7)]
    backups: u16,
    /// How long all copies together may be, MiB
    #[arg(long, env = "EDGE_BACKUP_MAX_MIB", value_name = "MIB", default_value_t = 1024)]
    backup_max_mib: u32,
    /// A file that gets the address as soon as it answers
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// How log lines look
    #[arg(long, env = "EDGE_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// The directory of manager.log, and of manager-error.log for warnings and errors; standard error without it
    #[arg(long, env = "EDGE_LOG_DIR", value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// What is logged: error, warn, info, debug or trace, or a filter such as info,edge_manager::api=debug
    #[arg(long, env = "EDGE_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self {
            places,
            listen,
            max_connections_per_client,
            publishing,
            authority,
            acme_validation_listen,
            global,
            backup_dir,
            backups,
            backup_max_mib,
            ready_file,
            log_format,
            log_dir,
            log,
        } = self;
        let (configuration, mut defaults) = (publishing.settings(), publishing.defaults(&places));
        defaults.check_environment().map_err(SitesError::from)?;
        let supervise = publishing.launch();
        let global: Option<GlobalInput> = global.map(read_json).transpose()?;
        if let Some(global) = &global {
            defaults.paths.allow_all_of(global);
        }
        let control = places.control();
        let Places { record, state_dir, sockets, wait, .. } = places;
        let logs = Logs { format: log_format, dir: log_dir, filter: log }.start()?;
        let database = record.database;
        let backups = Backups {
            dir: backup_dir.unwrap_or_else(|| database.with_file_name("copies")),
            database: database.clone(),
            keep: backups,
            max_bytes: u64::from(backup_max_mib) << 20,
        };
        let certificates = authority.settings(&database)?;
        let key = env::var_os(KEY).filter(|key| !key.is_empty());
        let is_short = |key: &OsString| key.len() < MIN_KEY_BYTES;
        let short = key.as_ref().filter(|key| is_short(key)).map(|_| {
            format!(
                "{KEY} is shorter than {MIN_KEY_BYTES} bytes and can be guessed: take a longer one, or make keys with \
                 `edge-manager key add`"
            )
        });
        let environment_key = key.map(|key| KeyHash::of(key.as_bytes()));
        let settings = Settings {
            listen,
            max_per_client: max_connections_per_client.into(),
            control,
            database,
            state_dir,
            sockets,
            wait,
            environment_key,
            configuration,
            supervise,
            defaults,
            certificates,
            acme_validation: acme_validation_listen,
            global,
            warnings: short.into_iter().collect(),
            backups,
            ready_file,
            logs,
        };
        serve::run(settings)?;
        Ok(ExitCode::SUCCESS)
    }
}
