//! `edge-manager audit`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::read::{Database, write_json};
use crate::clock::{rfc3339, seconds, time_s};
use crate::json::AuditJson;
use crate::store::{AuditEntry, AuditSelection, Readers, StoreError};

/// Changes that are read at once: however many there are, they need no more memory.
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Only changes made with the key of this name; CLI, or CLI: and the user, for the command line, manager for the manager itself
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only this operation, such as rules.put
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Only changes at this time or later, in UTC, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time_s)]
    since: Option<u64>,
    /// Only changes before this time
    #[arg(long, value_name = "TIME", value_parser = time_s)]
    until: Option<u64>,
    /// Only changes with a lesser number: where the page before ended
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Database,
}

impl Audit {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let micros = |at_s: u64| at_s.saturating_mul(1_000_000);
        let mut selection = AuditSelection {
            caller: self.who,
            operation: self.action,
            since_us: self.since.map(micros),
            until_us: self.until.map(micros),
            after: self.after,
        };
        let mut left = self.limit.unwrap_or(u32::MAX);
        let readers = Readers::open(&self.at.database)?;
        let mut out = BufWriter::new(io::stdout().lock());
        while left > 0 {
            let limit = left.min(PAGE);
            let page = readers.read::<_, StoreError>(|view| view.audit(&selection, limit))?;
            selection.after = page.last().map(|last| last.id);
            let count = u32::try_from(page.len()).unwrap_or(limit);
            for entry in page {
                if self.json {
                    write_json(&mut out, &AuditJson::from(entry))?;
                } else {
                    writeln!(out, "{}", line(&entry))?;
                }
            }
            left = if count < limit { 0 } else { left - count };
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn line(entry: &AuditEntry) -> String {
    let AuditEntry { id, at_us, caller, role, from, operation, target, result, duration_us } = entry;
    let at = rfc3339(seconds(*at_us));
    let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let took_ms = duration_us.div_ceil(1000);
    format!("change {id}: {at}, {caller} ({role}){from}: {operation} {target}: {result}, {took_ms} ms")
}
