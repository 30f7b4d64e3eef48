//! Why a client or a request is refused or not.

use std::fmt;
use std::net::IpAddr;

use crate::resource::{Found, Known};
use crate::snapshot::LEARNED;
use crate::{
    Conditions, Filter, List, NEVER, Origin, Reader, Rule, Snapshot, Target, UnreadablePath, Verdict,
    canonical_host, canonical_path, path_readings, split_base,
};

/// Everything that speaks about one address or URL, by the same walk as the lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was asked for, in canonical form.
    pub subject: String,
    /// Host and path in the other reading, where the path has two.
    pub second_reading: Option<String>,
    /// Why the path is refused whatever the rules say.
    pub unreadable: Option<UnreadablePath>,
    /// What a lookup answers now. [`Verdict::Ask`] where the conditions of a rule decide.
    pub verdict: Verdict,
    /// All rules that take it in, the one with most precedence first; those of the reading that decides before those of
    /// the other.
    pub rules: Vec<Explained>,
    now_s: u32,
}

/// A rule and its part in a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The rule.
    pub rule: Rule,
    /// Requests that it matched.
    pub hits: u64,
    /// Its part.
    pub part: Part,
    /// Whether it is about the second reading of the path.
    pub is_of_second: bool,
}

/// The part of a rule in a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It decides.
    Decides,
    /// It decides about requests for which its conditions hold.
    Conditional,
    /// Another has precedence.
    Overridden,
    /// Its end has come; it waits to be swept.
    Expired,
}

impl Reader<'_> {
    /// Explain the verdict on a client. Counts nothing.
    pub fn explain_address(&mut self, addr: IpAddr, now_s: u32) -> Explanation {
        let addr = addr.to_canonical();
        let filter = self.filter;
        let (snapshot, _) = self.parts();
        let blocking = snapshot.blocking(addr, now_s).map(|ruling| ruling.entry(addr));
        let allowing = snapshot.allow.longest_match(addr, now_s);
        let mut rules = Vec::new();
        for (list, deciding) in [(List::Allow, allowing), (List::Block, blocking)] {
            for entry in snapshot.list(list).covering(addr) {
                let part = if entry.expires_at_s <= now_s {
                    Part::Expired
                } else if deciding.is_some_and(|deciding| deciding == entry) {
                    Part::Decides
                } else {
                    Part::Overridden
                };
                let hits = filter.hits(snapshot, entry.slot);
                let rule = snapshot.address_rule(list, &entry);
                rules.push(Explained { rule, hits, part, is_of_second: false });
            }
        }
        // The longest decides, but for what a list refuses in spite of something longer that was learned.
        rules.sort_by_key(|explained| explained.part != Part::Decides);
        let verdict = blocking.map_or(Verdict::Pass, |entry| entry.action.verdict());
        let (second_reading, unreadable) = (None, None);
        Explanation { subject: addr.to_string(), second_reading, unreadable, verdict, rules, now_s }
    }

    /// Explain the verdict on a resource: host and path, with or without `http://` or `https://` before and a
    /// query behind. Counts nothing.
    pub fn explain_resource(&mut self, url: &[u8], now_s: u32) -> Explanation {
        let filter = self.filter;
        let settings = filter.settings();
        let scheme = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| url.strip_prefix(scheme));
        let (host, raw) = split_base(scheme.unwrap_or(url));
        let (snapshot, scratch) = self.parts();
        let host = canonical_host(host, &mut scratch.host);
        let subject = |path: &[u8]| crate::text::printable(&[host, path].concat(), 512);
        let paths = match path_readings(raw, settings, &mut scratch.path, &mut scratch.second_path) {
            Ok(paths) => paths,
            Err(unreadable) => {
                let path = canonical_path(raw, settings.parameter_segments, &mut scratch.path);
                return Explanation {
                    subject: subject(path.unwrap_or(raw)),
                    second_reading: None,
                    unreadable: Some(unreadable),
                    verdict: unreadable.verdict(),
                    rules: Vec::new(),
                    now_s,
                };
            }
        };
        let rules_on = |path: &[u8]| rules_on(filter, snapshot, host, path, now_s);
        let (found, mut rules) = rules_on(paths.first);
        let mut deciding = found;
        if let Some(second) = paths.second {
            let (found, mut of_second) = rules_on(second);
            of_second.iter_mut().for_each(|explained| explained.is_of_second = true);
            let is_stricter = Found::strictness_of(found) > Found::strictness_of(deciding);
            if is_stricter {
                std::mem::swap(&mut rules, &mut of_second);
                deciding = found;
            }
            if matches!(deciding, Some(Found::Rule(..))) {
                override_from(&mut of_second, 0);
            }
            // A prefix of both readings is told once.
            of_second
                .retain(|explained| rules.iter().all(|known| known.rule.target != explained.rule.target));
            rules.append(&mut of_second);
        }
        let verdict = match deciding {
            None => Verdict::Pass,
            Some(Found::Undecided(_)) => Verdict::Ask,
            Some(Found::Rule(_, rule)) => rule.action.verdict(),
        };
        let second_reading = paths.second.map(subject);
        Explanation { subject: subject(paths.first), second_reading, unreadable: None, verdict, rules, now_s }
    }
}

