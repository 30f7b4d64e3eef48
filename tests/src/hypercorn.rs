//! Hypercorn: a server of others' making that takes HTTP/2 by `Upgrade: h2c`, and speaks WebSocket.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::{Request, eventually, shipped};

/// The running server. Dropping it ends it.
#[derive(Debug)]
pub struct Hypercorn {
    process: Child,
    addr: SocketAddr,
}

impl Hypercorn {
    /// On a port of 127.0.0.1 that the kernel chooses. `None` where it is not installed, which is told of.
    ///
    /// # Panics
    /// It does not start, or it is missing and `EDGE_MATRIX=require` says that it may not be.
    pub fn start() -> Option<Self> {
        let program = program("hypercorn")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on 127.0.0.1");
        let addr = listener.local_addr().expect("the address of a socket");
        // It listens on the socket that is its stdin, so nobody else gets the port in between.
        let process = Command::new(program)
            // In this one process: workers of its own would outlive it.
            .args(["--workers", "0", "--bind", "fd://0", "app:app"])
            .current_dir(shipped("tests/e2e/python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("hypercorn starts");
        let server = Self { process, addr };
        // Its socket takes connections before it does.
        eventually("hypercorn answers", || Request::get("/").send(addr).ok());
        Some(server)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Hypercorn {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends one request over HTTP/2 as `tests/e2e/python/http2.py` says, and gives the status with what came of the body.
///
/// # Panics
/// The program fails, or has nothing to say: [`Hypercorn::start`] says whether it can be run.
pub fn http2(to: SocketAddr, arguments: &[&str]) -> (String, String) {
    let python = program("python").expect("what Hypercorn runs on");
    let output = Command::new(python)
        .arg(shipped("tests/e2e/python/http2.py"))
        .arg(to.port().to_string())
        .args(arguments)
        .output()
        .expect("python starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let (status, body) = text
        .split_once(' ')
        .unwrap_or_else(|| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    (status.to_owned(), body.to_owned())
}

/// A program that `scripts/python-packages.sh hypercorn` has installed.
fn program(name: &str) -> Option<PathBuf> {
    let program = shipped("target/hypercorn/venv/bin").join(name);
    if program.exists() {
        return Some(program);
    }
    let words = "NOT TESTED: no Hypercorn, which scripts/python-packages.sh hypercorn installs\n";
    assert_ne!(std::env::var_os("EDGE_MATRIX").as_deref(), Some("require".as_ref()), "{words}");
    // Past the capture of the test runner, which keeps what a test that passes has printed.
    let _ = io::stderr().write_all(words.as_bytes());
    None
}
