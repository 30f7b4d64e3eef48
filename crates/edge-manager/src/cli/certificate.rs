//! `edge-manager certificate`. `serve` does all of it: it answers the servers that ask for proofs.

use std::io::{self, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::control;
use super::failure::Failure;
use super::places::Places;
use crate::certificates::{Files, Names};

#[derive(Debug, Subcommand)]
pub(super) enum Certificate {
    /// Get certificates, one for each domain; one that lasts is kept
    Request {
        /// The domains
        #[arg(required = true)]
        domains: Vec<String>,
        /// For www. of each of them too
        #[arg(long)]
        www: bool,
        /// A new one in place of one that lasts
        #[arg(long)]
        force: bool,
        /// ecdsa, rsa, or both side by side; by default as `serve` is set
        #[arg(long, value_name = "TYPE")]
        key_type: Option<String>,
        /// How control is proven: http-01 or dns-01; by default as `serve` is set
        #[arg(long, value_name = "CHALLENGE")]
        challenge: Option<String>,
        #[command(flatten)]
        places: Places,
    },
    /// Renew the certificates that are due
    Renew {
        #[command(flatten)]
        places: Places,
    },
    /// Print when certificates end, a line each
    Status {
        #[command(flatten)]
        places: Places,
    },
    /// Remove a certificate with its keys, which no domain names any more
    Remove {
        /// Its first name
        name: String,
        #[command(flatten)]
        places: Places,
    },
    /// Bring a certificate that was bought
    Upload {
        /// The domain that it is for
        domain: String,
        /// PEM: the domain's own, then who signed it
        #[arg(value_name = "CHAIN")]
        chain: PathBuf,
        /// PEM of its private key
        #[arg(value_name = "KEY")]
        key: PathBuf,
        #[command(flatten)]
        places: Places,
    },
}

/// What `serve` says of each domain.
#[derive(Deserialize)]
struct Results {
    results: Vec<DomainResult>,
}

#[derive(Deserialize)]
struct DomainResult {
    domain: String,
    status: String,
    message: String,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    certificates: Vec<DomainStatus>,
}

#[derive(Deserialize)]
struct DomainStatus {
    domain: String,
    expires: Option<String>,
    days_until_expiry: Option<i64>,
}

impl Certificate {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Request { domains, www, force, key_type, challenge, places } => {
                let body = json!({
                    "domains": domains, "include_www": www, "force_renewal": force, "key_type": key_type,
                    "challenge": challenge,
                });
                request(serving(&places)?, &body)
            }
            Self::Renew { places } => {
                let told: Told =
                    send(serving(&places)?, Method::POST, "/api/certificates/renew", &json!({}))?;
                Ok(say(told.message.as_deref().unwrap_or("done")))
            }
            Self::Status { places } => {
                let status: Status =
                    send(serving(&places)?, Method::GET, "/api/certificates/status", &Value::Null)?;
                let mut out = BufWriter::new(io::stdout().lock());
                for DomainStatus { domain, expires, days_until_expiry } in status.certificates {
                    match (expires, days_until_expiry) {
                        (Some(expires), Some(days)) => writeln!(out, "{domain}: {expires}, {days} days")?,
                        _ => writeln!(out, "{domain}: no certificate can be read")?,
                    }
                }
                out.flush()?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Remove { name, places } => {
                let names = Names::parse(&[&name]);
                let names = names.map_err(|error| Failure::InvalidByServe(error.to_string()))?;
                let path = format!("/api/certificates/{names}");
                let told: Told = send(serving(&places)?, Method::DELETE, &path, &Value::Null)?;
                Ok(say(told.message.as_deref().unwrap_or("removed")))
            }
            Self::Upload { domain, chain, key, places } => {
                let body = json!({"domain": domain, "certificate": read(chain)?, "key": read(key)?});
                let told: Told = send(serving(&places)?, Method::POST, "/api/certificates/upload", &body)?;
                Ok(say(told.message.as_deref().unwrap_or("in force")))
            }
        }
    }
}

fn request(stream: UnixStream, body: &Value) -> Result<ExitCode, Failure> {
    let text = body.to_string().into_bytes();
    let path = "/api/certificates/request";
    let (status, body) = control::exchange(stream, path, text)?;
    // The same form whether all, some or none of them have one.
    let Ok(Results { results }) = serde_json::from_slice(&body) else {
        let told: Told = serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.into()))?;
        let message = told.message.unwrap_or_default();
        return Err(match status {
            StatusCode::BAD_REQUEST => Failure::InvalidByServe(message),
            _ => Failure::NoAnswer(io::Error::other(message)),
        });
    };
    let mut out = io::stdout().lock();
    for DomainResult { domain, status, message } in results {
        // What was done counts, whether or not anybody reads of it.
        let _ = match &*status {
            "success" => writeln!(out, "{domain}: {message}"),
            _ => writeln!(io::stderr(), "edge-manager: {domain}: {message}"),
        };
    }
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn send<T: serde::de::DeserializeOwned>(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<T, Failure> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    control::send(stream, method, path, "application/json", body)
}

fn serving(places: &Places) -> Result<UnixStream, Failure> {
    let control = places.control();
    let none =
        || Failure::Control(control.clone(), io::Error::other("it does not run, and gets certificates"));
    control::connect(&control)?.ok_or_else(none)
}

fn read(path: PathBuf) -> Result<String, Failure> {
    Files::read(&path).map_err(|error| Failure::File { path, why: error.to_string() })
}

fn say(words: &str) -> ExitCode {
    let _ = writeln!(io::stdout().lock(), "{words}");
    ExitCode::SUCCESS
}
