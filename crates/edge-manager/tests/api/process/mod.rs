//! `edge-manager serve` and `edge-manager key`, as they are run.

mod database;
mod keys;
mod life;
mod limits;
mod start;
mod told;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Answer, ask, request};
use crate::pages::{form, token};

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-manager"));
        command
            .args(args)
            .env_remove("HAPROXY_API_KEY")
            .env("EDGE_DATABASE", self.path("rules.db"))
            .env("EDGE_STATE_DIR", self.path("state"))
            .env("EDGE_SOCKET", self.path("edge.sock"))
            .env("EDGE_CONFIG_DIR", self.path("haproxy"))
            .env("EDGE_MANAGER_LISTEN", "127.0.0.1:0")
            .env("EDGE_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        said(self.command(args).output().unwrap())
    }

    fn serve(&self, args: &[&str], environment: &[(&str, &str)]) -> Serving {
        let ready = self.path("ready");
        let _ = fs::remove_file(&ready);
        let mut command = self.command(&["serve", "--ready-file", ready.to_str().unwrap()]);
        let mut child = command.args(args).envs(environment.iter().copied()).spawn().unwrap();
        let began = Instant::now();
        let address = loop {
            if let Ok(text) = fs::read_to_string(&ready) {
                break text.trim().parse().unwrap();
            }
            if child.try_wait().unwrap().is_some() || began.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("{:?}", said(child.wait_with_output().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Serving { child: Some(child), address }
    }
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

struct Serving {
    child: Option<Child>,
    address: SocketAddr,
}

impl Serving {
    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).unwrap();
        ask(stream, &request(self.address, method, path, headers, body.as_bytes()))
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, &["Content-Type: application/json"], body)
    }

    /// The overview, as somebody sees it who logs in with this key.
    fn page_of(&self, key: &str) -> String {
        let cookie =
            |answer: &Answer| answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let login = self.get("/login");
        let fields = form(&[("token", &token(&login.body).unwrap()), ("key", key)]);
        let headers =
            [&*format!("Cookie: {}", cookie(&login)), "Content-Type: application/x-www-form-urlencoded"];
        let entered = self.ask("POST", "/login", &headers, &fields);
        self.ask("GET", "/", &[&format!("Cookie: {}", cookie(&entered))], "").body
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Exit status, standard output, standard error.
    fn stop(mut self, signal: &str) -> (i32, String, String) {
        self.signal(signal);
        said(self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
