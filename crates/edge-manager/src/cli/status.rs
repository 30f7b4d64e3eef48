//! Whether all is well.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::control;
use super::failure::Failure;
use super::places::Places;

/// What `/health` says, as far as it matters here.
#[derive(Deserialize)]
struct Health {
    status: String,
    haproxy_status: String,
    database: String,
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// As one line of JSON, as GET /health answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

impl Status {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let socket = self.places.control();
        let Some(stream) = control::connect(&socket)? else { return Err(Failure::NotServing(socket)) };
        let body = control::get(stream, "/health")?;
        let health: Health =
            serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.into()))?;
        let mut out = io::stdout().lock();
        if self.json {
            out.write_all(&body)?;
            writeln!(out)?;
        } else {
            let Health { status, haproxy_status, database, .. } = &health;
            writeln!(out, "{status}: HAProxy {haproxy_status}, database {database}")?;
            for reason in health.reason.iter().flat_map(|reason| reason.split("; ")) {
                writeln!(out, "  {reason}")?;
            }
        }
        Ok(if health.reason.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
