//! `edge-manager export`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use edge_filter::{Action, Conditions, List, NEVER, Target};

use super::failure::Failure;
use super::read::Database;
use crate::clock::now_s;
use crate::json::Bulk;
use crate::rules::{Change, Entry, IfPresent, NewRule};
use crate::store::{Kind, Readers, Selection};

/// How rules are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line of JSON for each, as `POST /api/rules/bulk` takes them
    Ndjson,
    /// A HAProxy ACL file: the addresses and CIDRs that are refused and have no end; with --kind allow, those that pass
    Acl,
    /// A HAProxy map: addresses, CIDRs, paths, host and path, each with the status that is answered with
    Map,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// How they are written
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// Only allow, block or resource
    #[arg(long)]
    kind: Option<Kind>,
    /// Only this list
    #[arg(long, value_name = "NAME")]
    list: Option<String>,
    #[command(flatten)]
    at: Database,
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let selection = Selection {
            kind: self.kind,
            list: self.list.as_deref().map(Into::into),
            in_force_at_s: Some(now_s()),
            ..Selection::default()
        };
        let mut out = BufWriter::new(io::stdout().lock());
        let mut left_out = 0u64;
        Readers::open(&self.at.database)?.read(|view| {
            view.with_entries(&selection, |entries| {
                for entry in entries {
                    left_out += u64::from(!self.format.write(&mut out, entry?, self.kind)?);
                }
                Ok::<_, Failure>(())
            })?
        })?;
        out.flush()?;
        if left_out > 0 {
            let why = self.format.lacks();
            // The rest is there all the same.
            let _ = writeln!(io::stderr(), "edge-manager: {left_out} rules are left out: {why}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Format {
    /// Whether the format has words for the rule, where this kind was asked for.
    fn write(self, out: &mut impl Write, entry: Entry, kind: Option<Kind>) -> io::Result<bool> {
        let rule = &entry.rule;
        if self != Self::Ndjson && rule.expires_at_s != NEVER {
            return Ok(false);
        }
        match (self, &rule.target) {
            (Self::Ndjson, _) => {
                let Entry { rule, created_by: by, .. } = entry;
                let put = Change::Put(NewRule { rule, by }, IfPresent::Refuse);
                out.write_all(&Bulk::lines(&[put]).map_err(io::Error::from)?)?;
            }
            (Self::Acl, Target::Client(list, net)) => {
                // A line says neither: whoever reads the file would refuse them all, or let them all pass.
                let is_meant = match list {
                    List::Allow => kind == Some(Kind::Allow),
                    List::Block => rule.action != Action::Observe,
                };
                if !is_meant {
                    return Ok(false);
                }
                writeln!(out, "{net}")?;
            }
            (Self::Map, target) => match (target, rule.action) {
                (Target::Client(List::Block, net), Action::Deny(status)) => {
                    writeln!(out, "{net} {}", status.code())?
                }
                (Target::Resource(resource, conditions), Action::Deny(status))
                    if *conditions == Conditions::default() =>
                {
                    writeln!(out, "{resource} {}", status.code())?;
                }
                _ => return Ok(false),
            },
            (Self::Acl, _) => return Ok(false),
        }
        Ok(true)
    }

    fn lacks(self) -> &'static str {
        match self {
            Self::Ndjson => "",
            Self::Acl => {
                "an ACL file has addresses only: those that are refused and have no end, or with --kind allow those that pass"
            }
            Self::Map => "a map has no ends, no conditions, no actions but deny, and no clients that pass",
        }
    }
}
