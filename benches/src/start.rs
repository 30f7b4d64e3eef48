//! Starts of HAProxy with the same addresses in different places.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use edge_e2e::{Launch, Port, Request, module_dir};
use edge_filter::ClientNet;
use edge_journal::RulesWriter;
use tempfile::TempDir;

use crate::lists::List;
use crate::processes::cost_of_group;
use crate::rules::{LIST, NOW_S, block_all};

const PAUSE: Duration = Duration::from_millis(1);
const DEADLINE: Duration = Duration::from_secs(60);
const NOW_US: u64 = NOW_S as u64 * 1_000_000;

/// An address of the network that documents are written with; no list has it.
const UNLISTED: &str = "192.0.2.1";

/// Where the addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere, and HAProxy runs without the module.
    Nowhere,
    /// In a list file of HAProxy's own: `src -f`.
    OwnList,
    /// In a map file of HAProxy's own: `src,map_ip`.
    OwnMap,
    /// Nowhere, with the module loaded.
    EmptyModule,
    /// In a list file of the module: `EDGE_BLOCK_FILES`.
    ListFile,
    /// In the snapshot of a state directory: `EDGE_STATE_DIR`.
    Snapshot,
}

impl Place {
    /// All, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::Nowhere, Self::OwnList, Self::OwnMap, Self::EmptyModule, Self::ListFile, Self::Snapshot];

    /// What the figures are printed under.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "HAProxy, no list",
            Self::OwnList => "HAProxy's list, src -f",
            Self::OwnMap => "HAProxy's map, map_ip",
            Self::EmptyModule => "module, no list",
            Self::ListFile => "module, list file",
            Self::Snapshot => "module, snapshot",
        }
    }

    const fn is_empty(self) -> bool {
        matches!(self, Self::Nowhere | Self::EmptyModule)
    }
}

/// What one start took.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// From starting the program to its first answer.
    pub wall: Duration,
    /// Time on a processor until then, of master and worker.
    pub cpu: Duration,
    /// The most memory that one process had until then, bytes.
    pub peak_bytes: u64,
}

/// The same addresses in every place, and the configurations that read them.
pub struct Field {
    dir: TempDir,
    listed: String,
}

impl Field {
    /// Writes the files of `list`.
    ///
    /// # Errors
    /// The directory for temporary files does not take them.
    pub fn lay_out(list: &List) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("edge-bench.").tempdir()?;
        let field = Self { dir, listed: host_of(list.nets[list.nets.len() / 2]) };
        let mut lines = io::BufWriter::new(fs::File::create(field.file("clients.lst"))?);
        let mut pairs = io::BufWriter::new(fs::File::create(field.file("clients.map"))?);
        for net in &list.nets {
            writeln!(lines, "{net}")?;
            writeln!(pairs, "{net} 1")?;
        }
        lines.flush()?;
        pairs.flush()?;
        let rules = block_all(&list.nets);
        RulesWriter::open(&field.file("state"), NOW_US)
            .and_then(|mut writer| writer.rotate(rules, &[LIST.into()], 0, NOW_US))
            .map_err(io::Error::other)?;
        Ok(field)
    }

    /// Starts HAProxy once, and ends it as soon as it has answered.
    ///
    /// # Panics
    /// HAProxy does not start, or passes a listed address, or refuses another: then the figures would be of
    /// something else.
    pub fn start(&self, place: Place, master_worker: bool) -> Start {
        let port = Port::reserve().expect("a port");
        let launch = self.launch(place, master_worker, port.addr()).expect("a configuration");
        let started = Instant::now();
        let haproxy = launch.start().unwrap_or_else(|failure| panic!("no start: {}", failure.log));
        let ask = |client: &str| Request::get("/").forwarded_for(client).send(port.addr());
        let first = loop {
            match ask(&self.listed) {
                Ok(answer) => break answer.status,
                Err(e) => assert!(started.elapsed() < DEADLINE, "no answer: {e}"),
            }
            thread::sleep(PAUSE);
        };
        let wall = started.elapsed();
        let cost = cost_of_group(haproxy.first_pid());
        assert_eq!(first, if place.is_empty() { 200 } else { 403 }, "{}: {}", place.name(), self.listed);
        assert_eq!(ask(UNLISTED).expect("an answer").status, 200, "{}: {UNLISTED}", place.name());
        Start { wall, cpu: cost.cpu, peak_bytes: cost.peak_bytes }
    }

    fn launch(&self, place: Place, master_worker: bool, addr: SocketAddr) -> io::Result<Launch> {
        let config = self.file("haproxy.cfg");
        fs::write(&config, self.config(place, addr))?;
        Ok(Launch {
            config,
            env: vec![("FILTER_DIR".to_owned(), OsString::from(module_dir()))],
            under: Vec::new(),
            master_worker,
            listeners: vec![addr],
            stats_socket: None,
            output_dir: Some(self.dir.path().to_owned()),
        })
    }

    fn config(&self, place: Place, addr: SocketAddr) -> String {
        let (lines, pairs) = (self.file("clients.lst"), self.file("clients.map"));
        let module = "  lua-prepend-path \"${FILTER_DIR}/?.so\" cpath\n  \
                      lua-load-per-thread \"${FILTER_DIR}/edge_filter.lua\"\n";
        let ours = |setting: &str, file: PathBuf| {
            (
                format!("  setenv {setting} {}\n{module}", file.display()),
                "src,lua.edge_ip -m int gt 1".to_owned(),
            )
        };
        let (global, refuse) = match place {
            Place::Nowhere => (String::new(), String::new()),
            Place::OwnList => (String::new(), format!("src -f {}", lines.display())),
            Place::OwnMap => (String::new(), format!("src,map_ip({}) -m found", pairs.display())),
            Place::EmptyModule => (module.to_owned(), "src,lua.edge_ip -m int gt 1".to_owned()),
            Place::ListFile => ours("EDGE_BLOCK_FILES", lines),
            Place::Snapshot => ours("EDGE_STATE_DIR", self.file("state")),
        };
        let refuse =
            if refuse.is_empty() { refuse } else { format!("  http-request deny if {{ {refuse} }}\n") };
        format!(
            "global\n  nbthread 2\n  maxconn 100\n{global}\
             defaults\n  mode http\n  timeout client 10s\n  timeout connect 10s\n  timeout server 10s\n\
             frontend web\n  bind {addr}\n  http-request set-src hdr_ip(X-Forwarded-For)\n{refuse}  \
             http-request return status 200\n"
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// The first address of a network.
fn host_of(net: ClientNet) -> String {
    let text = net.to_string();
    text.split_once('/').map_or(text.as_str(), |(addr, _)| addr).to_owned()
}
