//! `edge-manager resources`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;

use super::change::{exit_code, ttl_s};
use super::control;
use super::failure::Failure;
use super::places::{Hands, Places};
use super::read::write_json;
use crate::access::Caller;
use crate::clock::{now_s, now_us};
use crate::haproxy::{Enforcement, enforce};
use crate::json::{OriginName, ResourceChangeJson, ResourceJson, ResourcePageJson};
use crate::learned::{Hits, Item, Learned, LearnedError, ResourceId, ResourceSelection, page};
use crate::rules::{Effect, End};
use crate::store::Readers;

/// Rules of one page.
const PAGE: u32 = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Resources {
    /// Print the rules on resources that are in force, a line each: what backends taught, then what the record has
    ///
    /// What backends taught is what `serve` has read, which keeps it up to date. Only while it runs it is known when a rule was
    /// obeyed last.
    List(List),
    /// Take back what a backend taught, until it is taught anew; or remove a rule of the record
    Delete(Delete),
    /// Make what a backend taught a rule of the record, in the list `pinned`
    Pin(Pin),
}

impl Resources {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Delete(delete) => delete.run(),
            Self::Pin(pin) => pin.run(),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Origin {
    Learned,
    Manual,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only what is about resources of this host
    #[arg(long, value_name = "HOST", value_parser = host)]
    host: Option<String>,
    /// Only what was learned, or only what the record has
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<Origin>,
    /// Only what this backend taught
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Only what comes behind this id
    #[arg(long, value_name = "ID")]
    after: Option<ResourceId>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let mut left = self.limit.unwrap_or(u32::MAX);
        let mut selection = ResourceSelection {
            is_learned: self.origin.map(|origin| matches!(origin, Origin::Learned)),
            host: self.host.clone(),
            backend: self.backend.clone(),
            after: self.after,
            limit: 0,
        };
        let mut out = BufWriter::new(io::stdout().lock());
        let mut own: Option<(Readers, Hits)> = None;
        while left > 0 {
            selection.limit = left.min(PAGE);
            let resources = match control::connect(&self.places.control())? {
                Some(stream) => {
                    let found: ResourcePageJson =
                        control::send(stream, Method::GET, &path(&selection), "", Vec::new())?;
                    found.resources
                }
                None => {
                    let (readers, hits) = match &mut own {
                        Some(own) => own,
                        none => {
                            let hits = Hits::default();
                            hits.refresh(&self.places.sockets, now_us());
                            none.insert((Readers::open(&self.places.record.database)?, hits))
                        }
                    };
                    let items = readers.read(|view| page(view, &selection, now_s()))?;
                    let json = |item: &Item| ResourceJson::new(item, hits.of(item.target()), now_s());
                    items.iter().map(json).collect()
                }
            };
            for resource in &resources {
                if self.json {
                    write_json(&mut out, resource)?;
                } else {
                    writeln!(out, "{}", line(resource))?;
                }
            }
            left -= u32::try_from(resources.len()).unwrap_or(left).min(left);
            match resources.last().and_then(|last| last.id.parse().ok()) {
                Some(last) if resources.len() == selection.limit as usize => selection.after = Some(last),
                _ => break,
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What of the API is asked for a page.
fn path(selection: &ResourceSelection) -> String {
    let ResourceSelection { is_learned, host, backend, after, limit } = selection;
    let mut path = format!("/api/resources?limit={limit}");
    let origin = is_learned.map(|is_learned| if is_learned { "learned" } else { "manual" }.to_owned());
    let after = after.map(|after| after.to_string());
    let all = [("origin", origin), ("host", host.clone()), ("backend", backend.clone()), ("after", after)];
    for (name, value) in all.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        path.push_str(&format!("&{name}="));
        // RFC 3986, section 2.3: all others are escaped.
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
                other => path.push_str(&format!("%{other:02X}")),
            }
        }
    }
    path
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// As `resources list` has it, such as learned-7
    #[arg(value_name = "ID")]
    id: ResourceId,
    /// As one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

impl Delete {
    fn run(self) -> Result<ExitCode, Failure> {
        let path = format!("/api/resources/{}", self.id);
        let change = match self.places.hands()? {
            Hands::Serve(stream) => {
                control::send(stream, Method::DELETE, &path, "application/json", Vec::new())?
            }
            Hands::Own(_, rules) => self.places.change_lessons(*rules, |learned| {
                learned.remove(&Caller::command_line(), self.id, now_us())
            })?,
        };
        tell(&change, self.json)
    }
}

#[derive(Debug, Args)]
pub(super) struct Pin {
    /// As `resources list` has it, such as learned-7
    #[arg(value_name = "ID")]
    id: ResourceId,
    /// How long, such as 90s, 10m, 12h or 7days; without it, the rule has no end
    #[arg(long, value_name = "TIME", value_parser = ttl_s)]
    ttl: Option<u64>,
    /// As one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

impl Pin {
    fn run(self) -> Result<ExitCode, Failure> {
        let path = format!("/api/resources/{}/pin", self.id);
        let body = self.ttl.map_or_else(|| "{}".to_owned(), |ttl_s| format!("{{\"ttl\":{ttl_s}}}"));
        let change = match self.places.hands()? {
            Hands::Serve(stream) => {
                control::send(stream, Method::POST, &path, "application/json", body.into_bytes())?
            }
            Hands::Own(_, rules) => self.places.change_lessons(*rules, |learned| {
                let ResourceId::Learned(number) = self.id else { return Err(LearnedError::Absent(self.id)) };
                let end = self.ttl.map_or(End::Never, End::Ttl);
                let (entry, effect) = learned.pin(&Caller::command_line(), number, end, now_us())?;
                Ok((Item::Rule(entry), effect))
            })?,
        };
        tell(&change, self.json)
    }
}

impl Places {
    /// Changes lessons, gives the directory free, and waits until HAProxy obeys.
    fn change_lessons(
        &self,
        rules: crate::rules::Rules,
        change: impl FnOnce(&Learned) -> Result<(Item, Effect), LearnedError>,
    ) -> Result<ResourceChangeJson, Failure> {
        let marks = rules.marks();
        let learned = Learned::open(Arc::new(rules), &self.state_dir, Vec::new(), now_us())?;
        // What `serve` has not read since it ended.
        while learned.round(now_us())?.is_cut {}
        let (item, effect) = change(&learned).map_err(|error| match error {
            LearnedError::Absent(_) => Failure::RefusedByServe(error.to_string()),
            LearnedError::Invalid(invalid) => invalid.into(),
            LearnedError::Rules(rules) => rules.into(),
        })?;
        drop(learned);
        let enforcement = match effect {
            Effect::Published(revision) => {
                enforce(&self.sockets, revision, &|revision| marks.at(revision), self.wait)
            }
            Effect::StoredOnly(error) => Enforcement::StoredNotEnforced { reason: error.to_string() },
        };
        Ok(ResourceChangeJson::new(ResourceJson::new(&item, None, now_s()), &enforcement))
    }
}

/// Prints what was changed, and why it may not be in force.
fn tell(change: &ResourceChangeJson, is_json: bool) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    if is_json {
        write_json(&mut out, change)?;
    } else {
        writeln!(out, "{}", line(&change.resource))?;
        writeln!(out, "{}", change.stored)?;
    }
    Ok(exit_code(&change.stored))
}

fn line(resource: &ResourceJson) -> String {
    let ResourceJson { id, origin, target, conditions, action, left_s, reason, hits, .. } = resource;
    let mut line = format!("{id}: {target}");
    for word in conditions.split_whitespace() {
        line.push_str(&format!(" {word}"));
    }
    line.push_str(&format!(": {action}, "));
    line.push_str(&left_s.map_or_else(|| "no end".to_owned(), |left_s| format!("{left_s} s left")));
    match (origin, &resource.taught_by, &resource.list) {
        (OriginName::Learned, Some(from), _) => {
            line.push_str(&format!(", learned from {}/{} by {}", from.backend, from.server, from.request));
        }
        (_, _, list) => line.push_str(&format!(", {}", list.as_deref().unwrap_or_default())),
    }
    if !reason.is_empty() {
        line.push_str(&format!(", reason: {reason}"));
    }
    if let Some(hits) = hits {
        line.push_str(&format!(", {hits} hits"));
    }
    if let Some(last_hit_s) = resource.last_hit_s {
        line.push_str(&format!(", the last {} s ago", now_s().saturating_sub(last_hit_s)));
    }
    line
}

fn host(text: &str) -> Result<String, String> {
    edge_filter::Host::parse(text).map(|host| host.as_str().to_owned()).map_err(|error| error.to_string())
}
