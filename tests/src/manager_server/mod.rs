//! The manager as a server, as systemd or a container runs it.

mod builder;
mod process;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};
use std::thread;

use nix::sys::signal::Signal;
use tempfile::TempDir;

pub use builder::ManagerServerBuilder;
pub use process::{ServeCommand, ServeFailure, ServeProcess};

use crate::{Api, Port, Request, Response};

/// Where a supervised HAProxy listens.
#[derive(Debug)]
struct Ports {
    web: Port,
    https: Port,
    stats: Port,
}

/// A running manager with a record of its own. Dropping it kills it, and the HAProxy that it has started.
#[derive(Debug)]
pub struct ManagerServer {
    process: ServeProcess,
    command: ServeCommand,
    addr: SocketAddr,
    ports: Option<Ports>,
    key: Option<String>,
    /// After the process, which writes there.
    dir: TempDir,
}

impl ManagerServer {
    /// The built `edge-manager`, which is beside another program of this workspace.
    ///
    /// # Panics
    /// It is not built.
    pub fn beside(other: &Path) -> ManagerServerBuilder {
        ManagerServerBuilder::beside(other)
    }

    fn of(
        command: ServeCommand,
        dir: TempDir,
        ports: Option<Ports>,
        key: Option<String>,
    ) -> Result<Self, ServeFailure> {
        let (process, addr) = command.start()?;
        Ok(Self { process, command, addr, ports, key, dir })
    }

    /// Where its API is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A client of its API, with its key if it has one.
    pub fn api(&self) -> Api {
        let api = Api::new(self.addr);
        match &self.key {
            Some(key) => api.key(key),
            None => api,
        }
    }

    /// The directory of its files: `record/rules.db`, `state/`, `haproxy/`, `edge.sock`, `log`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All that it, and HAProxy below it, have written so far.
    pub fn log(&self) -> String {
        self.command.log()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The processes of a supervised HAProxy: the master, and its workers.
    pub fn haproxy(&self) -> Vec<u32> {
        self.process.haproxy()
    }

    /// Where a supervised HAProxy serves clients.
    ///
    /// # Panics
    /// None is supervised.
    pub fn web_addr(&self) -> SocketAddr {
        self.ports().web.addr()
    }

    /// Where a supervised HAProxy serves clients by TLS, once there is a certificate.
    ///
    /// # Panics
    /// None is supervised.
    pub fn https_addr(&self) -> SocketAddr {
        self.ports().https.addr()
    }

    /// Where a supervised HAProxy has `/metrics`, `/status` and `/stats`.
    ///
    /// # Panics
    /// None is supervised.
    pub fn stats_addr(&self) -> SocketAddr {
        self.ports().stats.addr()
    }

    fn ports(&self) -> &Ports {
        self.ports.as_ref().expect("a supervised HAProxy")
    }

    /// The answer of the supervised HAProxy to a request.
    ///
    /// # Panics
    /// There is none.
    pub fn send(&self, request: &Request) -> Response {
        let answer = request.send(self.web_addr());
        answer.unwrap_or_else(|e| panic!("no answer to {request:?}: {e}\n{}", self.log()))
    }

    /// Runs another command of `edge-manager` on the same record.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.command.program);
        command.args(arguments).env_clear().envs(self.command.env.iter().cloned());
        command.output().expect("edge-manager runs")
    }

    /// Ends it as an operator would, with SIGTERM, and waits.
    ///
    /// # Errors
    /// It was still there after 60 s.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.process.stop()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Kills the manager and the HAProxy that it has started, without a chance to tidy up.
    pub fn kill_9(&mut self) {
        self.process.kill_all();
    }

    /// Kills the manager alone.
    pub fn kill_9_alone(&mut self) {
        self.process.kill_alone();
    }

    /// Starts it again with the same files, on another port.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        self.process.hand_over();
        let started = self.command.start();
        (self.process, self.addr) = started.unwrap_or_else(|failure| {
            panic!("the manager did not start again: {:?}\n{}", failure.status, failure.log)
        });
    }
}

impl Drop for ManagerServer {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("The manager said:\n{}", self.log());
        }
    }
}
