//! What a worker says of itself.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use edge_filter::{Action, Verdict};
use serde::Deserialize;

use super::socket::ask;

/// What a worker answers to `show edge status`, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct WorkerStatus {
    /// Of the module.
    pub version: String,
    /// Whether its converters are native.
    pub native: bool,
    /// Of the manager's rules in force, 0 for none.
    pub revision: u64,
    /// Rules in force.
    pub rules: RuleCounts,
    /// What came of requests; none from a module that does not tell it.
    #[serde(default)]
    pub traffic: Option<TrafficCounts>,
    /// The state directory, if it follows one.
    #[serde(default)]
    pub state: Option<StateReport>,
}

/// How many rules of each kind a worker has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RuleCounts {
    /// Clients that are never blocked.
    pub allow: u64,
    /// Clients that are refused.
    pub block: u64,
    /// Requests for resources.
    pub resource: u64,
    /// Those of them that were learned.
    pub learned: u64,
}

/// What came of requests since a worker started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TrafficCounts {
    /// Requests that were judged.
    pub requests: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Responses that taught something.
    pub learned: u64,
}

/// What a worker says of its state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StateReport {
    /// What does not work at the moment, a line each.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl WorkerStatus {
    /// Asks the worker at this stats socket.
    ///
    /// # Errors
    /// Nobody listens, the deadline has come, or it is no worker with the filter.
    pub fn ask(socket: &Path, deadline: Instant) -> io::Result<Self> {
        let answer = ask(socket, "show edge status", deadline)?;
        serde_json::from_str(&answer)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the filter is not at work in it"))
    }
}

/// What became of asking HAProxy why it refuses something or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// The words of `get edge`.
    Said(String),
    /// Nobody was asked: it has characters that mean something else in a command.
    Unspeakable,
    /// Nobody answered.
    Unreached,
}

/// What the first worker that answers would do with a client or a request, and why: by all that it knows, lessons and lists of
/// files too. `subject` is an address, a URL, `host/path` or `/path`.
pub fn explain(sockets: &[PathBuf], subject: &str, deadline: Instant) -> Explanation {
    let is_plain = subject.bytes().all(|b| b.is_ascii_graphic() && !b";\\\"'".contains(&b));
    if !is_plain || subject.is_empty() {
        return Explanation::Unspeakable;
    }
    let command = format!("get edge {subject}");
    let answers = sockets.iter().filter_map(|socket| ask(socket, &command, deadline).ok());
    let mut answers = answers.map(|answer| answer.trim_end().to_owned());
    answers.find(|answer| !answer.is_empty()).map_or(Explanation::Unreached, Explanation::Said)
}

impl Explanation {
    /// What it comes to: `get edge` begins with it, behind the subject. None of words that are no such answer.
    pub fn verdict(&self) -> Option<Verdict> {
        let Self::Said(words) = self else { return None };
        let (_, verdict) = words.lines().next()?.rsplit_once(": ")?;
        let without_action =
            [Verdict::Pass, Verdict::Ask].into_iter().find(|known| known.to_string() == verdict);
        without_action.or_else(|| verdict.parse().ok().map(Action::verdict))
    }
}

/// A line of `show edge rules`: the target, what is said of it, and its hits.
pub fn rule_line(line: &str) -> Option<(&str, &str, u64)> {
    let (target, rest) = line.split_once(": ")?;
    let (rest, hits) = rest.rsplit_once(", ")?;
    Some((target, rest, hits.strip_suffix(" hits")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_whatever_else_it_says() {
        let text = r#"{"version": "0.1.0", "native": true, "revision": 7, "publications_total": 9,
            "rules": {"allow": 1, "block": 2, "resource": 3, "learned": 1}, "lists": [],
            "traffic": {"requests": 10, "refused": 4, "learned": 1},
            "state": {"present": true, "problems": ["cannot write"]}, "panics": 0}"#;
        let status: WorkerStatus = serde_json::from_str(text).unwrap();
        assert_eq!((status.revision, status.rules.block), (7, 2));
        assert_eq!(status.traffic.unwrap().refused, 4);
        assert_eq!(status.state.unwrap().problems, ["cannot write"]);
    }

    #[test]
    fn a_line_of_a_rule_is_target_words_and_hits() {
        let line = "block 192.0.2.1: deny 403, no end, list manual, reason: a: b, 9 hits, 12 hits";
        let read = ("block 192.0.2.1", "deny 403, no end, list manual, reason: a: b, 9 hits", 12);
        assert_eq!(rule_line(line), Some(read));
        for line in ["", "Say: show edge rules [ip|resource]", "/a: deny 404, no end, list, x hits", "no"] {
            assert_eq!(rule_line(line), None, "{line}");
        }
    }

    #[test]
    fn only_what_a_command_may_have_is_asked_for() {
        let deadline = Instant::now();
        for subject in ["", "a b", "192.0.2.1\nshutdown sessions", "a;show info", "/it's", "\u{e4}/"] {
            assert_eq!(
                explain(&["/nowhere".into()], subject, deadline),
                Explanation::Unspeakable,
                "{subject}"
            );
        }
        assert_eq!(explain(&["/nowhere".into()], "192.0.2.1", deadline), Explanation::Unreached);
    }

    #[test]
    fn an_answer_begins_with_the_subject_and_the_verdict() {
        let verdict = |words: &str| Explanation::Said(words.to_owned()).verdict();
        for (words, code) in [
            ("192.0.2.1: pass", 0),
            ("2001:db8::1: tarpit\n  decides: block 2001:db8::/32: deny 404", 2),
            ("www.example/a: deny 404\n  decides: ...", 404),
            ("/a: depends on the request", -1),
            ("/a: observe", 1),
        ] {
            assert_eq!(verdict(words).map(Verdict::code), Some(code), "{words}");
        }
        for words in ["no answer: this thread is in a lookup", "say: get edge <ip or url>", "revision 7", ""]
        {
            assert_eq!(verdict(words), None, "{words}");
        }
    }
}
