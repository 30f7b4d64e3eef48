//! `edge-manager serve` with a HAProxy that it supervises.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use edge_manager::store::{CertificateRow, OrderRow, Readers, StoreError};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use serde_json::{Value, json};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until `probe` gives a value.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "in vain waited for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A port of 127.0.0.1 that nobody else is given while this lives; HAProxy may listen on it, since it shares ports too.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _reservation: OwnedFd,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { address: getsockname(&socket).unwrap().try_into().unwrap(), _reservation: socket }
    }
}

/// Writes a program.
pub(crate) fn program(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Sends a signal, by its name.
pub(crate) fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    assert!(Command::new("kill").args(["-s", name]).args(pids).status().unwrap().success());
}

/// Everything of one manager. HAProxy ends with it.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    pub(crate) http: Port,
    pub(crate) https: Port,
    stats: Port,
    origin: u16,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Self {
            directory,
            http: Port::reserve(),
            https: Port::reserve(),
            stats: Port::reserve(),
            origin: origin(),
        };
        let global = json!({
            "http_bind": [home.http.address.to_string()],
            "https_bind": [home.https.address.to_string()],
            "stats_bind": home.stats.address.to_string(),
            "log": "stderr",
        });
        fs::write(home.path("global.json"), global.to_string()).unwrap();
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of the certificates.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.path("certificates")
    }

    pub(crate) fn port(&self) -> u16 {
        self.http.address.port()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-manager"));
        command
            .args(arguments)
            .env_remove("HAPROXY_API_KEY")
            .env("EDGE_DATABASE", self.path("rules.db"))
            .env("EDGE_STATE_DIR", self.path("state"))
            .env("EDGE_SOCKET", self.path("edge.sock"))
            .env("EDGE_CONFIG_DIR", self.path("haproxy"))
            .stdin(Stdio::null());
        command
    }

    /// Exit status, standard output and standard error of a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Has the manager use a HAProxy whose `-c` does as [`Home::haproxy_check`] says.
    pub(crate) fn haproxy(&self) -> (String, String) {
        let (path, manner) = (self.path("haproxy-program"), self.path("check").display().to_string());
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *\" -c \"*)\n\
             while [ \"$(cat {manner} 2>&1)\" = wait ]; do sleep 0.05; done\n\
             if [ \"$(cat {manner} 2>&1)\" = refuse ]; then exit 1; fi;;\nesac\n\
             exec haproxy \"$@\"\n"
        );
        program(&path, &script);
        ("EDGE_HAPROXY".to_owned(), path.display().to_string())
    }

    /// From now on `haproxy -c` does not end (`wait`), or says no (`refuse`), or does what it does.
    pub(crate) fn haproxy_check(&self, manner: &str) {
        fs::write(self.path("check.new"), manner).unwrap();
        fs::rename(self.path("check.new"), self.path("check")).unwrap();
    }

    /// Starts the manager with this environment and a HAProxy that it supervises, and waits until it answers.
    pub(crate) fn serve(&self, environment: &[(String, String)]) -> Serving<'_> {
        self.serve_with(&["--supervise"], environment)
    }

    /// The same for the HAProxy that a manager has left behind.
    pub(crate) fn attach(&self, environment: &[(String, String)]) -> Serving<'_> {
        let socket = self.path("haproxy/master.sock").display().to_string();
        self.serve_with(&["--master-socket", &socket], environment)
    }

    fn serve_with(&self, arguments: &[&str], environment: &[(String, String)]) -> Serving<'_> {
        let ready = self.path("ready");
        let _ = fs::remove_file(&ready);
        let log = fs::File::options().append(true).create(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["serve"]);
        command
            .args(arguments)
            .arg("--global")
            .arg(self.path("global.json"))
            .arg("--ready-file")
            .arg(&ready)
            .env("EDGE_MANAGER_LISTEN", "127.0.0.1:0")
            .env("EDGE_LOG", "trace,rusqlite=info")
            .env("EDGE_CERT_CHECK_EVERY", "200ms")
            .envs(environment.iter().cloned())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let address = eventually("the manager", || {
            if child.try_wait().unwrap().is_some() {
                panic!("{}", self.log());
            }
            fs::read_to_string(&ready).ok()?.trim().parse().ok()
        });
        Serving { home: self, child, address }
    }

    /// What the managers have said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn rows(&self) -> Vec<CertificateRow> {
        self.record().read::<_, StoreError>(|view| view.certificates()).unwrap()
    }

    pub(crate) fn orders(&self) -> Vec<OrderRow> {
        self.record().read::<_, StoreError>(|view| view.orders()).unwrap()
    }

    fn record(&self) -> Readers {
        Readers::open(&self.path("rules.db")).unwrap()
    }

    /// The names of all files below the directory of the certificates, but for the account.
    pub(crate) fn files(&self) -> Vec<String> {
        fn list(dir: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => list(&path, root, found),
                    false => found.push(path.strip_prefix(root).unwrap().display().to_string()),
                }
            }
        }
        let (root, mut found) = (self.certificates(), Vec::new());
        list(&root, &root, &mut found);
        found.retain(|name| !name.starts_with("accounts/"));
        found.sort();
        found
    }
}

