//! Commands that read the record.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use crate::clock::now_s;
use crate::json::{ExplanationJson, PartName, RuleJson};
use crate::rules::{AnsweredRule, Entry, Question, explain};
use crate::store::{Kind, Readers, Selection};

/// Where the record is.
#[derive(Debug, Args)]
pub(super) struct Database {
    /// The record of rules, a SQLite database
    #[arg(
        long,
        env = "EDGE_DATABASE",
        value_name = "FILE",
        default_value = "/var/lib/edge-manager/rules.db"
    )]
    pub(super) database: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ListRules {
    /// Only allow, block or resource
    #[arg(long)]
    kind: Option<Kind>,
    /// Only this list
    #[arg(long, value_name = "NAME")]
    list: Option<String>,
    /// Rules that have ended too
    #[arg(long)]
    ended: bool,
    /// Only rules with a greater number: where the page before ended
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Database,
}

impl ListRules {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let now_s = now_s();
        let selection = Selection {
            kind: self.kind,
            list: self.list.as_deref().map(Into::into),
            in_force_at_s: (!self.ended).then_some(now_s),
            after: self.after,
            limit: self.limit,
            ..Selection::default()
        };
        let mut out = BufWriter::new(io::stdout().lock());
        Readers::open(&self.at.database)?.read(|view| {
            view.with_entries(&selection, |entries| {
                for entry in entries {
                    let entry = entry?;
                    if self.json {
                        write_json(&mut out, &RuleJson::from(&entry))?;
                    } else {
                        writeln!(out, "{}", line(&entry, now_s))?;
                    }
                }
                Ok::<_, Failure>(())
            })?
        })?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// One address, or a URL, host/path or /path
    #[arg(value_name = "IP|URL")]
    subject: String,
    /// As one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Database,
}

impl Explain {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let question: Question = self.subject.parse()?;
        let now_s = now_s();
        let answer = Readers::open(&self.at.database)?.read(|view| explain(view, &question, now_s))?;
        let mut out = BufWriter::new(io::stdout().lock());
        if self.json {
            write_json(&mut out, &ExplanationJson::new(&answer, now_s))?;
        } else {
            writeln!(out, "{}: {}", answer.subject, answer.verdict)?;
            if let Some(unreadable) = &answer.unreadable {
                writeln!(out, "  {unreadable}")?;
            }
            if let Some(second) = &answer.second_reading {
                writeln!(out, "  second reading: {second}")?;
            }
            for AnsweredRule { part, is_of_second, entry } in &answer.rules {
                let reading = if *is_of_second { " on the second reading" } else { "" };
                writeln!(out, "  {}{reading}: {}", PartName::from(*part).as_str(), line(entry, now_s))?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A rule with its number.
pub(super) fn line(entry: &Entry, now_s: u32) -> String {
    format!("rule {}: {}", entry.id, entry.rule.line(now_s))
}

pub(super) fn write_json(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
