//! Pebble, its name server, and a HAProxy before it that can make it fail.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use edge_e2e::Process;
use serde_json::{Value, json};

use crate::authority::OwnAuthority;
use crate::home::{PATIENCE, Port, eventually};

/// How pebble is to be.
#[derive(Clone)]
pub(crate) struct Manner {
    /// Percent of good nonces that it does not take.
    pub(crate) bad_nonces: u32,
    /// How long its certificates are valid, seconds.
    pub(crate) life_s: u64,
    /// Whether accounts need to be known elsewhere.
    pub(crate) external_accounts: bool,
    /// Percent of authorizations that it takes from an order before.
    pub(crate) reuse: u32,
    /// The port of the name server that it asks; that of its own without one.
    pub(crate) name_server: Option<u16>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { bad_nonces: 5, life_s: 90 * 86_400, external_accounts: false, reuse: 50, name_server: None }
    }
}

/// The key that `kid-1` has where accounts need to be known elsewhere.
pub(crate) const EXTERNAL_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

pub(crate) struct Pebble {
    dir: tempfile::TempDir,
    manner: Manner,
    http_port: u16,
    pebble: Option<Child>,
    names: Child,
    before: Child,
    /// Where pebble listens.
    acme: Port,
    /// Where the HAProxy before it listens.
    gate: Port,
    /// The API of the name server.
    names_api: Port,
    names_dns: u16,
}

