//! Instruction counts of what requests wait for, held against `counts.csv`. Counts are the same on every machine with
//! the same compiler and architecture, so they can gate where times cannot; a gate on their misses could not, since the
//! allocator of the C library has a say in these.
//!
//! `edge-instructions [CASES]` counts the cases whose names contain the text, all by default.

mod callgrind;
mod cases;
mod counter;
mod figures;
mod record;

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::counter::Counter;
use crate::record::Record;

/// The first argument of the process that callgrind runs.
const UNDER_CALLGRIND: &str = "under-callgrind";

/// Set to write the record in place of comparing with it.
const WRITE: &str = "EDGE_WRITE_INSTRUCTIONS";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [UNDER_CALLGRIND, cases, vgdb] => {
            cases::run(&Counter::new(cases, vgdb));
            Ok(true)
        }
        [] => report(""),
        [cases] => report(cases),
        _ => Err("edge-instructions [CASES]".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("edge-instructions: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as recorded, or cannot be compared.
fn report(cases: &str) -> Result<bool, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.csv");
    let program = std::env::current_exe().map_err(|e| format!("this program's path: {e}"))?;
    // Kept, for a look with callgrind_annotate.
    let dir = program.with_file_name("callgrind");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let counted = Record {
        compiler: compiler()?,
        valgrind: callgrind::version().ok_or("valgrind is not installed")?,
        cases: callgrind::count(cases, &dir)?,
    };
    if std::env::var_os(WRITE).is_some() {
        if !cases.is_empty() {
            return Err(format!("{WRITE} writes all cases, not some"));
        }
        std::fs::write(&file, counted.text()).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{} is written.", file.display());
        return Ok(true);
    }
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let recorded = Record::parse(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    let (table, findings) = recorded.compare(&counted, cases);
    print!("{table}");
    if findings.is_empty() {
        return Ok(true);
    }
    println!("\n{}", findings.join("\n"));
    if counted.compiler != recorded.compiler {
        println!("Recorded with {}, counted with {}: no failure.", recorded.compiler, counted.compiler);
        return Ok(true);
    }
    println!("If this is meant: {WRITE}=1 make bench-instructions, and say why in the commit.");
    Ok(false)
}

/// The compiler that cargo uses here, and what it compiles for.
fn compiler() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().map_err(|e| format!("rustc: {e}"))?;
    let version = String::from_utf8_lossy(&said.stdout);
    Ok(format!("{}, {}", version.trim(), std::env::consts::ARCH))
}
