//! A shipped configuration and what a test changes in it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use tempfile::TempDir;

use super::Edge;
use crate::{Backend, Checked, Launch, Mode, Port, StartFailure, StateHome};

/// What every line of a configuration that has to do with the filter contains.
const FILTER_LINES: [&str; 4] = ["lua-", "lua.", "setenv EDGE_", "txn.edge"];

/// The place of a shipped file, given as it is named in the repository.
pub fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(file)
}

/// Where `edge_filter.so` and `edge_filter.lua` are: `EDGE_MODULE_DIR`, or where `make dist` puts them for the
/// Lua of Debian 12.
pub fn module_dir() -> PathBuf {
    std::env::var_os("EDGE_MODULE_DIR").map_or_else(|| shipped("dist/lua5.3"), PathBuf::from)
}

/// What to change in a shipped configuration before it runs.
#[derive(Debug)]
pub struct EdgeBuilder {
    config: String,
    mode: Mode,
    server: SocketAddr,
    settings: Vec<(String, String)>,
    edits: Vec<(String, String)>,
    lists: Vec<(String, String)>,
    /// Without: the yardstick.
    has_filter: bool,
    under: Vec<OsString>,
}

/// A [`Launch`] with what has to outlive it.
pub(super) struct Prepared {
    pub(super) launch: Launch,
    pub(super) web: Port,
    pub(super) metrics: Port,
    pub(super) dir: TempDir,
}

impl EdgeBuilder {
    pub(super) fn new(backend: &Backend, mode: Mode) -> Self {
        Self {
            config: "haproxy.cfg".to_owned(),
            mode,
            server: backend.addr(),
            settings: Vec::new(),
            edits: Vec::new(),
            lists: Vec::new(),
            has_filter: true,
            under: Vec::new(),
        }
    }

    /// Another configuration than `haproxy.cfg`, by its name under `haproxy/`.
    pub fn config(mut self, name: &str) -> Self {
        name.clone_into(&mut self.config);
        self
    }

    /// Before another server than the [`Backend`].
    pub fn server(self, server: SocketAddr) -> Self {
        Self { server, ..self }
    }

    /// With this `EDGE_` setting.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this state directory.
    pub fn state(self, home: &StateHome) -> Self {
        let path = home.path();
        self.setting("EDGE_STATE_DIR", path.to_str().expect("a path in UTF-8"))
    }

    /// With this content of a list, by its name under `haproxy/lists/`, instead of the shipped one.
    pub fn list(mut self, name: &str, text: &str) -> Self {
        self.lists.push((name.to_owned(), text.to_owned()));
        self
    }

    /// With a piece of the configuration, which must occur once, replaced.
    pub fn edit(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Plain HAProxy: the same configuration without the lines of the filter.
    pub fn without_filter(mut self) -> Self {
        self.has_filter = false;
        self
    }

    /// Under another program, such as a [`crate::Memcheck`].
    pub fn under(mut self, command: Vec<OsString>) -> Self {
        self.under = command;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// HAProxy does not start; the message has its log.
    pub fn start(self) -> Edge {
        self.try_start().unwrap_or_else(|failure| panic!("HAProxy did not start: {}", failure.log))
    }

    /// Starts it, or says why HAProxy refused.
    ///
    /// # Errors
    /// As [`Launch::start`].
    ///
    /// # Panics
    /// The files cannot be written, or an edit does not fit.
    pub fn try_start(self) -> Result<Edge, StartFailure> {
        Edge::of(self.prepare().expect("a directory for the configuration"))
    }

    /// Asks HAProxy whether it would start.
    ///
    /// # Panics
    /// There is no HAProxy, the files cannot be written, or an edit does not fit.
    pub fn check(self) -> Checked {
        let prepared = self.prepare().expect("a directory for the configuration");
        prepared.launch.check().expect("HAProxy is installed")
    }

    fn prepare(&self) -> io::Result<Prepared> {
        let module = module_dir();
        assert!(module.join("edge_filter.so").exists(), "no module in {}: `make dist`", module.display());
        let dir = tempfile::Builder::new().prefix("edge-e2e.").tempdir()?;
        let lists = dir.path().join("lists");
        fs::create_dir(&lists)?;
        for entry in fs::read_dir(shipped("haproxy/lists"))? {
            let entry = entry?;
            fs::copy(entry.path(), lists.join(entry.file_name()))?;
        }
        for (name, text) in &self.lists {
            fs::write(lists.join(name), text)?;
        }
        let text = self.render(&fs::read_to_string(shipped("haproxy").join(&self.config))?);
        let config = dir.path().join("haproxy.cfg");
        fs::write(&config, &text)?;

        let (web, metrics) = (Port::reserve()?, Port::reserve()?);
        let mut env = vec![
            ("FILTER_DIR".to_owned(), module.into_os_string()),
            ("FILTER_LISTS".to_owned(), lists.into_os_string()),
            ("FILTER_RUN".to_owned(), dir.path().into()),
            ("FILTER_BIND".to_owned(), web.addr().to_string().into()),
            ("FILTER_METRICS_BIND".to_owned(), metrics.addr().to_string().into()),
            ("FILTER_SERVER".to_owned(), self.server.to_string().into()),
        ];
        if !(self.mode.master_worker && Uid::effective().is_root()) {
            env.push(("FILTER_KEEP_USER".to_owned(), "1".into()));
        }
        let mut listeners = vec![web.addr()];
        if text.contains("FILTER_METRICS_BIND") {
            listeners.push(metrics.addr());
        }
        let launch = Launch {
            config,
            env,
            under: self.under.clone(),
            master_worker: self.mode.master_worker,
            listeners,
            stats_socket: text.contains("stats socket").then(|| dir.path().join("edge.sock")),
            output_dir: Some(dir.path().to_owned()),
        };
        Ok(Prepared { launch, web, metrics, dir })
    }

    fn render(&self, shipped: &str) -> String {
        let mut text = shipped.to_owned();
        for (from, to) in &self.edits {
            assert_eq!(text.matches(from).count(), 1, "{} has not just one {from:?}", self.config);
            text = text.replace(from, to);
        }
        if !self.mode.per_thread {
            text = text.replace("lua-load-per-thread", "lua-load");
        }
        if !self.has_filter {
            let is_ours = |line: &&str| FILTER_LINES.iter().any(|part| line.contains(part));
            text = text.split_inclusive('\n').filter(|line| !is_ours(line)).collect();
            return text.replace("\nglobal\n", "\nglobal\n  nbthread 2\n");
        }
        // More than one thread whatever the machine, and settings above the module that reads them.
        let native = if self.mode.native { "on" } else { "off" };
        let mut ours = format!("  nbthread 2\n  setenv EDGE_NATIVE {native}\n");
        for (name, value) in &self.settings {
            ours.push_str(&format!("  setenv {name} \"{value}\"\n"));
        }
        let module = text.find("  lua-prepend-path").expect("a configuration with the module");
        text.insert_str(module, &ours);
        text
    }
}
