//! `edge-manager database`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::failure::Failure;
use super::places::Places;
use super::read::Database;
use crate::store::{copy, faults, restore};

/// How these commands end.
pub(super) const EXIT_CODES: &str = "\
Exit status:
  0  done
  1  faults were found: a line each
  4  the database or the copy cannot be used. Nothing has changed";

#[derive(Debug, Subcommand)]
pub(super) enum Databases {
    /// Look for faults: in the file, and in rows that cannot be read. Nothing changes
    Check {
        #[command(flatten)]
        at: Database,
    },
    /// Make a copy, also while `serve` runs; a file of the name is replaced. It is its owner's alone
    Backup {
        /// The file of the copy
        file: PathBuf,
        #[command(flatten)]
        at: Database,
    },
    /// Put a copy in the place of the database, while `serve` does not run. The database that was there stays beside it, as
    /// FILE.before-restore
    Restore {
        /// A file that `backup` or `serve` has made
        file: PathBuf,
        #[command(flatten)]
        places: Box<Places>,
    },
}

impl Databases {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut out = io::stdout().lock();
        match self {
            Self::Check { at } => {
                let faults = faults(&at.database)?;
                for fault in &faults {
                    writeln!(out, "{fault}")?;
                }
                if faults.is_empty() {
                    writeln!(out, "no faults")?;
                }
                Ok(ExitCode::from(u8::from(!faults.is_empty())))
            }
            Self::Backup { file, at } => {
                let bytes = copy(&at.database, &file)?;
                writeln!(out, "{}: {bytes} bytes", file.display())?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Restore { file, places } => {
                let _alone = places.alone()?;
                let before = restore(&places.record.database, &file)?;
                writeln!(out, "{} is in the place of the database", file.display())?;
                if let Some(before) = before {
                    writeln!(out, "the one before is {}", before.display())?;
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
