//! Why a client or a request is refused or not.

use std::time::{Duration, Instant};

use edge_filter::{Part, Verdict};

use super::moment::Moment;
use crate::api::{ApiError, App};
use crate::haproxy;
use crate::json::{PartName, RuleJson};
use crate::rules::{Answer, Question, RulesError, explain};

/// How long HAProxy is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answer, in the words of a page.
pub(super) struct Explained {
    pub(super) subject: String,
    pub(super) verdict: String,
    pub(super) is_refused: bool,
    pub(super) parts: Vec<ExplainedPart>,
    /// What HAProxy says, by all that it knows.
    pub(super) haproxy: Option<String>,
}

pub(super) struct ExplainedPart {
    pub(super) part: &'static str,
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
    let Answer { subject: canonical, verdict, rules } = answer;
    let parts = rules.into_iter().map(|(part, entry)| ExplainedPart {
        part: name(part),
        ends: entry.expires_at_s().map(|end_s| Moment::new(end_s, now_s)),
        rule: RuleJson::from(&entry),
    });
    Ok(Explained {
        subject: canonical,
        verdict: verdict.to_string(),
        is_refused: matches!(verdict, Verdict::Deny(_) | Verdict::Drop | Verdict::Tarpit),
        parts: parts.collect(),
        haproxy: haproxy::explain(&app.sockets, &subject, Instant::now() + PATIENCE),
    })
}

fn name(part: Part) -> &'static str {
    PartName::from(part).as_str()
}
