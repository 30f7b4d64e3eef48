//! `edge-manager serve`.

use std::env;
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
use crate::serve::{self, Format, Logs, Settings};
use crate::validation::Listen;

/// An admin's key, which is no argument: those are seen by every user of the machine.
const KEY: &str = "HAPROXY_API_KEY";

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    places: Places,
    /// The address of the API; port 0 for any that is free. Without keys, a loopback address
    #[arg(long, env = "EDGE_MANAGER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Connections that one client may have there at the same time: an IPv4 address, or an IPv6 /64
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
            ready_file,
            log_format,
            log_dir,
            log,
        } = self;
        let (configuration, defaults) = (publishing.settings(), publishing.defaults(&places));
        let supervise = publishing.launch();
        let global = global.map(read_json).transpose()?;
        let control = places.control();
        let Places { record, state_dir, sockets, wait, .. } = places;
        let logs = Logs { format: log_format, dir: log_dir, filter: log }.start()?;
        let database = record.database;
        let certificates = authority.settings(&database)?;
        let key = env::var_os(KEY).filter(|key| !key.is_empty());
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
            ready_file,
            logs,
        };
        serve::run(settings)?;
        Ok(ExitCode::SUCCESS)
    }
}
