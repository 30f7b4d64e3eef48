//! `edge-demo`: the manager and HAProxy with Edge Filter before a small backend, to try out and to show.
#![allow(clippy::print_stdout, reason = "it talks to whoever started it")]

mod managed;
mod run;
mod stage;
mod walk;

use std::process::ExitCode;

const USAGE: &str = "\
usage: edge-demo run                                        start the manager, HAProxy and the backend, until Ctrl-C
       edge-demo walk                                       go through what the filter does, and check it
       edge-demo backend [--listen ADDR:PORT] [--ttl N]     the backend alone (127.0.0.1:8081, 30 seconds)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["run"] => run::run(),
        ["walk"] => walk::walk(),
        ["backend", options @ ..] => run::Options::read(options).and_then(|options| run::backend(&options)),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
