//! Commands on the configuration of HAProxy.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Serialize;
use serde_json::json;

use super::change::exit_code;
use super::failure::Failure;
use super::read::write_json;
use super::site::read_json;
use super::taker::{Takes, Taking, send};
use crate::access::Caller;
use crate::clock::{now_us, rfc3339};
use crate::configuration::{Configuration, Manifest, Past, Patience, Settings};
use crate::haproxy::{Control, Launch, Master, Pace, Program};
use crate::json::PublishedJson;
use crate::site::{Site, SiteInput};

/// How long connections may go on when HAProxy is stopped with the manager.
const GRACE: Duration = Duration::from_secs(20);

/// Where HAProxy's files are, and who checks and runs them.
#[derive(Debug, Args)]
#[group(id = "configuration")]
pub(super) struct Places {
    /// The directory of the configurations; HAProxy is started with -f DIR/current/haproxy.cfg
    #[arg(
        long,
        env = "EDGE_CONFIG_DIR",
        value_name = "DIR",
        default_value = "/var/lib/edge-manager/haproxy"
    )]
    config_dir: PathBuf,
    /// Your own templates, in the place of those built in or beside them
    #[arg(long, env = "EDGE_TEMPLATE_DIR", value_name = "DIR")]
    templates: Option<PathBuf>,
    /// The program
    #[arg(long, env = "EDGE_HAPROXY", value_name = "PATH", default_value = "haproxy")]
    haproxy: PathBuf,
    /// Where HAProxy's master process listens; master.sock of the directory if none is named
    #[arg(long, env = "EDGE_MASTER_SOCKET", value_name = "PATH")]
    master_socket: Option<PathBuf>,
    /// How long a HAProxy that is supervised may not answer before it is killed and started again, such as 30s; 0s: for ever
    #[arg(
        long,
        env = "EDGE_HANG_LIMIT",
        value_name = "TIME",
        default_value = "30s",
        value_parser = humantime::parse_duration
    )]
    hang_limit: Duration,
}

impl Places {
    pub(super) fn open(&self) -> Result<Configuration, Failure> {
        Ok(Configuration::open(self.settings(Control::Attached(Master::at(self.socket()))))?)
    }

    /// Where the master listens.
    fn socket(&self) -> PathBuf {
        self.master_socket.clone().unwrap_or_else(|| self.config_dir.join("master.sock"))
    }

    /// How HAProxy is started.
    pub(super) fn launch(&self) -> Launch {
        Launch {
            program: Program::new(&self.haproxy),
            configuration: self.config_dir.join("current/haproxy.cfg"),
            socket: self.socket(),
            pace: Pace::default(),
            grace: GRACE,
            hang_limit: self.hang_limit,
        }
    }

    /// With this one to have a say in HAProxy.
    pub(super) fn settings(&self, control: Control) -> Settings {
        Settings {
            dir: self.config_dir.clone(),
            templates: self.templates.clone(),
            program: Program::new(&self.haproxy),
            control,
            patience: Patience::default(),
        }
    }

    /// The HAProxy that somebody else runs, if one is named.
    pub(super) fn attached(&self) -> Option<Control> {
        self.master_socket.as_ref().map(|socket| Control::Attached(Master::at(socket)))
    }
}

/// Domains, backends and servers.
#[derive(Debug, Args)]
struct SiteFile {
    /// JSON of domains, backends, servers and what holds for all of them
    #[arg(long, value_name = "FILE")]
    site: PathBuf,
}

impl SiteFile {
    fn read(self) -> Result<Site, Failure> {
        let input: SiteInput = read_json(self.site)?;
        Ok(Site::parse(&input)?)
    }
}

