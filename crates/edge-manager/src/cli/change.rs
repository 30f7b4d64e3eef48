//! Commands that change rules.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Args;
use edge_filter::List;
use serde::Deserialize;

use super::control;
use super::failure::Failure;
use super::places::{Hands, Places};
use super::read::{line, write_json};
use super::targets::Targets;
use crate::access::Caller;
use crate::clock::{now_s, now_us, time_s};
use crate::haproxy::{Enforcement, enforce};
use crate::json::{Bulk, ChangeJson, StoredJson};
use crate::rules::{self, Applied, Change, Effect, End, Entry, IfPresent, Input};

/// Rules that are printed one by one.
const MAX_LINES: usize = 20;

/// What commands that change rules have in common.
#[derive(Debug, Args)]
pub(super) struct Changing {
    #[command(flatten)]
    places: Places,
    /// As one line of JSON
    #[arg(long)]
    json: bool,
}

impl Changing {
    /// Makes the changes, gives the directory free, and waits until HAProxy obeys.
    fn apply(&self, changes: Vec<Change>) -> Result<ExitCode, Failure> {
        let change = match self.places.hands()? {
            Hands::Serve(stream) => {
                let lines = Bulk::lines(&changes).map_err(io::Error::from)?;
                control::post(stream, "/api/rules/bulk", "application/x-ndjson", lines)?
            }
            Hands::Own(_, rules) => {
                let Applied { entries, effect, .. } =
                    rules.apply(&Caller::command_line(), changes, now_us())?;
                let marks = rules.marks();
                drop(rules);
                let Places { sockets, wait, .. } = &self.places;
                let (revision, enforcement) = match effect {
                    Effect::Published(revision) => {
                        (Some(revision), enforce(sockets, revision, &|revision| marks.at(revision), *wait))
                    }
                    Effect::StoredOnly(error) => {
                        (None, Enforcement::StoredNotEnforced { reason: error.to_string() })
                    }
                };
                ChangeJson::new(&entries, revision, &enforcement)
            }
        };
        let code = exit_code(&change.stored);
        // What was done counts, whether or not anybody reads of it.
        let _ = self.tell(change);
        Ok(code)
    }

    /// Prints what was changed, and why it may not be in force.
    fn tell(&self, change: ChangeJson) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        if self.json {
            write_json(&mut out, &change)?;
            return out.flush();
        }
        let ChangeJson { stored, revision, rules } = change;
        let now_s = now_s();
        match rules.len() {
            0..=MAX_LINES => {
                for rule in rules {
                    let entry = Entry::try_from(rule).map_err(io::Error::other)?;
                    writeln!(out, "{}", line(&entry, now_s))?;
                }
            }
            many => writeln!(out, "{many} rules")?,
        }
        match revision {
            Some(revision) if stored.is_in_force() => writeln!(out, "{stored} at revision {revision}")?,
            _ => writeln!(out, "{stored}")?,
        }
        out.flush()
    }
}

/// How a command ends that has changed something.
pub(super) fn exit_code(stored: &StoredJson) -> ExitCode {
    if stored.is_in_force() { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

/// What `block` and `allow` have in common.
#[derive(Debug, Args)]
struct Terms {
    /// How long, such as 90s, 10m, 12h or 7days
    #[arg(long, value_name = "TIME", value_parser = ttl_s, conflicts_with = "until")]
    ttl: Option<u64>,
    /// Until when, in UTC, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time_s)]
    until: Option<u64>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// The list that the rules belong to
    #[arg(long, value_name = "NAME", default_value = "manual")]
    list: String,
    /// Who makes them
    #[arg(long, value_name = "NAME", default_value = "CLI")]
    by: String,
    /// Where there is such a rule, give it this action, end, list and reason
    #[arg(long)]
    replace: bool,
}

impl Terms {
    fn put(&self, targets: &Targets, changing: &Changing, input: Input<'_>) -> Result<ExitCode, Failure> {
        let now_us = now_us();
        let end = match (self.ttl, self.until) {
            (Some(ttl_s), _) => End::Ttl(ttl_s),
            (None, Some(at_s)) => End::At(at_s),
            (None, None) => End::Never,
        };
        let if_present = if self.replace { IfPresent::Replace } else { IfPresent::Refuse };
        let changes = targets.map(|target| {
            let Self { reason, list, by, .. } = self;
            let new = Input { target, end, reason, list, by, ..input }.parse(now_us)?;
            Ok(Change::Put(new, if_present))
        })?;
        changing.apply(changes)
    }
}

#[derive(Debug, Args)]
pub(super) struct Block {
    #[command(flatten)]
    targets: Targets,
    /// What is done: deny, "deny 404" (400 to 599), tarpit, drop or observe
    #[arg(long, value_name = "ACTION", default_value = "deny")]
    action: String,
    /// Only requests that meet all of these, of a resource: "method=POST query=id=7 param:id=7 anon src=192.0.2.1"
    #[arg(long = "if", value_name = "CONDITIONS", default_value = "")]
    conditions: String,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    changing: Changing,
}

impl Block {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self { action, conditions, .. } = &self;
        let input = Input { action, conditions, ..Input::default() };
        self.terms.put(&self.targets, &self.changing, input)
    }
}

#[derive(Debug, Args)]
pub(super) struct Allow {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    changing: Changing,
}

impl Allow {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        self.terms.put(&self.targets, &self.changing, Input { allows: true, ..Input::default() })
    }
}

#[derive(Debug, Args)]
pub(super) struct Unblock {
    #[command(flatten)]
    targets: Targets,
    /// The conditions of the rule, if it has any: see `block`
    #[arg(long = "if", value_name = "CONDITIONS", default_value = "")]
    conditions: String,
    #[command(flatten)]
    changing: Changing,
}

impl Unblock {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let target = |text: &str| rules::target(text, &self.conditions).map(Change::Remove);
        self.changing.apply(self.targets.map(target)?)
    }
}

#[derive(Debug, Args)]
pub(super) struct Disallow {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

impl Disallow {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let target = |text: &str| rules::client(List::Allow, text).map(Change::Remove);
        self.changing.apply(self.targets.map(target)?)
    }
}

/// What `serve` answers.
#[derive(Deserialize)]
struct Cleared {
    cleared: usize,
}

#[derive(Debug, Args)]
pub(super) struct ClearExpired {
    #[command(flatten)]
    changing: Changing,
}

impl ClearExpired {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let cleared = match self.changing.places.hands()? {
            Hands::Serve(stream) => {
                let path = "/api/security/clear-expired";
                control::post::<Cleared>(stream, path, "application/json", Vec::new())?.cleared
            }
            Hands::Own(_, rules) => rules.clear_expired(&Caller::command_line(), now_us())?.rules,
        };
        let mut out = io::stdout().lock();
        if self.changing.json {
            writeln!(out, "{{\"cleared\":{cleared}}}")?;
        } else {
            writeln!(out, "{cleared} rules")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whole seconds; a part of one is one.
pub(super) fn ttl_s(text: &str) -> Result<u64, humantime::DurationError> {
    let ttl = humantime::parse_duration(text)?;
    Ok(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0))
}
