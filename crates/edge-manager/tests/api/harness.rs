//! A manager, and a client of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use edge_manager::access::{Caller, KeyHash, Role, add_key};
use edge_manager::api::{App, Services};
use edge_manager::certificates;
use edge_manager::clock::now_us;
use edge_manager::configuration::{Patience, Settings};
use edge_manager::haproxy::{Control, Program};
use edge_manager::serve::Server;
use edge_manager::sites::Defaults;
use edge_manager::store::{AuditEntry, AuditSelection};
use tokio::sync::oneshot;

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where nobody listens: no certificate can be had.
pub(crate) const NO_AUTHORITY: &str = "https://127.0.0.1:1/directory";

/// The API, as `edge-manager serve` has it, on a thread.
pub(crate) struct Manager {
    dir: tempfile::TempDir,
    pub(crate) app: Arc<App>,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Manager {
    /// Without keys, and without a HAProxy.
    pub(crate) fn start() -> Self {
        Self::with_key(None)
    }

    /// With this `HAPROXY_API_KEY`.
    pub(crate) fn with_key(key: Option<&str>) -> Self {
        Self::with(key, 256)
    }

    /// With so many connections at most that one client may have.
    pub(crate) fn with_max_per_client(max: usize) -> Self {
        Self::with(None, max)
    }

    fn with(key: Option<&str>, max_per_client: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let services = Services {
            database: dir.path().join("rules.db"),
            state_dir: dir.path().join("state"),
            sockets: vec![dir.path().join("edge.sock")],
            wait: PATIENCE,
            environment_key: key.map(|key| KeyHash::of(key.as_bytes())),
            is_local: true,
            configuration: Settings {
                dir: dir.path().join("haproxy"),
                templates: None,
                program: Program::new("haproxy"),
                control: Control::Nobody,
                patience: Patience::default(),
            },
            defaults: Defaults::default(),
            certificates: certificates::Settings {
                directory_url: NO_AUTHORITY.to_owned(),
                ..certificates::Settings::of(dir.path().join("certificates"))
            },
        };
        let app = Arc::new(App::open(services, now_us()).unwrap());
        let server =
            Server::bind("127.0.0.1:0".parse().unwrap(), max_per_client, &dir.path().join("control.sock"))
                .unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let serving = app.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let until = async {
                let _ = stopped.await;
            };
            runtime.block_on(server.serve(serving, until)).unwrap();
        });
        Self { dir, app, address, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on there is a HAProxy, which has every revision there will be.
    pub(crate) fn with_haproxy(self) -> Self {
        answer(&self.socket());
        self
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("edge.sock")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// What is appended to messages without a HAProxy.
    pub(crate) fn not_enforced(&self) -> String {
        let socket = self.socket();
        format!(" (stored, not yet enforced: {}: No such file or directory (os error 2))", socket.display())
    }

    pub(crate) fn add_key(&self, name: &str, role: Role) -> String {
        let key = add_key(&self.app.store, &Caller::command_line(), name, role, now_us()).unwrap();
        key.reveal().to_owned()
    }

    /// The newest changes.
    pub(crate) fn audit(&self, limit: u32) -> Vec<AuditEntry> {
        self.app.store.read(|view| view.audit(&AuditSelection::default(), limit)).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, &["Content-Type: application/json"], body.as_bytes())
    }

    /// [`Manager::send`] over the control socket.
    pub(crate) fn send_as_admin(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = ["Content-Type: application/json"];
        let request = request(self.address, method, path, &headers, body.as_bytes());
        ask(UnixStream::connect(self.control()).unwrap(), &request)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(stream, &request(self.address, method, path, headers, body))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A test that has failed already says why by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A stats socket whose worker has every revision.
pub(crate) fn answer(path: &Path) {
    answer_with(path, |_| None);
}

/// A stats socket whose worker says this to a command, and has every revision.
pub(crate) fn answer_with(path: &Path, say: impl Fn(&str) -> Option<String> + Send + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    let database = path.with_file_name("rules.db");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut command) = (stream.unwrap(), [0; 256]);
            let length = stream.read(&mut command).unwrap_or_default();
            let said = say(str::from_utf8(&command[..length]).unwrap_or_default().trim_end());
            let _ = stream.write_all(said.unwrap_or_else(|| crate::worker::in_force(&database)).as_bytes());
        }
    });
}

pub(crate) fn request(host: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for header in headers {
        request += &format!("{header}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    [request.into_bytes(), body.to_vec()].concat()
}

/// Status, head in lower case, and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Status and body.
    pub(crate) fn said(&self) -> (u16, &str) {
        (self.status, &self.body)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One request on this connection, which the server closes.
pub(crate) fn ask(mut stream: impl Read + Write, request: &[u8]) -> Answer {
    stream.write_all(request).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece).unwrap();
        bytes.extend_from_slice(&piece[..count]);
        // Of events there is no end.
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
        if count == 0 || start.contains("text/event-stream") && start.contains("\r\n\r\n") {
            break;
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.contains("text/event-stream") {
        String::new()
    } else if head.contains("transfer-encoding: chunked") {
        whole(body)
    } else {
        body.to_owned()
    };
    Answer { status, head, body }
}

/// RFC 9112, section 7.1.
fn whole(mut chunks: &str) -> String {
    let mut body = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n").expect("a chunk is missing");
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        body += &rest[..length];
        chunks = &rest[length + 2..];
    }
}