impl Pebble {
    /// One that asks for proofs by HTTP at this port.
    pub(crate) fn start(http_port: u16, manner: Manner) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let authority = OwnAuthority::new("harness");
        fs::write(path("ca.pem"), authority.pem()).unwrap();
        authority.localhost(&path("cert.pem"), &path("key.pem"));
        let both = [fs::read(path("cert.pem")).unwrap(), fs::read(path("key.pem")).unwrap()].concat();
        fs::write(path("gate.pem"), both).unwrap();
        let [acme, gate, names_api] = [(); 3].map(|()| Port::reserve());
        let mut names = spawn(
            Command::new("pebble-challtestsrv")
                .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1"])
                .args(["-defaultIPv6", "", "-dns01", "127.0.0.1:0"])
                .args(["-management", &names_api.address.to_string()]),
            &path("names.log"),
        );
        listening("the name server", &mut names, names_api.address);
        let names_dns =
            eventually("the name server's port", || Process(names.id()).udp_port(names_api.address.ip()));
        fs::write(path("faults.map"), "").unwrap();
        fs::write(path("gate.cfg"), gate_configuration(dir.path(), gate.address, acme.address)).unwrap();
        for name in ["directory.json", "window.json"] {
            fs::write(path(name), "{}").unwrap();
        }
        let mut before = self::gate(dir.path());
        listening("gate", &mut before, gate.address);
        let mut pebble =
            Self { dir, manner, http_port, pebble: None, names, before, acme, gate, names_api, names_dns };
        pebble.run();
        pebble
    }

    /// Starts pebble, which has forgotten everything.
    pub(crate) fn run(&mut self) {
        let Manner { bad_nonces, life_s, external_accounts, reuse, name_server } = self.manner;
        let configuration = json!({"pebble": {
            "listenAddress": self.acme.address.to_string(),
            "certificate": self.path("cert.pem"),
            "privateKey": self.path("key.pem"),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": external_accounts,
            "externalAccountMACKeys": {"kid-1": EXTERNAL_KEY},
            "certificateValidityPeriod": life_s,
        }});
        fs::write(self.path("pebble.json"), configuration.to_string()).unwrap();
        let mut command = Command::new("pebble");
        command
            .arg("-config")
            .arg(self.path("pebble.json"))
            .args(["-dnsserver", &format!("127.0.0.1:{}", name_server.unwrap_or(self.names_dns))])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", bad_nonces.to_string())
            .env("PEBBLE_AUTHZREUSE", reuse.to_string());
        let mut pebble = spawn(&mut command, &self.path("pebble.log"));
        listening("pebble", &mut pebble, self.acme.address);
        self.pebble = Some(pebble);
    }

    /// Ends pebble.
    pub(crate) fn stop(&mut self) {
        let mut pebble = self.pebble.take().unwrap();
        pebble.kill().unwrap();
        pebble.wait().unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The URL of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.gate.address.port())
    }

    /// What a manager needs to know.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let ca = self.path("ca.pem").display().to_string();
        [
            ("EDGE_ACME_DIRECTORY", self.directory()),
            ("EDGE_ACME_CA_FILE", ca),
            ("EDGE_ACME_DNS_WAIT", "0s".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// From now on requests whose paths begin so get this fault; see [`gate_configuration`].
    pub(crate) fn fault(&self, path: &str, fault: &str) {
        self.gate_says(&format!("add map {} {path} {fault}", self.path("faults.map").display()));
    }

    /// How many requests it has answered with a status of 400 to 499.
    pub(crate) fn refusals(&self) -> u64 {
        let text = self.gate_answers("show stat gate 1 -1");
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let column = lines.next().unwrap().iter().position(|name| *name == "hrsp_4xx").unwrap();
        lines.next().unwrap()[column].parse().unwrap()
    }

    /// Whether somebody waits for an answer that does not come.
    pub(crate) fn has_stalled(&self) -> bool {
        self.gate_answers("show table gate").contains("key=stalled")
    }

    /// Ends the connections of those who wait for an answer that does not come: they ask again.
    pub(crate) fn cut_stalled(&self) {
        self.gate_answers("shutdown sessions server acme/pebble");
        for line in self.gate_answers("show sess").lines().filter(|line| line.contains("fe=gate")) {
            let session = line.split(':').next().unwrap();
            self.gate_answers(&format!("shutdown session {session}"));
        }
    }

    /// From now on connections to the server are refused.
    pub(crate) fn stop_gate(&mut self) {
        self.before.kill().unwrap();
        self.before.wait().unwrap();
    }

    /// How many requests have got this fault.
    pub(crate) fn faults(&self, fault: &str) -> u64 {
        let table = self.gate_answers("show table gate");
        let row = table.lines().find(|line| line.contains(&format!("key={fault} ")));
        row.and_then(|row| row.rsplit_once("http_req_cnt=")?.1.trim().parse().ok()).unwrap_or(0)
    }

    /// Has the HAProxy before pebble read its files again.
    pub(crate) fn restart_gate(&mut self) {
        self.stop_gate();
        self.before = gate(self.dir.path());
        listening("gate", &mut self.before, self.gate.address);
    }

    /// All is well again.
    pub(crate) fn mend(&self) {
        self.gate_says(&format!("clear map {}", self.path("faults.map").display()));
    }

    fn gate_says(&self, command: &str) {
        assert_eq!(self.gate_answers(command).trim(), "", "{command}");
    }

    fn gate_answers(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.path("gate.sock")).unwrap();
        writeln!(stream, "{command}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Posts to the API of the name server.
    pub(crate) fn names(&self, path: &str, body: &Value) {
        post(self.names_api.address, path, body);
    }

    /// A program that puts records into the name server.
    pub(crate) fn dns_hook(&self) -> PathBuf {
        let hook = self.path("hook");
        let script = format!(
            "#!/bin/sh\nEDGE_TEST_HOOK=\"{} $*\" exec {} dns::child_that_is_a_hook --exact\n",
            self.names_api.address.port(),
            std::env::current_exe().unwrap().display()
        );
        crate::home::program(&hook, &script);
        hook
    }

    /// What pebble has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("pebble.log")).unwrap()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in self.pebble.iter_mut().chain([&mut self.names, &mut self.before]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn gate(dir: &Path) -> Child {
    spawn(Command::new("haproxy").args(["-db", "-f"]).arg(dir.join("gate.cfg")), &dir.join("gate.log"))
}

/// HAProxy before pebble. `limited`: 429 with a short Retry-After; `limited-long`: with a long one; `down`: 503 of its own;
/// `stalled`: no answer.
fn gate_configuration(dir: &Path, gate: SocketAddr, acme: SocketAddr) -> String {
    let dir = dir.display();
    let limited = r#"'{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates","status":429}'"#;
    let problem = "content-type application/problem+json";
    format!(
        "global
  stats socket {dir}/gate.sock level admin
defaults
  mode http
  timeout connect 5s
  timeout client 5m
  timeout server 5m
  timeout tarpit 5m
frontend gate
  bind {gate} ssl crt {dir}/gate.pem
  stick-table type string len 32 size 100 store http_req_cnt
  http-request set-var(txn.fault) path,map_beg({dir}/faults.map)
  http-request track-sc0 var(txn.fault) if {{ var(txn.fault) -m found }}
  http-request return status 429 {problem} hdr Retry-After 1 string {limited} if {{ var(txn.fault) -m str limited }}
  http-request return status 429 {problem} hdr Retry-After 7200 string {limited} if {{ var(txn.fault) -m str limited-long }}
  http-request deny deny_status 503 if {{ var(txn.fault) -m str down }}
  http-request tarpit if {{ var(txn.fault) -m str stalled }}
  http-request return status 200 content-type application/json lf-file {dir}/directory.json if {{ var(txn.fault) -m str suggests }}
  http-request return status 200 content-type application/json hdr Retry-After 60 lf-file {dir}/window.json if {{ path_beg /window/ }}
  default_backend acme
backend acme
  server pebble {acme} ssl verify none
"
    )
}

/// Sends JSON, and takes any answer.
pub(crate) fn post(address: SocketAddr, path: &str, body: &Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all([head, body].concat().as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
}

pub(crate) fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = File::options().append(true).create(true).open(log).unwrap();
    let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}: see scripts/install.sh"))
}

/// Waits until a program listens on a port that is reserved for it: there nobody else can.
pub(crate) fn listening(what: &str, child: &mut Child, address: SocketAddr) {
    eventually(what, || {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("{what} ended: {status}");
        }
        TcpStream::connect(address).ok()
    });
}
