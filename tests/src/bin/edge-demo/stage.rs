//! The demo backend, and HAProxy with the shipped haproxy.cfg before it.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use edge_e2e::{Answer, Backend, Haproxy, Launch, module_dir, shipped};
use nix::unistd::Uid;
use tempfile::TempDir;

/// Starts the demo backend: 200 for everything but `/yeet`, which it has blocked for `ttl_s` seconds.
pub(crate) fn start_backend(addr: SocketAddr, ttl_s: u32) -> Result<Backend, String> {
    refuse_taken(addr)?;
    let backend = Backend::listen(addr).map_err(|e| format!("{addr}: {e}"))?;
    backend.answer("/yeet", Answer::teaching(&format!("false; ttl={ttl_s}")));
    Ok(backend)
}

/// A directory for sockets, gone when it is dropped.
pub(crate) fn run_dir() -> Result<TempDir, String> {
    let dir = tempfile::Builder::new().prefix("edge-demo.").tempdir();
    dir.map_err(|e| format!("no directory for sockets: {e}"))
}

/// The directory of what outlives the demo, below `target/`.
pub(crate) fn home_dir() -> Result<PathBuf, String> {
    let dir = shipped("target/edge-demo");
    let made = fs::create_dir_all(&dir).and_then(|()| fs::canonicalize(&dir));
    made.map_err(|e| format!("no directory {}: {e}", dir.display()))
}

/// Where HAProxy is to listen, and where its files are.
pub(crate) struct Places {
    pub(crate) web: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// For the stats socket, and what HAProxy writes.
    pub(crate) run_dir: PathBuf,
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
        output_dir: Some(places.run_dir.clone()),
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
