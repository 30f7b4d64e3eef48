//! `edge-manager key`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::failure::Failure;
use super::read::{Database, write_json};
use crate::access::{Caller, Role, add_key, remove_key};
use crate::clock::{now_us, rfc3339};
use crate::store::{KeyRow, Readers, Store, StoreError};

/// Keys take effect, and end, at once, whether or not `serve` runs.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key, and print it: this is the only time that it is seen
    Add(Add),
    /// Print the names of the keys, a line each, in the order in which they were made
    List(ListKeys),
    /// Remove a key, which is refused from then on
    Remove(Remove),
}

impl Key {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Add(add) => add.run(),
            Self::List(list) => list.run(),
            Self::Remove(remove) => remove.run(),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Whose it is: logs and the audit have it
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is good for: read, operator (changes rules) or admin (everything)
    #[arg(long, value_name = "ROLE")]
    role: Role,
    #[command(flatten)]
    at: Database,
}

impl Add {
    fn run(self) -> Result<ExitCode, Failure> {
        let store = Store::open(&self.at.database)?;
        let key = add_key(&store, &Caller::command_line(), &self.name, self.role, now_us())?;
        writeln!(io::stdout().lock(), "{}", key.reveal())?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(super) struct ListKeys {
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Database,
}

/// A key, without what nobody has.
#[derive(Serialize)]
struct KeyJson<'a> {
    name: &'a str,
    role: &'static str,
    created_at_s: u32,
}

impl ListKeys {
    fn run(self) -> Result<ExitCode, Failure> {
        let keys = Readers::open(&self.at.database)?.read(|view| view.keys().map_err(Failure::from))?;
        let mut out = BufWriter::new(io::stdout().lock());
        for KeyRow { name, role, created_at_s, .. } in &keys {
            if self.json {
                write_json(&mut out, &KeyJson { name, role: role.name(), created_at_s: *created_at_s })?;
            } else {
                writeln!(out, "{name}: {role}, made {}", rfc3339(*created_at_s))?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    at: Database,
}

impl Remove {
    fn run(self) -> Result<ExitCode, Failure> {
        // It would make one.
        if !self.at.database.exists() {
            return Err(StoreError::Missing(self.at.database).into());
        }
        remove_key(&Store::open(&self.at.database)?, &Caller::command_line(), &self.name, now_us())?;
        Ok(ExitCode::SUCCESS)
    }
}
