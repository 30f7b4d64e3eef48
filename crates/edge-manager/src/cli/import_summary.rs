//! What became of an import, and how it is told.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::change::exit_code;
use super::read::write_json;
use crate::import::Problem;
use crate::json::StoredJson;
use crate::sites::{Merged, MergedSite};

/// Problems that are told one by one, and pieces of advice.
const MAX_PROBLEMS: usize = 100;

/// How an import ended.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum Ending {
    /// Nothing was to be changed.
    DryRun,
    /// Something cannot be taken, so nothing was.
    Refused,
    #[serde(untagged)]
    Done(StoredJson),
}

/// An import that has ended.
#[derive(Debug, Serialize)]
struct Ended<'a> {
    #[serde(flatten)]
    ending: Ending,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// What became of an import.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) rules: Merged,
    #[serde(flatten)]
    pub(super) site: MergedSite,
    /// How many cannot be taken.
    pub(super) invalid: u64,
    /// The first of them.
    problems: Vec<Problem>,
    /// What whoever wrote the source should know: the first of it.
    advice: Vec<String>,
    /// How much more of it there is.
    more_advice: u64,
}

impl Summary {
    pub(super) fn add(&mut self, problem: Problem) {
        self.invalid += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    pub(super) fn advise(&mut self, advice: String) {
        if self.advice.len() < MAX_PROBLEMS {
            self.advice.push(advice);
        } else {
            self.more_advice += 1;
        }
    }

    pub(super) fn tell(&self, ending: Ending, is_json: bool) -> ExitCode {
        let code = match &ending {
            Ending::DryRun => ExitCode::SUCCESS,
            Ending::Refused => ExitCode::from(2),
            Ending::Done(stored) => exit_code(stored),
        };
        // What was done counts, whether or not anybody reads of it.
        let _ = if is_json {
            write_json(&mut io::stdout().lock(), &Ended { ending, summary: self })
        } else {
            self.write(&ending)
        };
        code
    }

    fn write(&self, ending: &Ending) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut error = BufWriter::new(io::stderr().lock());
        for line in &self.advice {
            writeln!(error, "edge-manager: {line}")?;
        }
        if self.more_advice > 0 {
            writeln!(error, "edge-manager: and so for {} more", self.more_advice)?;
        }
        for problem in &self.problems {
            writeln!(error, "edge-manager: {problem}")?;
        }
        let untold = self.invalid - self.problems.len() as u64;
        if untold > 0 {
            writeln!(error, "edge-manager: and {untold} more")?;
        }
        error.flush()?;
        if matches!(ending, Ending::Refused) {
            writeln!(out, "nothing has changed: {} cannot be taken", self.invalid)?;
            return out.flush();
        }
        let parts = [("rules", self.rules), ("domains", self.site.domains), ("backends", self.site.backends)];
        let told = parts.iter().filter(|(name, merged)| *name == "rules" || *merged != Merged::default());
        for (name, Merged { added, present }) in told {
            match ending {
                Ending::DryRun if *present > 0 => {
                    writeln!(out, "{name}: {added} can be taken, {present} present")?;
                }
                Ending::DryRun => writeln!(out, "{name}: {added} can be taken")?,
                _ => writeln!(out, "{name}: {added} added, {present} present")?,
            }
        }
        if self.invalid > 0 {
            writeln!(out, "{} left out", self.invalid)?;
        }
        if let Ending::Done(stored) = ending {
            writeln!(out, "{stored}")?;
        }
        out.flush()
    }
}