#[derive(Debug, Args)]
pub(super) struct Render {
    #[command(flatten)]
    site: SiteFile,
    /// A directory that is not there yet; without it they are printed
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

impl Render {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let files = crate::configuration::render(
            &self.site.read()?,
            self.places.templates.as_deref(),
            &Program::new(&self.places.haproxy),
        )?;
        let Some(to) = self.to else {
            let mut out = BufWriter::new(io::stdout().lock());
            for (path, contents) in files.files() {
                write!(out, "==> {path} <==\n{contents}\n")?;
            }
            out.flush()?;
            return Ok(ExitCode::SUCCESS);
        };
        let failure = |error: io::Error| Failure::File { path: to.clone(), why: error.to_string() };
        fs::create_dir(&to).map_err(failure)?;
        for (path, contents) in files.files() {
            let path = to.join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failure)?;
            fs::write(path, contents).map_err(failure)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    site: SiteFile,
    #[command(flatten)]
    takes: Takes,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let diff = self.takes.preview(&read_json(self.site.site)?)?;
        io::stdout().lock().write_all(diff.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(super) struct Reload {
    /// JSON of domains, backends, servers and what holds for all of them, which the record has from then on; without it HAProxy
    /// reads what is in place again
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,
    #[command(flatten)]
    outcome: Outcome,
    #[command(flatten)]
    takes: Takes,
}

impl Reload {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let published = match self.site {
            Some(path) => self.takes.put_site(read_json(path)?)?,
            None => match self.takes.open()? {
                Taking::Serve(stream) => send(stream, Method::POST, "/api/configuration/reload", &json!({}))?,
                Taking::Own(own) => own.1.reload(&Caller::command_line(), now_us())?.into(),
            },
        };
        self.outcome.tell(&published)
    }
}

/// How a publication is told.
#[derive(Debug, Args)]
struct Outcome {
    /// As one line of JSON
    #[arg(long)]
    json: bool,
}

impl Outcome {
    fn tell(&self, published: &PublishedJson) -> Result<ExitCode, Failure> {
        let PublishedJson { stored, set, is_changed } = published;
        let mut out = io::stdout().lock();
        // What was done counts, whether or not anybody reads of it.
        let _ = if self.json {
            write_json(&mut out, published)
        } else {
            let unchanged = if *is_changed { "" } else { ", unchanged" };
            writeln!(out, "set {set}{unchanged}: {stored}")
        };
        Ok(exit_code(stored))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Configurations {
    /// The sets that are kept, newest first
    List(List),
    /// What changes from one set to another
    Diff(Diff),
    /// Publish an earlier set once more; the record stays as it is
    RollBack(RollBack),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// Its number
    from: u64,
    /// Its number
    to: u64,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Args)]
pub(super) struct RollBack {
    /// Its number
    set: u64,
    #[command(flatten)]
    outcome: Outcome,
    #[command(flatten)]
    takes: Takes,
}

#[derive(Serialize)]
struct PastJson<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    is_current: bool,
    is_good: bool,
}

impl Configurations {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Diff(diff) => {
                let text = diff.places.open()?.diff(diff.from, diff.to)?;
                io::stdout().lock().write_all(text.as_bytes())?;
                Ok(ExitCode::SUCCESS)
            }
            Self::RollBack(back) => {
                let published = match back.takes.open()? {
                    Taking::Serve(stream) => {
                        let body = json!({"set": back.set});
                        send(stream, Method::POST, "/api/configuration/rollback", &body)?
                    }
                    Taking::Own(own) => own.1.roll_back(&Caller::command_line(), back.set, now_us())?.into(),
                };
                back.outcome.tell(&published)
            }
        }
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let mut out = BufWriter::new(io::stdout().lock());
        for Past { manifest, is_current, is_good } in self.places.open()?.history()? {
            if self.json {
                write_json(&mut out, &PastJson { manifest: &manifest, is_current, is_good })?;
                continue;
            }
            let made_at = rfc3339(manifest.made_at_s);
            let repeats = manifest.repeats.map(|set| format!(", set {set} again")).unwrap_or_default();
            let is = [(is_current, ", current"), (is_good, ", good")];
            let is: String = is.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
            writeln!(out, "set {}: {made_at}, {}{repeats}{is}", manifest.set, manifest.made_by)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
