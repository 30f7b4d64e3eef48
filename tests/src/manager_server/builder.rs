//! A manager as a server, and what a test changes in it.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{ServeCommand, ServeFailure};
use super::{ManagerServer, Ports};
use crate::version;
use crate::{Edge, Port, StateHome, make_managed_state, module_dir};

/// What to start, and where.
#[derive(Debug)]
pub struct ManagerServerBuilder {
    program: PathBuf,
    dir: TempDir,
    arguments: Vec<OsString>,
    env: Vec<(String, OsString)>,
    ports: Option<Ports>,
    global: Value,
    key: Option<String>,
}

impl ManagerServerBuilder {
    /// The built `edge-manager`, which is beside another program of this workspace; it attaches to no HAProxy.
    ///
    /// # Panics
    /// It is not built, or there is no room for its files.
    pub(super) fn beside(other: &Path) -> Self {
        let program = other.with_file_name("edge-manager");
        assert!(program.exists(), "no {}: `cargo build -p edge-manager`", program.display());
        let dir = tempfile::Builder::new().prefix("edge-manager.").tempdir().expect("a directory");
        // Whoever HAProxy serves as has to get at the state directory below.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("our directory");
        let at = |name: &str| dir.path().join(name);
        let env = vec![
            ("EDGE_DATABASE".to_owned(), at("record/rules.db").into()),
            ("EDGE_STATE_DIR".to_owned(), at("state").into()),
            ("EDGE_SOCKET".to_owned(), at("edge.sock").into()),
            ("EDGE_HAPROXY".to_owned(), version::program()),
        ];
        Self { program, dir, arguments: Vec::new(), env, ports: None, global: Value::Null, key: None }
    }

    /// With HAProxy started and watched by the manager, on ports of its own, without rights where we are root.
    ///
    /// # Panics
    /// There is no module, no user `haproxy`, or no free port.
    pub fn supervising(mut self) -> Self {
        let module = module_dir();
        assert!(module.join("edge_filter.so").exists(), "no module in {}: `make dist`", module.display());
        let reserve = || Port::reserve().expect("a free port");
        let ports = Ports { web: reserve(), https: reserve(), stats: reserve() };
        make_managed_state(&self.dir.path().join("state")).expect("a state directory");
        self.global = json!({
            "http_bind": [ports.web.addr().to_string()],
            "https_bind": [ports.https.addr().to_string()],
            "stats_bind": ports.stats.addr().to_string(),
            "stats_socket": self.dir.path().join("edge.sock"),
            "log": "stderr",
            "maxconn": 4000,
            "trusted_proxies": [{"header": "X-Forwarded-For", "networks": ["127.0.0.0/8"], "own_requests": true}],
            "filter": {
                "module_dir": fs::canonicalize(module).expect("a directory"),
                "state_dir": self.dir.path().join("state"),
                "settings": [],
            },
        });
        if Uid::effective().is_root() {
            self.global["user"] = json!("haproxy");
            self.global["group"] = json!("haproxy");
        }
        self.ports = Some(ports);
        self.env("EDGE_SUPERVISE", "true")
    }

    /// With this HAProxy, which follows the rules in `home`, but is not reloaded.
    ///
    /// # Panics
    /// The directory is not ours.
    pub fn beside_edge(self, edge: &Edge, home: &StateHome) -> Self {
        // Workers with a user of their own read by their group what the manager writes.
        fs::set_permissions(home.path(), Permissions::from_mode(0o2770)).expect("our directory");
        self.env("EDGE_STATE_DIR", home.path()).env("EDGE_SOCKET", edge.dir().join("edge.sock"))
    }

    /// With what holds for all backends changed: the JSON that a supervised HAProxy begins with.
    pub fn global(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.global);
        self
    }

    /// With this `HAPROXY_API_KEY`, which [`ManagerServer::api`] sends.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self.env("HAPROXY_API_KEY", key)
    }

    /// With this variable in the environment, in place of what it may have been.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// With one more argument of `serve`.
    pub fn argument(mut self, text: impl Into<OsString>) -> Self {
        self.arguments.push(text.into());
        self
    }

    /// The directory of its files: `record/rules.db`, `state/`, `haproxy/`, `edge.sock`, `log`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it.
    ///
    /// # Panics
    /// It does not start; the message has its log.
    pub fn start(self) -> ManagerServer {
        self.try_start().unwrap_or_else(|failure| {
            panic!("the manager did not start: {:?}\n{}", failure.status, failure.log)
        })
    }

    /// Starts it, or says why it ended.
    ///
    /// # Errors
    /// It ended, or was not ready within 60 s.
    ///
    /// # Panics
    /// Its files cannot be written.
    pub fn try_start(mut self) -> Result<ManagerServer, ServeFailure> {
        let at = |name: &str| self.dir.path().join(name);
        let mut arguments: Vec<OsString> = Vec::new();
        if !self.arguments.iter().any(|argument| argument == "--listen") {
            arguments.extend(["--listen".into(), "127.0.0.1:0".into()]);
        }
        if !self.global.is_null() {
            fs::write(at("global.json"), self.global.to_string()).expect("a file of ours");
            arguments.extend(["--global".into(), at("global.json").into()]);
        }
        arguments.append(&mut self.arguments);
        let (ready_file, config_dir, log) = (at("ready"), at("haproxy"), Some(at("log")));
        let Self { program, dir, env, ports, key, .. } = self;
        let command = ServeCommand { program, arguments, env, ready_file, config_dir, log };
        ManagerServer::of(command, dir, ports, key)
    }
}
