//! The recorded counts, and what has changed since.

use std::fmt::Write;

use crate::figures::Figures;

/// Part of the instructions that may come or go without a word.
const TOLERANCE: f64 = 0.05;

/// The same, where another compiler or C library made them.
const TOLERANCE_OF_ANOTHER_COMPILER: f64 = 0.25;

const HEADING: &str = "case,instructions,l1_misses,ll_misses,estimated_cycles";

/// The figures of all cases, and what they were counted with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// Compiler, architecture and C library: with others, counts are others.
    pub(crate) compiler: String,
    pub(crate) valgrind: String,
    pub(crate) cases: Vec<(String, Figures)>,
}

impl Record {
    /// # Errors
    /// The line that is not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self { compiler: String::new(), valgrind: String::new(), cases: Vec::new() };
        for line in text.lines() {
            if let Some(compiler) = line.strip_prefix("# compiler: ") {
                record.compiler = compiler.to_owned();
            } else if let Some(valgrind) = line.strip_prefix("# valgrind: ") {
                record.valgrind = valgrind.to_owned();
            } else if !line.starts_with('#') && line != HEADING {
                record.cases.push(case(line).ok_or_else(|| format!("not a case: {line:?}"))?);
            }
        }
        Ok(record)
    }

    /// What [`Record::parse`] reads.
    pub(crate) fn text(&self) -> String {
        let Self { compiler, valgrind, cases } = self;
        let mut text = format!(
            "# What one operation takes. `make bench-instructions` counts anew and compares;\n\
             # with EDGE_WRITE_INSTRUCTIONS=1 it writes this file.\n\
             # compiler: {compiler}\n# valgrind: {valgrind}\n{HEADING}\n"
        );
        for (name, figures) in cases {
            let Figures { instructions, l1_misses, ll_misses } = figures;
            let cycles = figures.estimated_cycles();
            let _ = writeln!(text, "{name},{instructions:.1},{l1_misses:.2},{ll_misses:.2},{cycles:.0}");
        }
        text
    }

    fn figures(&self, case: &str) -> Option<Figures> {
        self.cases.iter().find(|(name, _)| name == case).map(|(_, figures)| *figures)
    }

    /// A table of what was counted beside what is recorded here, and what is wrong with it. Of the recorded cases those
    /// without `asked` in their names may be missing.
    pub(crate) fn compare(&self, counted: &Self, asked: &str) -> (String, Vec<String>) {
        let mut table = format!(
            "{:<42}{:>14}{:>14}{:>10}{:>12}{:>12}{:>12}\n",
            "one operation", "instructions", "recorded", "change", "L1 misses", "LL misses", "est. cycles"
        );
        let tolerance =
            if counted.compiler == self.compiler { TOLERANCE } else { TOLERANCE_OF_ANOTHER_COMPILER };
        let mut findings = Vec::new();
        for (case, now) in &counted.cases {
            let Figures { instructions, l1_misses, ll_misses } = now;
            let cycles = now.estimated_cycles();
            let (recorded, change) = match self.figures(case) {
                None => {
                    findings.push(format!("{case}: not recorded"));
                    ("-".to_owned(), "-".to_owned())
                }
                Some(before) => {
                    let change = instructions / before.instructions - 1.0;
                    let percent = format!("{:+.1} %", change * 100.0);
                    if change > tolerance {
                        findings.push(format!("{case}: {percent} instructions"));
                    } else if change < -tolerance {
                        findings.push(format!("{case}: {percent} instructions: well done, record them"));
                    }
                    (format!("{:.1}", before.instructions), percent)
                }
            };
            let _ = writeln!(
                table,
                "{case:<42}{instructions:>14.1}{recorded:>14}{change:>10}{l1_misses:>12.2}{ll_misses:>12.2}\
                 {cycles:>12.0}"
            );
        }
        let gone = self.cases.iter().filter(|(case, _)| case.contains(asked));
        findings.extend(
            gone.filter(|(case, _)| counted.figures(case).is_none())
                .map(|(case, _)| format!("{case}: recorded, but not counted")),
        );
        (table, findings)
    }
}

fn case(line: &str) -> Option<(String, Figures)> {
    let mut fields = line.split(',');
    let name = fields.next()?.to_owned();
    let mut number = || fields.next()?.parse::<f64>().ok();
    Some((name, Figures { instructions: number()?, l1_misses: number()?, ll_misses: number()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cases: &[(&str, f64)]) -> Record {
        let figures = |instructions| Figures { instructions, l1_misses: 1.5, ll_misses: 0.25 };
        let cases = cases.iter().map(|(name, n)| (name.to_string(), figures(*n))).collect();
        Record { compiler: "rustc 1".into(), valgrind: "valgrind-3".into(), cases }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = record(&[("v4 hit", 100.5), ("host", 7.0)]);
        assert_eq!(Record::parse(&written.text()), Ok(written));
        assert_eq!(Record::parse("v4 hit,many"), Err("not a case: \"v4 hit,many\"".into()));
    }

    #[test]
    fn five_percent_either_way_are_nothing_to_speak_of() {
        let recorded = record(&[("a", 1000.0), ("b", 1000.0), ("c", 1000.0), ("d", 1000.0)]);
        let counted = record(&[("a", 1049.0), ("b", 951.0), ("c", 1051.0), ("d", 949.0)]);
        let (_, findings) = recorded.compare(&counted, "");
        assert_eq!(findings, ["c: +5.1 % instructions", "d: -5.1 % instructions: well done, record them"]);
    }

    #[test]
    fn with_another_compiler_a_quarter_is_nothing_to_speak_of() {
        let recorded = record(&[("a", 1000.0), ("b", 1000.0), ("c", 1000.0), ("d", 1000.0)]);
        let mut counted = record(&[("a", 1249.0), ("b", 751.0), ("c", 1251.0), ("d", 749.0)]);
        counted.compiler = "rustc 2".into();
        let (_, findings) = recorded.compare(&counted, "");
        assert_eq!(findings, ["c: +25.1 % instructions", "d: -25.1 % instructions: well done, record them"]);
    }

    #[test]
    fn a_case_on_one_side_only_is_found_whatever_the_compiler() {
        let (recorded, mut counted) = (record(&[("a", 1.0), ("b", 1.0)]), record(&[("a", 1.0), ("c", 1.0)]));
        assert_eq!(recorded.compare(&counted, "").1, ["c: not recorded", "b: recorded, but not counted"]);
        counted.compiler = "rustc 2".into();
        assert_eq!(recorded.compare(&counted, "").1, ["c: not recorded", "b: recorded, but not counted"]);
        assert_eq!(recorded.compare(&counted, "c").1, ["c: not recorded"]);
    }
}