impl Home {
    /// Ends HAProxy: a manager that was killed leaves it to the next one.
    pub(crate) fn end_haproxy(&self) {
        let master = edge_manager::haproxy::Master::at(self.path("haproxy/master.sock"));
        if let Ok(processes) = master.processes() {
            let pids = [vec![processes.master_pid], processes.workers, processes.old_workers].concat();
            let pids = pids.iter().map(ToString::to_string);
            let _ = Command::new("kill").args(["-s", "KILL"]).args(pids).status();
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.end_haproxy();
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// A manager that runs.
pub(crate) struct Serving<'h> {
    home: &'h Home,
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Serving<'_> {
    /// Has a domain served by the origin.
    pub(crate) fn domain(&self, name: &str) {
        let server = json!({"name": "one", "address": "127.0.0.1", "port": self.home.origin});
        let body = json!({"domain": name, "backend_name": "web", "servers": [server]});
        let (status, answer) = self.ask("POST", "/api/domain", &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// Status and body of the answer, over the control socket: certificates need an admin.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let mut stream = UnixStream::connect(self.home.path("rules.db.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all([head, body].concat().as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The JSON of an answer that is 200.
    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, text) = self.ask(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Listens to what happens from now on.
    pub(crate) fn events(&self) -> Events {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /api/events HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).unwrap();
        let mut events = Events { stream, heard: String::new() };
        events.until("\r\n\r\n");
        events
    }

    /// Until the clock of the certificates has looked at all of them once more, from the beginning.
    pub(crate) fn look(&self) {
        let looks = || self.home.log().matches("certificates were looked after").count();
        let before = looks();
        // The first one may have begun already.
        eventually("two looks", || (looks() >= before + 2).then_some(()));
    }

    /// Asks for a certificate, and takes what is said.
    pub(crate) fn request(&self, body: &Value) -> (u16, Value) {
        let (status, text) = self.ask("POST", "/api/certificates/request", body);
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
    }

    /// Gets a certificate for a domain.
    pub(crate) fn enable(&self, domain: &str) {
        assert_eq!(self.json("POST", "/api/ssl", &json!({"domain": domain})), json!({"status": "success"}));
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a manager tells of what happens.
pub(crate) struct Events {
    stream: TcpStream,
    heard: String,
}

impl Events {
    /// All that was heard, as soon as these words are in it.
    pub(crate) fn until(&mut self, words: &str) -> &str {
        let mut piece = [0; 1024];
        while !self.heard.contains(words) {
            let length = self.stream.read(&mut piece).unwrap();
            assert!(length > 0, "no {words}: {}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        &self.heard
    }
}

/// A server that answers 200 to everything, to `/long` with 64 pieces for as long as the client takes them.
fn origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                // A client that has gone away is no matter here.
                let _ = match head.starts_with(b"GET /long ") {
                    true => long(&mut stream),
                    false => stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
                };
            });
        }
    });
    port
}

/// Bytes of the long answer.
pub(crate) const LONG_BYTES: usize = 64 << 20;

fn long(stream: &mut TcpStream) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LONG_BYTES}\r\nConnection: close\r\n\r\n")?;
    let piece = vec![b'x'; 1 << 20];
    (0..LONG_BYTES / piece.len()).try_for_each(|_| stream.write_all(&piece))
}
