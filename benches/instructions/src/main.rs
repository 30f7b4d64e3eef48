//! Instruction counts of what requests wait for, held against `counts.csv`. Counts are the same on every machine with
//! the same compiler, architecture and C library, so they can gate where times cannot; a gate on their misses could
//! not, since the allocator of the C library has a say in these.
//!
//! `edge-instructions [CASES]` counts the cases whose names contain the text, all by default.

mod callgrind;
mod cases;
mod counter;
mod figures;
mod record;

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::counter::Counter;
use crate::record::Record;

/// The first argument of the process that callgrind runs.
const UNDER_CALLGRIND: &str = "under-callgrind";

/// `1`: to write the record in place of comparing with it.
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

/// Whether all is as recorded.
fn report(cases: &str) -> Result<bool, String> {
    if cfg!(all(target_arch = "x86_64", not(target_feature = "popcnt"))) {
        return Err("built without POPCNT: RUSTFLAGS replaces what .cargo/config.toml sets".to_owned());
    }
    let is_to_write = is_to_write(std::env::var_os(WRITE).as_deref(), cases)?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.csv");
    let program = std::env::current_exe().map_err(|e| format!("this program's path: {e}"))?;
    // Kept, for a look with callgrind_annotate.
    let dir = program.with_file_name("callgrind");
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(format!("{}: {e}", dir.display())),
        _ => {}
    }
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let counted = Record {
        compiler: compiler()?,
        valgrind: callgrind::version().ok_or("valgrind is not installed")?,
        cases: callgrind::count(cases, &dir)?,
    };
    if counted.cases.is_empty() {
        return Err(format!("no case has {cases:?} in its name"));
    }
    if is_to_write {
        std::fs::write(&file, counted.text()).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{} is written.", file.display());
        return Ok(true);
    }
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let recorded = Record::parse(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    let (table, findings) = recorded.compare(&counted, cases);
    print!("{table}");
    for (with, before) in [(&counted.compiler, &recorded.compiler), (&counted.valgrind, &recorded.valgrind)] {
        if with != before {
            println!("Recorded with {before}, counted with {with}.");
        }
    }
    if findings.is_empty() {
        return Ok(true);
    }
    println!("\n{}", findings.join("\n"));
    println!("If this is meant: {WRITE}=1 make bench-instructions, and say why in the commit.");
    Ok(false)
}

/// Whether the record is to be written, by the value of [`WRITE`].
///
/// # Errors
/// It would lose the cases that are not asked for.
fn is_to_write(value: Option<&OsStr>, cases: &str) -> Result<bool, String> {
    match value {
        Some(value) if value == "1" && !cases.is_empty() => {
            Err(format!("{WRITE} writes all cases, not some"))
        }
        value => Ok(value.is_some_and(|value| value == "1")),
    }
}

/// The compiler that cargo uses here, what it compiles for, and the C library: it compares and copies bytes.
fn compiler() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version =
        first_line(Command::new(rustc).arg("--version")).ok_or("rustc does not tell its version")?;
    let c_library = first_line(Command::new("getconf").arg("GNU_LIBC_VERSION"));
    let c_library = c_library.as_deref().unwrap_or("another C library than glibc");
    Ok(format!("{version}, {}, {c_library}", std::env::consts::ARCH))
}

fn first_line(command: &mut Command) -> Option<String> {
    let said = command.output().ok().filter(|said| said.status.success())?;
    String::from_utf8_lossy(&said.stdout).lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_1_writes_and_only_all_cases() {
        for (value, cases, expected) in [
            (None, "", Ok(false)),
            (None, "host", Ok(false)),
            (Some(""), "", Ok(false)),
            (Some("0"), "host", Ok(false)),
            (Some("1"), "", Ok(true)),
            (Some("1"), "host", Err("EDGE_WRITE_INSTRUCTIONS writes all cases, not some".to_owned())),
        ] {
            assert_eq!(is_to_write(value.map(OsStr::new), cases), expected, "{value:?} {cases:?}");
        }
    }
}
