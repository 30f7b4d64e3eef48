//! What the rules of the record would do with a client or a request, and why.

use std::net::IpAddr;

use edge_filter::{
    ClientNet, Explanation, Filter, Operation, Part, Settings, Target, Verdict, canonical_host,
    canonical_path, split_base,
};

use super::input::{Defect, Invalid, target};
use super::{Entry, RulesError};
use crate::store::View;

/// Longest host and path that are looked at, bytes.
const MAX_HOST_BYTES: usize = 1024;
const MAX_PATH_BYTES: usize = 64 << 10;

/// Whom or what to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A client.
    Address(IpAddr),
    /// A request for this, `host/path` or `/path`.
    Resource(String),
}

/// The answer, by the matcher of the data path itself, on the rules that take the subject in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for, in canonical form.
    pub subject: String,
    /// What the rules of the record come to. [`Verdict::Ask`] where conditions decide.
    pub verdict: Verdict,
    /// The rules that take it in, the one with most precedence first.
    pub rules: Vec<(Part, Entry)>,
}

impl std::str::FromStr for Question {
    type Err = Invalid;

    /// An address, or a URL, `host/path` or `/path`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let scheme = ["http://", "https://"].into_iter().find_map(|scheme| {
            let (head, rest) = text.split_at_checked(scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then_some(rest)
        });
        if let Some(rest) = scheme {
            let has_host = rest.starts_with(|first| !"/?#".contains(first));
            return if has_host { Ok(Self::Resource(rest.to_owned())) } else { Err(Self::unclear(text)) };
        }
        match text.parse() {
            Ok(addr) => Ok(Self::Address(addr)),
            Err(_) if !text.contains('/') || matches!(target(text, ""), Ok(Target::Client(..))) => {
                Err(Self::unclear(text))
            }
            Err(_) => Ok(Self::Resource(text.to_owned())),
        }
    }
}

impl Question {
    fn unclear(text: &str) -> Invalid {
        Invalid::new("subject", text, Defect::Subject)
    }

    /// The targets of all rules that may take it in.
    fn targets(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Address(addr) => {
                let addr = addr.to_canonical();
                let nets = (0..=if addr.is_ipv4() { 32 } else { 128 }).rev();
                let nets = nets.filter_map(|bits| ClientNet::new(addr, bits).ok()).map(|net| net.to_string());
                nets.flat_map(|net| [("allow", net.clone()), ("block", net)]).collect()
            }
            Self::Resource(base) => {
                let (host, path) = split_base(base.as_bytes());
                let (mut host_buffer, mut path_buffer) = (vec![0; MAX_HOST_BYTES], vec![0; MAX_PATH_BYTES]);
                let host = canonical_host(host, &mut host_buffer);
                let Ok(path) = canonical_path(path, Default::default(), &mut path_buffer) else {
                    return Vec::new();
                };
                let (host, path) = (String::from_utf8_lossy(host), String::from_utf8_lossy(path));
                let mut prefixes: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
                prefixes.extend((!path.ends_with('/')).then_some(&*path));
                let hosts = std::iter::once("").chain((!host.is_empty()).then_some(&*host));
                hosts
                    .flat_map(|host| {
                        let prefixes =
                            prefixes.iter().map(move |prefix| ("prefix", format!("{host}{prefix}/*")));
                        prefixes.chain([("exact", format!("{host}{path}"))])
                    })
                    .collect()
            }
        }
    }
}

/// What the rules of the record that have not ended come to. O(log rules), for each prefix of the subject.
///
/// # Errors
/// The record cannot be read.
pub fn explain(record: &View<'_>, question: &Question, now_s: u32) -> Result<Answer, RulesError> {
    let mut entries = record.on(question.targets())?;
    entries.retain(|entry| !entry.has_ended(now_s));
    let filter =
        Filter::new(Settings { max_path_bytes: edge_journal::MAX_PATH_BYTES, ..Settings::default() });
    for entry in &entries {
        // This thread applies each at once: the queue is never full.
        let _ = filter.submit(Operation::Put(entry.rule.clone()), now_s);
    }
    let mut reader = filter.reader();
    let Explanation { subject, verdict, rules, .. } = match question {
        Question::Address(addr) => reader.explain_address(*addr, now_s),
        Question::Resource(base) => reader.explain_resource(base.as_bytes(), now_s),
    };
    let with_entry = rules.into_iter().filter_map(|explained| {
        let entry = entries.iter().find(|entry| entry.rule.target == explained.rule.target)?;
        Some((explained.part, entry.clone()))
    });
    Ok(Answer { subject, verdict, rules: with_entry.collect() })
}