/// What a lookup finds for this path, and all rules on it by their precedence.
fn rules_on<'a>(
    filter: &Filter,
    snapshot: &'a Snapshot,
    host: &[u8],
    path: &[u8],
    now_s: u32,
) -> (Option<Found<'a>>, Vec<Explained>) {
    let found = snapshot.resources.decide(host, path, Known::Resource, now_s);
    let mut resources: Vec<_> = snapshot.resources.exact(host, path).collect();
    let exact = resources.len();
    snapshot.resources.for_each_prefix(host, path, |of| resources.push(of));
    // Of prefixes the later one has precedence.
    resources[exact..].reverse();
    let mut rules = Vec::new();
    for of in resources {
        for rule in &of.rules {
            let part = if rule.expires_at_s <= now_s {
                Part::Expired
            } else if rule.conditions.is_some() {
                Part::Conditional
            } else {
                Part::Decides
            };
            let hits = filter.hits(snapshot, rule.slot);
            let rule = snapshot.resource_rule(of, rule);
            rules.push(Explained { rule, hits, part, is_of_second: false });
        }
    }
    if found.is_some_and(|found| found.rule().source != LEARNED && found.may_refuse()) {
        // What lists refuse comes before what was learned.
        rules.sort_by_key(|explained| matches!(explained.rule.origin, Origin::Learned(_)));
    }
    // Behind the first rule that decides every request, none has a say.
    let decided = rules.iter().position(|explained| explained.part == Part::Decides);
    override_from(&mut rules, decided.map_or(usize::MAX, |at| at + 1));
    (found, rules)
}

/// From this one on, none has a say.
fn override_from(rules: &mut [Explained], at: usize) {
    for explained in rules.iter_mut().skip(at) {
        if explained.part != Part::Expired {
            explained.part = Part::Overridden;
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Ask => f.write_str("depends on the request"),
            Self::Observe => f.write_str("observe"),
            Self::Tarpit => f.write_str("tarpit"),
            Self::Drop => f.write_str("drop"),
            Self::Deny(status) => write!(f, "deny {}", status.code()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(List::Allow, net) => write!(f, "allow {net}"),
            Self::Client(List::Block, net) => write!(f, "block {net}"),
            Self::Resource(resource, conditions) => write!(f, "{resource}{conditions}"),
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, query, parameter, anonymous, client } = self;
        if let Some(method) = method {
            write!(f, " method={method}")?;
        }
        if let Some(query) = query {
            write!(f, " query={query}")?;
        }
        if let Some((name, value)) = parameter {
            write!(f, " param:{name}={value}")?;
        }
        if *anonymous {
            f.write_str(" anon")?;
        }
        if let Some(client) = client {
            write!(f, " src={client}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.subject, self.verdict)?;
        if let Some(unreadable) = &self.unreadable {
            writeln!(f, "  {unreadable}")?;
        }
        if let Some(second) = &self.second_reading {
            writeln!(f, "  second reading: {second}")?;
        }
        for Explained { rule, hits, part, is_of_second } in &self.rules {
            let part = match part {
                Part::Decides => "decides",
                Part::Conditional => "conditional",
                Part::Overridden => "overridden",
                Part::Expired => "expired",
            };
            let reading = if *is_of_second { " on the second reading" } else { "" };
            write!(f, "  {part}{reading}: {}", rule.line(self.now_s))?;
            writeln!(f, ", {hits} hits")?;
        }
        Ok(())
    }
}

impl Rule {
    /// The rule as one line of text: target, action, time left, origin, reason.
    pub fn line(&self, now_s: u32) -> String {
        let Self { target, action, expires_at_s, origin, reason } = self;
        let left = match expires_at_s {
            &NEVER => "no end".to_owned(),
            end_s if *end_s <= now_s => "ended".to_owned(),
            end_s => format!("{} s left", end_s - now_s),
        };
        let action = match target {
            // Allowed is allowed, whatever the action says.
            Target::Client(List::Allow, _) => String::new(),
            _ => format!("{action}, "),
        };
        let reason = if reason.is_empty() { String::new() } else { format!(", reason: {reason}") };
        format!("{target}: {action}{left}, {origin}{reason}")
    }
}
