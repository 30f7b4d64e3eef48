//! A directory with a configuration, and HAProxy on it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use edge_manager::configuration::{Configuration, Patience, PublishError, Published, Settings};
use edge_manager::haproxy::{Control, Launch, Master, Pace, Program, State, Supervisor};
use edge_manager::site::{Site, SiteInput};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use serde_json::{Value, json};

use crate::client::{eventually, get};
use crate::programs::Series;

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

/// A server that answers 200 to everything. Its thread ends with the test's process.
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
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            });
        }
    });
    port
}

pub(crate) struct Home {
    directory: tempfile::TempDir,
    web: Port,
    stats: Port,
    origin: u16,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("templates")).unwrap();
        Self { directory, web: Port::reserve(), stats: Port::reserve(), origin: origin() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of the sets.
    pub(crate) fn sets(&self) -> PathBuf {
        self.path("haproxy")
    }

    pub(crate) fn web(&self) -> SocketAddr {
        self.web.address
    }

    /// A site whose page for unknown domains has this title, as a client would send it.
    pub(crate) fn json(&self, title: &str) -> Value {
        json!({
            "global": {
                "http_bind": [self.web.address.to_string()],
                "stats_bind": self.stats.address.to_string(),
                "log": "stderr",
                "page": {"title": title},
            },
            "domains": [{"domain": "www.example.com", "backend_name": "web"}],
            "backends": [
                {"name": "web", "servers": [{"name": "one", "address": "127.0.0.1", "port": self.origin}]}
            ],
        })
    }

    pub(crate) fn site(&self, title: &str) -> Site {
        site(self.json(title))
    }

    /// With this template of the operator's.
    pub(crate) fn template(&self, name: &str, text: &str) {
        fs::write(self.path("templates").join(name), text).unwrap();
    }

    /// The built-in `global.cfg.j2` with these lines at its end.
    pub(crate) fn global_template(&self, lines: &str) {
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/global.cfg.j2");
        self.template("global.cfg.j2", &format!("{}{lines}\n", fs::read_to_string(built_in).unwrap()));
    }

    pub(crate) fn without_templates(&self) {
        for entry in fs::read_dir(self.path("templates")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    pub(crate) fn open(&self, program: Program, control: Control) -> Result<Configuration, PublishError> {
        Configuration::open(Settings {
            dir: self.sets(),
            templates: Some(self.path("templates")),
            program,
            control,
            patience: Patience { turn: Duration::from_secs(60), ..Patience::default() },
        })
    }

    pub(crate) fn launch(&self, program: Program) -> Launch {
        fs::create_dir_all(self.sets()).unwrap();
        Launch {
            program,
            configuration: self.sets().join("current/haproxy.cfg"),
            socket: self.sets().join("master.sock"),
            pace: Pace { first: Duration::from_millis(50), ..Pace::default() },
            grace: Duration::from_millis(500),
            hang_limit: Duration::from_secs(30),
        }
    }

    pub(crate) fn master(&self) -> Master {
        Master::at(self.sets().join("master.sock"))
    }

    /// HAProxy under a supervisor, which has no configuration yet.
    pub(crate) fn supervised(&self, series: &Series) -> Supervised<'_> {
        let supervisor = Arc::new(Supervisor::start(self.launch(series.program())).unwrap());
        let control = Control::Supervised(Arc::clone(&supervisor));
        Supervised { home: self, configuration: self.open(series.program(), control).unwrap(), supervisor }
    }

    /// The title of the page for unknown domains, which tells the set that serves.
    pub(crate) fn title(&self) -> std::io::Result<String> {
        let page = get(self.web(), "unknown.example")?;
        let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        Ok(title.unwrap_or_default().0.to_owned())
    }

    /// Every file below the directory of the sets with its contents, links with where they lead, in place of contents; not
    /// what is there for the processes.
    pub(crate) fn listing(&self) -> BTreeMap<PathBuf, String> {
        fn list(dir: &Path, found: &mut BTreeMap<PathBuf, String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    found.insert(path.clone(), fs::read_link(&path).unwrap().display().to_string());
                } else if path.is_dir() {
                    found.insert(path.clone(), String::new());
                    list(&path, found);
                } else if !["master.sock", "number"].iter().any(|name| path.ends_with(name)) {
                    found.insert(path.clone(), fs::read_to_string(&path).unwrap());
                }
            }
        }
        let mut found = BTreeMap::new();
        list(&self.sets(), &mut found);
        found
    }
}

/// HAProxy, run by us.
pub(crate) struct Supervised<'a> {
    home: &'a Home,
    pub(crate) configuration: Configuration,
    pub(crate) supervisor: Arc<Supervisor>,
}

impl Supervised<'_> {
    pub(crate) fn publish(&self, title: &str) -> Result<Published, PublishError> {
        self.configuration.publish(&self.home.site(title), "test")
    }

    pub(crate) fn master_pid(&self) -> u32 {
        eventually("a master", || match self.supervisor.status().state {
            State::Running { master_pid, .. } => Some(master_pid),
            _ => None,
        })
    }
}

/// Where a test fails too.
impl Drop for Supervised<'_> {
    fn drop(&mut self) {
        self.supervisor.stop();
    }
}

pub(crate) fn site(json: Value) -> Site {
    Site::parse(&serde_json::from_value::<SiteInput>(json).unwrap()).unwrap()
}

/// A program in place of HAProxy 2.6 that does this when it is asked to check.
pub(crate) fn stand_in(dir: &Path, check: &str) -> Program {
    let path = dir.join("stand-in");
    let script =
        format!("#!/bin/sh\ncase $1 in -v) echo 'HAProxy version 2.6.12 2026/01/01';; *) {check};; esac\n");
    // The one before may be starting this moment, for a child that was killed: it cannot be written to then.
    let new = path.with_extension("new");
    fs::write(&new, script).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, &path).unwrap();
    Program::new(path)
}

/// Whether somebody listens there.
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}
