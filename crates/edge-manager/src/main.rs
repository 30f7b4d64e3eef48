//! The command line of Edge Filter's companion.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use edge_manager::cli::Cli;
use rustix::fs::Mode;
use rustix::process::umask;

/// What nobody but the owner and the group needs: a container may start it with 000.
const FOR_OTHERS: u32 = 0o027;

fn main() -> ExitCode {
    // Before there are threads, which all have it; HAProxy inherits it.
    let before = umask(Mode::from_raw_mode(FOR_OTHERS));
    umask(before | Mode::from_raw_mode(FOR_OTHERS));
    Cli::read().run()
}
