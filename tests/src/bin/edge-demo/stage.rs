//! The demo backend, and HAProxy with the shipped haproxy.cfg before it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::PathBuf;

use edge_e2e::{Answer, Backend, Haproxy, Launch, module_dir, shipped};
use nix::unistd::{Uid, User};
use tempfile::TempDir;

/// Starts the demo backend: 200 for everything but `/yeet`, which it has blocked for `ttl_s` seconds.
pub(crate) fn start_backend(addr: SocketAddr, ttl_s: u32) -> Result<Backend, String> {
    refuse_taken(addr)?;
    let backend = Backend::listen(addr).map_err(|e| format!("{addr}: {e}"))?;
    backend.answer("/yeet", Answer::teaching(&format!("false; ttl={ttl_s}")));
    Ok(backend)
}

/// A directory for the stats socket, gone when it is dropped.
pub(crate) fn run_dir() -> Result<TempDir, String> {
    let dir = tempfile::Builder::new().prefix("edge-demo.").tempdir();
    dir.map_err(|e| format!("no directory for the stats socket: {e}"))
}

/// The state directory of the demo, which outlives it: below `target/`, owned by whoever HAProxy serves as.
pub(crate) fn state_dir() -> Result<PathBuf, String> {
    let dir = shipped("target/edge-demo-state");
    let made = fs::create_dir_all(&dir).and_then(|()| match Uid::effective().is_root() {
        true => {
            let user = User::from_name("haproxy")?.ok_or_else(|| io::Error::other("no user haproxy"))?;
            chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        }
        false => Ok(()),
    });
    made.and_then(|()| fs::canonicalize(&dir))
        .map_err(|e| format!("no state directory {}: {e}", dir.display()))
}

/// Where HAProxy is to listen, and where its files are.
pub(crate) struct Places {
    pub(crate) web: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// For the stats socket.
    pub(crate) run_dir: PathBuf,
    /// What is learned is kept there; `None`: it is forgotten.
    pub(crate) state_dir: Option<PathBuf>,
    /// For what HAProxy writes; `None`: it writes to the terminal.
    pub(crate) output_dir: Option<PathBuf>,
}

/// Starts HAProxy with the shipped haproxy.cfg, before `server`.
pub(crate) fn start_haproxy(places: Places, server: SocketAddr) -> Result<Haproxy, String> {
    let module = module_dir();
    if !module.join("edge_filter.so").exists() {
        return Err(format!("{} has no edge_filter.so: `make dist` builds it", module.display()));
    }
    let canonical = |path: PathBuf| fs::canonicalize(&path).map_err(|e| format!("{}: {e}", path.display()));
    let mut env: Vec<(String, OsString)> = vec![
        ("FILTER_DIR".into(), canonical(module)?.into()),
        ("FILTER_LISTS".into(), canonical(shipped("haproxy/lists"))?.into()),
        ("FILTER_RUN".into(), places.run_dir.clone().into()),
        ("FILTER_BIND".into(), places.web.to_string().into()),
        ("FILTER_METRICS_BIND".into(), places.metrics.to_string().into()),
        ("FILTER_SERVER".into(), server.to_string().into()),
    ];
    if let Some(dir) = places.state_dir {
        env.push(("FILTER_STATE".into(), dir.into()));
    }
    if !Uid::effective().is_root() {
        env.push(("FILTER_KEEP_USER".into(), "1".into()));
    }
    let launch = Launch {
        config: canonical(shipped("haproxy/haproxy.cfg"))?,
        env,
        under: Vec::new(),
        master_worker: false,
        listeners: vec![places.web, places.metrics],
        stats_socket: Some(places.run_dir.join("edge.sock")),
        output_dir: places.output_dir,
    };
    launch.start().map_err(|failure| format!("HAProxy did not start.\n{}", failure.log))
}

/// HAProxy shares a port with another HAProxy without a word (`SO_REUSEPORT`), and each gets half of the
/// requests: so look first.
pub(crate) fn refuse_taken(addr: SocketAddr) -> Result<(), String> {
    TcpListener::bind(addr)
        .map(drop)
        .map_err(|e| format!("{addr} cannot be used: {e}\nWho has it: ss -ltnp 'sport = :{}'", addr.port()))
}
