//! HAProxy with the filter, from a shipped configuration.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use tempfile::TempDir;

use crate::{
    Backend, Checked, Haproxy, Launch, Metrics, Mode, Port, Request, Response, StartFailure, StateHome,
    eventually,
};

const CLI_TIMEOUT: Duration = Duration::from_secs(10);

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

/// A running HAProxy with the filter, in front of one [`Backend`].
#[derive(Debug)]
pub struct Edge {
    haproxy: Haproxy,
    launch: Launch,
    web: Port,
    metrics: Port,
    dir: TempDir,
}

/// A [`Launch`] with what has to outlive it.
struct Prepared {
    launch: Launch,
    web: Port,
    metrics: Port,
    dir: TempDir,
}

impl EdgeBuilder {
    /// Another configuration than `haproxy.cfg`, by its name under `haproxy/`.
    pub fn config(mut self, name: &str) -> Self {
        name.clone_into(&mut self.config);
        self
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
        let Prepared { launch, web, metrics, dir } =
            self.prepare().expect("a directory for the configuration");
        Ok(Edge { haproxy: launch.start()?, launch, web, metrics, dir })
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

impl Edge {
    /// `haproxy.cfg` as shipped, in front of `backend`, on ports of its own.
    pub fn before(backend: &Backend, mode: Mode) -> EdgeBuilder {
        EdgeBuilder {
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

    /// The process.
    pub fn haproxy(&self) -> &Haproxy {
        &self.haproxy
    }

    /// Ends the process as an operator would: see [`Haproxy::stop`].
    ///
    /// # Errors
    /// As [`Haproxy::stop`].
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.haproxy.stop()
    }

    /// Kills every process of it, as [`Haproxy::kill`] does, and starts it again.
    ///
    /// # Panics
    /// HAProxy does not start.
    pub fn crash_and_restart(&mut self) {
        self.crash();
        self.start_again();
    }

    /// Kills every process of it: see [`Haproxy::kill`].
    pub fn crash(&mut self) {
        self.haproxy.kill();
    }

    /// Whether HAProxy has ended: under a master, all of it.
    ///
    /// # Panics
    /// The kernel does not say.
    pub fn has_ended(&mut self) -> bool {
        self.haproxy.ended().expect("a child of ours").is_some()
    }

    /// Starts it after a [`Edge::crash`]. Its log begins anew.
    ///
    /// # Panics
    /// HAProxy does not start.
    pub fn start_again(&mut self) {
        let started = self.launch.start();
        self.haproxy = started.unwrap_or_else(|failure| panic!("HAProxy did not start: {}", failure.log));
    }

    /// Has the master start another worker, and waits until that one serves and the one before has ended.
    ///
    /// # Panics
    /// It does not come to that.
    pub fn reload(&self) {
        let old = self.try_worker_pid();
        self.haproxy.signal(Signal::SIGUSR2);
        eventually("a new worker", || self.try_worker_pid().filter(|pid| Some(*pid) != old));
        eventually("the end of the old worker", || {
            old.is_none_or(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(false)).then_some(())
        });
    }

    /// The directory of its files: `lists/`, `haproxy.cfg`, `edge.sock`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sends a request, or says what went wrong: a dropped connection is no answer.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub fn try_send(&self, request: &Request) -> io::Result<Response> {
        request.send(self.web.addr())
    }

    /// The answer to a request.
    ///
    /// # Panics
    /// There is none.
    pub fn send(&self, request: &Request) -> Response {
        self.try_send(request).unwrap_or_else(|e| panic!("no answer to {request:?}: {e}"))
    }

    /// The answer to a `GET` for `target` on `www.example`.
    ///
    /// # Panics
    /// There is none.
    pub fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target))
    }

    /// Whether the edge, not the backend, answered this request.
    ///
    /// # Panics
    /// Nobody answered.
    pub fn refuses(&self, request: &Request) -> bool {
        !self.send(request).is_from_backend()
    }

    /// What `/metrics` says now.
    ///
    /// # Panics
    /// It does not say it.
    pub fn metrics(&self) -> Metrics {
        let answer = Request::get("/metrics").send(self.metrics.addr()).expect("an answer of /metrics");
        assert_eq!(answer.status, 200, "/metrics: {}", answer.body);
        Metrics::parse(&answer.body)
    }

    /// What a path of the metrics frontend answers.
    ///
    /// # Panics
    /// Nothing.
    pub fn service(&self, path: &str) -> Response {
        Request::get(path).send(self.metrics.addr()).expect("an answer of the metrics frontend")
    }

    /// The process that serves: itself, or the worker under a master.
    ///
    /// # Panics
    /// The stats socket does not say.
    pub fn worker_pid(&self) -> u32 {
        self.try_worker_pid().expect("a Pid in show info")
    }

    /// The process that serves; `None` while there is none.
    pub fn try_worker_pid(&self) -> Option<u32> {
        let info = self.try_cli("show info").ok()?;
        info.lines().find_map(|line| line.strip_prefix("Pid: "))?.parse().ok()
    }

    /// The answer to a command on the stats socket.
    ///
    /// # Panics
    /// The socket does not answer.
    pub fn cli(&self, command: &str) -> String {
        self.try_cli(command).unwrap_or_else(|e| panic!("no answer to {command:?}: {e}"))
    }

    /// The answer to a command on the stats socket, or what went wrong: an answer cut short is one too.
    ///
    /// # Errors
    /// The socket does not answer.
    pub fn try_cli(&self, command: &str) -> io::Result<String> {
        let mut answer = String::new();
        self.cli_socket(command)?.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A connection to the stats socket that has sent a command and read nothing yet.
    ///
    /// # Errors
    /// The socket does not take it.
    pub fn cli_socket(&self, command: &str) -> io::Result<UnixStream> {
        let mut socket = UnixStream::connect(self.dir.path().join("edge.sock"))?;
        socket.set_read_timeout(Some(CLI_TIMEOUT))?;
        socket.write_all(format!("{command}\n").as_bytes())?;
        Ok(socket)
    }

    /// Where clients connect.
    pub fn web_addr(&self) -> SocketAddr {
        self.web.addr()
    }

    /// Where `/metrics` and `/status` are.
    pub fn metrics_addr(&self) -> SocketAddr {
        self.metrics.addr()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        assert_eq!(self.haproxy.stdout(), "", "something wrote to the stdout of HAProxy");
        // Errors while traffic flows, not those of a configuration that is refused.
        let is_lua_error = |line: &&str| line.contains("runtime error") && !line.contains("parsing [");
        let log = self.haproxy.log();
        assert_eq!(log.lines().find(is_lua_error), None, "Lua raised an error");
    }
}
