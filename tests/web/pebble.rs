//! Debian's pebble: a real ACME server, which asks for its proofs through HAProxy.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use edge_e2e::{Port, Process, eventually};
use serde_json::json;
use tempfile::TempDir;

use crate::tls;

/// Where it will be: known before the manager is started, whose port for HTTP is known only then.
pub(crate) struct Pebble {
    dir: TempDir,
    port: Port,
}

/// It runs. Dropping it ends it.
pub(crate) struct Running(Vec<Child>);

impl Pebble {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        tls::make(dir.path(), "ca", "DNS:ca.example");
        tls::make(dir.path(), "localhost", "DNS:localhost");
        Self { dir, port: Port::reserve().expect("a free port") }
    }

    /// The URL of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port.addr().port())
    }

    /// Who has signed its own certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Starts it; every name leads to this server.
    pub(crate) fn start(&self, web: SocketAddr) -> Running {
        let config = self.dir.path().join("pebble.json");
        let configuration = json!({"pebble": {
            "listenAddress": self.port.addr().to_string(),
            "certificate": self.dir.path().join("localhost.pem"),
            "privateKey": self.dir.path().join("localhost.key"),
            "httpPort": web.port(),
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": 90 * 86_400,
        }});
        fs::write(&config, configuration.to_string()).expect("a file of ours");
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", ""]);
        resolver.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", "127.0.0.1:0"]);
        let log = self.dir.path().join("log");
        let mut running = Running(vec![spawn(&mut resolver, &log)]);
        let resolver = Process(running.0[0].id());
        let dns = eventually("its resolver", || resolver.udp_port(self.port.addr().ip()));
        let mut server = Command::new("pebble");
        server.arg("-config").arg(&config).args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        server.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        running.0.push(spawn(&mut server, &log));
        eventually("pebble", || TcpStream::connect(self.port.addr()).ok());
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = File::options().append(true).create(true).open(log).expect("a file of ours");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}: `make test-web`"))
}
