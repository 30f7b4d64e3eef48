//! Why a client or a request is refused or not.

use std::time::{Duration, Instant};

use edge_filter::{Part, Verdict};

use super::moment::Moment;
use crate::api::{ApiError, App};
use crate::haproxy::{self, Explanation};
use crate::json::{PartName, RuleJson};
use crate::rules::{Answer, AnsweredRule, Question, RulesError, explain};

/// How long HAProxy is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answer, in the words of a page.
pub(super) struct Explained {
    pub(super) subject: String,
    /// Host and path in the other reading, where the path has two.
    pub(super) second_reading: Option<String>,
    /// Why the path is refused whatever the rules say.
    pub(super) unreadable: Option<String>,
    /// Of HAProxy, which knows most, where it has answered; else that of the record.
    pub(super) verdict: Verdict,
    pub(super) is_by_record: bool,
    /// What the rules of the record come to.
    pub(super) recorded: Verdict,
    pub(super) parts: Vec<ExplainedPart>,
    /// What HAProxy says, by all that it knows.
    pub(super) haproxy: Explanation,
}

pub(super) struct ExplainedPart {
    pub(super) part: &'static str,
    pub(super) is_of_second: bool,
    pub(super) rule: RuleJson,
    pub(super) ends: Option<Moment>,
}

/// Asks the record, and HAProxy about the same.
pub(super) fn explained(app: &App, question: &Question, now_s: u32) -> Result<Explained, ApiError> {
    let answer = app.store.read::<_, RulesError>(|view| explain(view, question, now_s))?;
    let subject = match question {
        Question::Address(addr) => addr.to_string(),
        Question::Resource(base) | Question::Request { base, .. } => base.clone(),
    };
    let Answer { subject: canonical, second_reading, unreadable, verdict, rules } = answer;
    let parts = rules.into_iter().map(|AnsweredRule { part, is_of_second, entry }| ExplainedPart {
        is_of_second,
        part: name(part),
        ends: entry.expires_at_s().map(|end_s| Moment::new(end_s, now_s)),
        rule: RuleJson::from(&entry),
    });
    let haproxy = haproxy::explain(&app.sockets, &subject, Instant::now() + PATIENCE);
    // HAProxy is asked without the method and the client, by which conditions were decided here.
    let is_settled = matches!(question, Question::Request { .. });
    let said = haproxy.verdict().filter(|said| !(is_settled && *said == Verdict::Ask));
    Ok(Explained {
        subject: canonical,
        second_reading,
        unreadable: unreadable.map(|unreadable| unreadable.to_string()),
        verdict: said.unwrap_or(verdict),
        is_by_record: said.is_none(),
        recorded: verdict,
        parts: parts.collect(),
        haproxy,
    })
}

fn name(part: Part) -> &'static str {
    PartName::from(part).as_str()
}
