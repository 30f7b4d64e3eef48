//! The manager, and below it HAProxy, with what the demo shows.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use edge_e2e::{Api, Backend, ServeCommand, ServeProcess, make_managed_state, module_dir};
use nix::unistd::Uid;
use serde_json::json;

/// A blocked network, and a client in it that is allowed all the same.
pub(crate) const BLOCKED: &str = "203.0.113.0/24";
pub(crate) const ALLOWED: &str = "203.0.113.7";

/// The names under which the backend is served.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "www.example"];

/// Where everything is.
pub(crate) struct Grounds {
    /// The API.
    pub(crate) api: SocketAddr,
    /// HAProxy, for clients.
    pub(crate) web: SocketAddr,
    /// HAProxy's metrics.
    pub(crate) metrics: SocketAddr,
    /// For sockets.
    pub(crate) run_dir: PathBuf,
    /// For record, state directory and configurations.
    pub(crate) home: PathBuf,
    /// For what both write; `None`: it is shown.
    pub(crate) log: Option<PathBuf>,
}

/// Starts the manager, which starts HAProxy, and has it serve `backend`.
pub(crate) fn start_manager(grounds: &Grounds, backend: &Backend) -> Result<(ServeProcess, Api), String> {
    let module = module_dir();
    let module = fs::canonicalize(&module)
        .ok()
        .filter(|dir| dir.join("edge_filter.so").exists())
        .ok_or_else(|| format!("{} has no edge_filter.so: `make module` builds it", module.display()))?;
    let state = make_state(&grounds.home).map_err(|e| format!("{}: {e}", grounds.home.display()))?;
    let global = grounds.run_dir.join("global.json");
    let (user, group) =
        if Uid::effective().is_root() { (Some("haproxy"), Some("haproxy")) } else { (None, None) };
    // No stats socket, which lies in the directory of this run: the record outlives it.
    let text = json!({
        "http_bind": [grounds.web.to_string()],
        "stats_bind": grounds.metrics.to_string(),
        "maxconn": 1000,
        "user": user,
        "group": group,
        // So that `X-Forwarded-For` says who a client is, where it is sent.
        "trusted_proxies": [{"header": "X-Forwarded-For", "networks": ["127.0.0.0/8"], "own_requests": true}],
        "filter": {"module_dir": module, "state_dir": state},
    });
    fs::write(&global, text.to_string()).map_err(|e| format!("{}: {e}", global.display()))?;
    let program = manager_program()?;
    let command = ServeCommand {
        program,
        arguments: vec!["--listen".into(), grounds.api.to_string().into(), "--global".into(), global.into()],
        env: environment(grounds, &state),
        ready_file: grounds.run_dir.join("ready"),
        config_dir: grounds.home.join("haproxy"),
        log: grounds.log.clone(),
    };
    let started = command.start();
    let (process, addr) =
        started.map_err(|failure| format!("edge-manager did not start.\n{}", failure.log))?;
    let mut api = Api::new(addr);
    prepare(&mut api, backend.addr())?;
    Ok((process, api))
}

/// The variables under which `edge-manager` finds this record.
fn environment(grounds: &Grounds, state: &Path) -> Vec<(String, OsString)> {
    let names = [
        ("EDGE_SUPERVISE", "true".into()),
        ("EDGE_DATABASE", grounds.home.join("rules.db").into()),
        ("EDGE_CONTROL", grounds.run_dir.join("control.sock").into()),
        ("EDGE_STATE_DIR", state.into()),
        ("EDGE_SOCKET", grounds.run_dir.join("edge.sock").into()),
    ];
    let ours = names.into_iter().map(|(name, value)| (name.to_owned(), value));
    let theirs = std::env::var_os("EDGE_HAPROXY").map(|program| ("EDGE_HAPROXY".to_owned(), program));
    ours.chain(theirs).collect()
}

/// Beside this program.
fn manager_program() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?.with_file_name("edge-manager");
    if program.exists() {
        Ok(program)
    } else {
        Err(format!("no {}: `cargo build -p edge-manager`", program.display()))
    }
}

/// A state directory, which whoever HAProxy serves as has to get to.
fn make_state(home: &Path) -> io::Result<PathBuf> {
    let state = home.join("state");
    make_managed_state(&state)?;
    if Uid::effective().is_root() {
        fs::set_permissions(home, Permissions::from_mode(0o755))?;
    }
    fs::canonicalize(state)
}

/// The domains and rules of the demo, which may be there already.
fn prepare(api: &mut Api, backend: SocketAddr) -> Result<(), String> {
    let server = json!({"name": "site1", "address": backend.ip(), "port": backend.port(), "options": ""});
    for host in HOSTS {
        let domain = json!({"domain": host, "backend_name": "site", "servers": [server]});
        expect(api, "/api/domain", &domain.to_string())?;
    }
    let blocked = json!({"target": BLOCKED, "reason": "of the demo", "replace": true});
    expect(api, "/api/rules", &blocked.to_string())?;
    let allowed = json!({"kind": "allow", "target": ALLOWED, "reason": "of the demo", "replace": true});
    expect(api, "/api/rules", &allowed.to_string())
}

fn expect(api: &mut Api, target: &str, body: &str) -> Result<(), String> {
    let answer = api.try_call("POST", target, body).map_err(|e| format!("POST {target}: {e}"))?;
    match answer.status {
        200 | 201 => Ok(()),
        status => Err(format!("POST {target} was answered with {status}: {}", answer.body)),
    }
}
