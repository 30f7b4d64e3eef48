//! The command line of Edge Filter's companion.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use edge_manager::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
