//! What the rules of the record would do with a client or a request, and why.

use std::net::IpAddr;

use edge_filter::{
    ClientNet, Decision, Explanation, Filter, Operation, Part, Request, Settings, Target, UnreadablePath,
    Verdict, canonical_host, canonical_path, path_readings, split_base,
};
use edge_journal::MAX_PATH_BYTES;

use super::input::{Defect, Invalid, target};
use super::{Entry, RulesError, behind_scheme, covering};
use crate::store::View;

/// Longest host that is looked at, bytes.
const MAX_HOST_BYTES: usize = 1024;

/// Whom or what to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A client.
    Address(IpAddr),
    /// Requests for this, `host/path` or `/path`.
    Resource(String),
    /// One request, about which conditions decide too.
    Request {
        /// As of [`Question::Resource`], with its query.
        base: String,
        /// As sent.
        method: String,
        /// Without a session.
        is_anonymous: bool,
        /// Of this client, if that is known.
        client: Option<IpAddr>,
    },
}

/// The answer, by the matcher of the data path itself, on the rules that take the subject in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for, in canonical form.
    pub subject: String,
    /// Host and path in the other reading, where the path has two.
    pub second_reading: Option<String>,
    /// Why the path is refused whatever the rules say.
    pub unreadable: Option<UnreadablePath>,
    /// What the rules of the record come to. [`Verdict::Ask`] where conditions decide.
    pub verdict: Verdict,
    /// The rules that take it in, the one with most precedence first.
    pub rules: Vec<AnsweredRule>,
}

/// A rule that takes the subject in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredRule {
    /// Its part.
    pub part: Part,
    /// Whether it is about the second reading of the path.
    pub is_of_second: bool,
    /// The rule.
    pub entry: Entry,
}

impl std::str::FromStr for Question {
    type Err = Invalid;

    /// An address, or a URL, `host/path` or `/path`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(rest) = behind_scheme(text) {
            let has_host = rest.starts_with(|first| !"/?#".contains(first));
            return if has_host { Self::resource(rest) } else { Err(Self::unclear(text)) };
        }
        match text.parse() {
            Ok(addr) => Ok(Self::Address(addr)),
            Err(_) if !text.contains('/') || matches!(target(text, ""), Ok(Target::Client(..))) => {
                Err(Self::unclear(text))
            }
            Err(_) => Self::resource(text),
        }
    }
}

impl Question {
    fn unclear(text: &str) -> Invalid {
        Invalid::new("subject", text, Defect::Subject)
    }

    /// With a path that a rule may have: each of its prefixes is looked for.
    fn resource(base: &str) -> Result<Self, Invalid> {
        let (_, path) = split_base(base.as_bytes());
        match canonical_path(path, Default::default(), &mut vec![0; MAX_PATH_BYTES]) {
            Ok(path) if path.len() <= MAX_PATH_BYTES => Ok(Self::Resource(base.to_owned())),
            _ => Err(Invalid::new("subject", base, Defect::LongPath)),
        }
    }

    /// All rules that may take it in. Their targets are made one at a time: those of a path of thousands of segments would
    /// take hundreds of megabytes.
    fn entries(&self, record: &View<'_>, settings: &Settings) -> Result<Vec<Entry>, RulesError> {
        match self {
            Self::Address(addr) => {
                let nets = covering(ClientNet::host(*addr));
                Ok(record.on(nets.flat_map(|net| [("allow", net.clone()), ("block", net)]))?)
            }
            Self::Resource(base) | Self::Request { base, .. } => {
                let (host, path) = split_base(base.as_bytes());
                let mut host_buffer = vec![0; MAX_HOST_BYTES];
                let (mut first, mut second) = (vec![0; MAX_PATH_BYTES], vec![0; MAX_PATH_BYTES]);
                let host = canonical_host(host, &mut host_buffer);
                let Ok(paths) = path_readings(path, settings, &mut first, &mut second) else {
                    return Ok(Vec::new());
                };
                let mut entries = Vec::new();
                for path in std::iter::once(paths.first).chain(paths.second) {
                    let found =
                        on_path(record, &String::from_utf8_lossy(host), &String::from_utf8_lossy(path))?;
                    // The readings may have a prefix in common.
                    let is_new = |entry: &Entry| entries.iter().all(|known: &Entry| known.id != entry.id);
                    let found: Vec<_> = found.into_iter().filter(is_new).collect();
                    entries.extend(found);
                }
                Ok(entries)
            }
        }
    }
}

/// All rules that may take in this path on this host.
fn on_path(record: &View<'_>, host: &str, path: &str) -> Result<Vec<Entry>, RulesError> {
    let hosts = std::iter::once("").chain((!host.is_empty()).then_some(host));
    let targets = hosts.flat_map(|host| {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        let prefixes = above.chain((!path.ends_with('/')).then_some(path));
        let prefixes = prefixes.map(move |prefix| ("prefix", format!("{host}{prefix}/*")));
        prefixes.chain(std::iter::once_with(move || ("exact", format!("{host}{path}"))))
    });
    Ok(record.on(targets)?)
}

/// Conditions of which nothing was known have been decided.
fn settle(explanation: &mut Explanation, decision: Decision) {
    explanation.verdict = decision.verdict;
    let Some(rule) = decision.rule else { return };
    let mut rules = explanation.rules.iter_mut().skip_while(|explained| explained.rule.target != rule.target);
    if let Some(deciding) = rules.next() {
        deciding.part = Part::Decides;
    }
    for explained in rules {
        explained.part = Part::Overridden;
    }
}

/// What the rules of the record that have not ended come to. O(log rules), for each prefix of the subject.
///
/// # Errors
/// The record cannot be read.
pub fn explain(record: &View<'_>, question: &Question, now_s: u32) -> Result<Answer, RulesError> {
    let settings = record.caps()?.paths.of_filter(MAX_PATH_BYTES);
    let mut entries = question.entries(record, &settings)?;
    entries.retain(|entry| !entry.has_ended(now_s));
    let filter = Filter::new(settings);
    for entry in &entries {
        // This thread applies each at once: the queue is never full.
        let _ = filter.submit(Operation::Put(entry.rule.clone()), now_s);
    }
    let mut reader = filter.reader();
    let mut explanation = match question {
        Question::Address(addr) => reader.explain_address(*addr, now_s),
        Question::Resource(base) | Question::Request { base, .. } => {
            reader.explain_resource(base.as_bytes(), now_s)
        }
    };
    if let Question::Request { base, method, is_anonymous, client } = question {
        let (host, path) = split_base(base.as_bytes());
        let query = base.split_once('?').map_or("", |(_, query)| query).split('#').next().unwrap_or_default();
        let (method, query) = (method.as_bytes(), query.as_bytes());
        let request = Request { host, path, query, method, anonymous: *is_anonymous, client: *client };
        settle(&mut explanation, reader.check_resource(&request, now_s));
    }
    let Explanation { subject, second_reading, unreadable, verdict, rules, .. } = explanation;
    let with_entry = rules.into_iter().filter_map(|explained| {
        let entry = entries.iter().find(|entry| entry.rule.target == explained.rule.target)?;
        let (part, is_of_second) = (explained.part, explained.is_of_second);
        Some(AnsweredRule { part, is_of_second, entry: entry.clone() })
    });
    Ok(Answer { subject, second_reading, unreadable, verdict, rules: with_entry.collect() })
}
