//! `edge-manager journal`.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use edge_journal::StateDir;

use crate::journal::{Soundness, dump, verify};

const EXIT_CODES: &str = "\
Exit status:
  0  all files are sound; a record that a writer has not finished is no damage
  1  a file is damaged, or one that another names or goes on from is missing
  2  wrong arguments, or something cannot be read: no such directory, none of its files in it, no permission, a
     foreign file, a newer format";

#[derive(Debug, Subcommand)]
pub(super) enum Journal {
    /// Read every file to its end and print one line for each
    ///
    /// A line has the file, its kind, the version of its format, its revision, the number of its records and rules, its
    /// length, of a worker's journal whether the worker lives, and what is wrong with it, if anything, with the
    /// place.
    #[command(after_help = EXIT_CODES)]
    Verify(Directory),
    /// Print every record as a line of JSON
    ///
    /// Rules of a snapshot or a list file have a line each. What cannot be read goes to standard error, and the next
    /// file follows.
    #[command(after_help = EXIT_CODES)]
    Dump(Directory),
}

#[derive(Debug, Args)]
pub(super) struct Directory {
    /// The state directory, EDGE_STATE_DIR of haproxy.cfg
    #[arg(value_name = "DIR")]
    path: PathBuf,
}

impl Journal {
    pub(super) fn run(self) -> ExitCode {
        let (path, inspect): (_, Inspect) = match self {
            Self::Verify(directory) => (directory.path, verify),
            Self::Dump(directory) => (directory.path, dump),
        };
        inspected(&path, inspect)
    }
}

/// A directory that is not there may come later for a worker, but not for whoever asks now.
fn opened(path: &Path) -> io::Result<StateDir> {
    let dir = StateDir::open(path)?;
    dir.reopen()?;
    Ok(dir)
}

type Inspect = fn(&StateDir, &mut dyn Write, &mut dyn Write) -> io::Result<Soundness>;

fn inspected(path: &Path, inspect: Inspect) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = opened(path)
        .and_then(|dir| inspect(&dir, &mut out, &mut io::stderr()))
        .and_then(|soundness| out.flush().map(|()| soundness));
    match done {
        Ok(soundness) => ExitCode::from(soundness as u8),
        // Whoever read this has seen enough, as head(1) does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if this fails too.
            let _ = writeln!(io::stderr(), "edge-manager: {}: {error}", path.display());
            ExitCode::from(Soundness::Unreadable as u8)
        }
    }
}
