//! HAProxy with the filter, from a shipped configuration.

mod builder;

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

pub use builder::{EdgeBuilder, module_dir, shipped};

use crate::{Backend, Haproxy, Launch, Metrics, Mode, Port, Request, Response, StartFailure, eventually};
use builder::Prepared;

const CLI_TIMEOUT: Duration = Duration::from_secs(60);

/// A running HAProxy with the filter, in front of one [`Backend`].
#[derive(Debug)]
pub struct Edge {
    haproxy: Haproxy,
    launch: Launch,
    web: Port,
    metrics: Port,
    dir: TempDir,
}

impl Edge {
    /// `haproxy.cfg` as shipped, in front of `backend`, on ports of its own.
    pub fn before(backend: &Backend, mode: Mode) -> EdgeBuilder {
        EdgeBuilder::new(backend, mode)
    }

    fn of(prepared: Prepared) -> Result<Self, StartFailure> {
        let Prepared { launch, web, metrics, dir } = prepared;
        Ok(Self { haproxy: launch.start()?, launch, web, metrics, dir })
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

    /// Whether the worker, asked to read on, has all rules of this revision of the manager and lacks nothing.
    ///
    /// # Panics
    /// The socket does not answer.
    pub fn has_rules_of(&self, revision: u64) -> bool {
        let answer = self.cli("edge sync");
        // How many rules and changes were taken, and their hash; behind that would stand what lacks.
        let mut parts = answer.trim().split(", ");
        parts.next() == Some(&format!("revision {revision}")) && parts.count() == 2
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
