//! Runs a command beside a manager that has a record of its own, and ends as the command does:
//! `edge-beside alone COMMAND ...` beside one without a HAProxy, `edge-beside supervised COMMAND ...` beside one that has
//! started HAProxy. The command finds the API by `API_URL`, and an admin's key in `API_KEY`. A manager that ends meanwhile, or
//! a HAProxy that does not serve at the end, is a failure too.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::process::{Command, ExitCode};

use edge_e2e::ManagerServer;

/// Lines of the log that are shown after a failure.
const SHOWN_LINES: usize = 20;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let usage = "usage: edge-beside alone|supervised COMMAND ...";
    let mut arguments = env::args_os().skip(1);
    let (mode, program) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let key = key()?;
    let builder = ManagerServer::beside(&env::current_exe()?).key(&key);
    let is_supervised = mode == "supervised";
    let builder = match mode.to_str() {
        Some("supervised") => builder.supervising(),
        // Nobody is there to be waited for.
        Some("alone") => builder.argument("--wait").argument("1ms"),
        _ => return Err(usage.into()),
    };
    let mut manager = builder.start();
    let mut command = Command::new(program);
    command.args(arguments).env("API_URL", format!("http://{}", manager.addr())).env("API_KEY", key);
    let status = command.status()?;
    let fault = if let Some(ended) = manager.ended()? {
        Some(format!("edge-manager has ended meanwhile: {ended}"))
    } else if is_supervised {
        let health = manager.api().get("/health");
        (health.status != 200).then(|| format!("HAProxy does not serve any more: {}", health.body))
    } else {
        None
    };
    if status.success() && fault.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let log = manager.log();
    let lines: Vec<&str> = log.lines().collect();
    eprintln!("{}", lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"));
    if let Some(fault) = fault {
        eprintln!("edge-beside: {fault}");
    }
    Ok(ExitCode::FAILURE)
}

/// 128 bits that nobody guesses.
fn key() -> Result<String, Box<dyn Error>> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
