//! `edge-manager domain` and `site`.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use hyper::Method;
use serde::de::DeserializeOwned;

use super::change::exit_code;
use super::failure::Failure;
use super::read::{Database, write_json};
use super::taker::{Takes, Taking, send};
use crate::access::Caller;
use crate::api::DomainPublished;
use crate::clock::now_us;
use crate::json::PublishedJson;
use crate::site::{ServerInput, SiteInput, Text};
use crate::sites::NewDomain;
use crate::store::{Readers, StoreError};

/// Longest file, bytes.
const MAX_FILE_BYTES: u64 = 32 << 20;

const EXIT_CODES: &str = "\
Exit status:
  0  done: HAProxy runs it
  1  refused by HAProxy, or not there: nothing has changed
  2  wrong arguments, or a value that cannot be taken: nothing has changed
  3  stored, but HAProxy does not run it yet: the line says why
  4  the record or a directory cannot be used. Nothing has changed";

#[derive(Debug, Subcommand)]
pub(super) enum Domain {
    /// Serve a domain, or replace its backend and servers
    #[command(after_help = EXIT_CODES)]
    Add {
        /// Its name, *. before it for every name below
        domain: String,
        /// The backend, made if need be
        backend: String,
        /// A server of the backend, NAME=ADDRESS:PORT, and behind a comma words such as check; all of them, if any is named
        #[arg(long = "server", value_name = "SERVER", value_parser = server)]
        servers: Vec<ServerInput>,
        /// A template of yours for the backend
        #[arg(long, value_name = "NAME")]
        template: Option<String>,
        #[command(flatten)]
        takes: Takes,
    },
    /// Serve a domain no longer
    #[command(after_help = EXIT_CODES)]
    Remove {
        /// Its name
        domain: String,
        #[command(flatten)]
        takes: Takes,
    },
    /// Print the domains, a line each
    List {
        #[command(flatten)]
        at: Database,
    },
}

impl Domain {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let caller = Caller::command_line();
        match self {
            Self::Add { domain, backend, servers, template, takes } => {
                let new = NewDomain {
                    domain: domain.into(),
                    backend_name: backend.into(),
                    template_override: template.map(Text::from),
                    servers: (!servers.is_empty()).then_some(servers),
                    ..NewDomain::default()
                };
                let DomainPublished { published, domain_id } = match takes.open()? {
                    Taking::Serve(stream) => send(stream, Method::PUT, "/api/domains", &new)?,
                    Taking::Own(own) => own.1.put_domain(&caller, new, now_us())?.into(),
                };
                Ok(tell(&format!("domain {domain_id}"), &published))
            }
            Self::Remove { domain, takes } => {
                let published = match takes.open()? {
                    Taking::Serve(stream) => {
                        let body = serde_json::json!({"domain": domain});
                        send(stream, Method::DELETE, "/api/domains", &body)?
                    }
                    Taking::Own(own) => {
                        own.1.remove_domain(&caller, &domain.into(), Some(false), now_us())?.published.into()
                    }
                };
                Ok(tell("removed", &published))
            }
            Self::List { at } => {
                let domains = Readers::open(&at.database)?.read::<_, StoreError>(|view| view.domains())?;
                let mut out = BufWriter::new(io::stdout().lock());
                for recorded in domains {
                    let domain = recorded.domain;
                    writeln!(
                        out,
                        "domain {}: {}, backend {}",
                        recorded.id, domain.domain, domain.backend_name
                    )?;
                }
                out.flush()?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Site {
    /// Print everything that haproxy.cfg is made of, as one line of JSON
    Show {
        #[command(flatten)]
        at: Database,
    },
    /// Replace everything that haproxy.cfg is made of
    #[command(after_help = EXIT_CODES)]
    Apply {
        /// JSON as `site show` prints it
        file: PathBuf,
        /// Print what would change in the files, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        takes: Box<Takes>,
    },
}

impl Site {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show { at } => {
                let site = Readers::open(&at.database)?.read::<_, StoreError>(|view| view.site())?;
                let mut out = BufWriter::new(io::stdout().lock());
                write_json(&mut out, &site.unwrap_or_default().input)?;
                out.flush()?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Apply { file, dry_run, takes } => {
                let input: SiteInput = read_json(file)?;
                if !dry_run {
                    return Ok(tell("replaced", &takes.put_site(input)?));
                }
                io::stdout().lock().write_all(takes.preview(&input)?.as_bytes())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// What was done counts, whether or not anybody reads of it.
fn tell(what: &str, PublishedJson { stored, set, .. }: &PublishedJson) -> ExitCode {
    let as_set = if stored.is_in_force() { format!(" as set {set}") } else { String::new() };
    let _ = writeln!(io::stdout().lock(), "{what}: {stored}{as_set}");
    exit_code(stored)
}

/// A file of JSON.
pub(super) fn read_json<T: DeserializeOwned>(path: PathBuf) -> Result<T, Failure> {
    let read = |path: &Path| {
        let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if length > MAX_FILE_BYTES {
            return Err(format!("longer than {MAX_FILE_BYTES} bytes"));
        }
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    read(&path).map_err(|why| Failure::File { path, why })
}

/// `web1=192.0.2.1:80,check inter 5s`.
fn server(text: &str) -> Result<ServerInput, &'static str> {
    let (head, options) = text.split_once(',').unwrap_or((text, ""));
    let wanted = "NAME=ADDRESS:PORT is wanted, and behind a comma the words of HAProxy's server line";
    let (name, place) = head.split_once('=').ok_or(wanted)?;
    let (address, port) = place.rsplit_once(':').ok_or(wanted)?;
    let options = (!options.is_empty()).then(|| options.into());
    Ok(ServerInput { name: name.into(), address: address.into(), port: port.into(), options })
}
