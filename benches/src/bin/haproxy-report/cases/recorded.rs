//! The instructions of a lookup alone, held against those that the repository keeps.

use std::process::Command;

use crate::contender::Contender;
use crate::figures::{At, Case, Metric};
use crate::problem::{Fallible, problem};

/// Names the program of `make bench-instructions`.
const PROGRAM: &str = "EDGE_INSTRUCTIONS";

/// Measures, and adds to `case`: a round is a case of the record.
pub(super) fn measure(case: &mut Case) -> Fallible<()> {
    let Some(program) = std::env::var_os(PROGRAM) else {
        eprintln!("  {PROGRAM} names no program: recorded instructions are not compared");
        return Ok(());
    };
    let said = Command::new(&program).output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    let at = At { who: Contender::Edge, entries: 0, threads: 1, what: "recorded" };
    let changes: Vec<f64> = text.lines().filter_map(change_percent).collect();
    if changes.is_empty() {
        let complaint = String::from_utf8_lossy(&said.stderr);
        return Err(problem(format!("{}: {complaint}", program.to_string_lossy())));
    }
    for change in changes {
        case.add(at, Metric::ChangePercent, change);
    }
    Ok(())
}

/// Of a line of its table: the name of a case, instructions, those recorded, the change, and misses.
fn change_percent(line: &str) -> Option<f64> {
    let (before, _) = line.split_once(" %  ")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_table_have_a_change() {
        let line = "v4 hit, 100k hosts                                 351.2         348.0    +0.9 %        3.10        1.20";
        assert_eq!(change_percent(line), Some(0.9));
        assert_eq!(change_percent(&line.replace("+0.9", "-1.5")), Some(-1.5));
        assert_eq!(change_percent("v4 hit: +7.0 % instructions"), None);
        assert_eq!(change_percent("one operation  instructions  recorded  change"), None);
    }
}
