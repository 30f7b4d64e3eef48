//! Why a client or a request is refused or not.

use edge_filter::Part;
use serde::Serialize;
use utoipa::ToSchema;

use super::RuleJson;
use crate::rules::{Answer, AnsweredRule};

/// What the rules of the record come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationJson {
    /// What was asked for, in canonical form.
    pub subject: String,
    /// Host and path in the other reading, where the path has two: a rule on either is a rule on the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_reading: Option<String>,
    /// Why the path is refused, whatever the rules say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// `pass`, `observe`, `tarpit`, `drop`, `deny` with a status, or `depends on the request` where conditions decide.
    pub verdict: String,
    /// The integer of haproxy.cfg: 0 pass, 1 observe, 2 tarpit, 3 drop, 400 to 599 a status, -1 conditions decide.
    #[schema(minimum = -1, maximum = 599)]
    pub code: i16,
    /// The rules that take it in, the one with most precedence first.
    pub rules: Vec<PartJson>,
}

/// A rule and its part in a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExplainedRule)]
pub struct PartJson {
    /// Its part.
    pub part: PartName,
    /// Whether it is about the second reading of the path; absent for false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_second_reading: bool,
    /// How long it will be obeyed, seconds; null for a rule that never ends.
    #[schema(required, format = Int64, maximum = 4_294_967_294_u64)]
    pub left_s: Option<u32>,
    /// The rule.
    #[serde(flatten)]
    pub rule: RuleJson,
}

/// The part of a rule in a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartName {
    /// It decides.
    Decides,
    /// It decides about requests that meet its conditions.
    Conditional,
    /// Another has precedence.
    Overridden,
    /// Its end has come.
    Expired,
}

impl From<Part> for PartName {
    fn from(part: Part) -> Self {
        match part {
            Part::Decides => Self::Decides,
            Part::Conditional => Self::Conditional,
            Part::Overridden => Self::Overridden,
            Part::Expired => Self::Expired,
        }
    }
}

impl PartName {
    /// The word, as `get edge` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decides => "decides",
            Self::Conditional => "conditional",
            Self::Overridden => "overridden",
            Self::Expired => "expired",
        }
    }
}

impl ExplanationJson {
    /// Of this answer, given at this time.
    pub fn new(answer: &Answer, now_s: u32) -> Self {
        let rules = answer.rules.iter().map(|AnsweredRule { part, is_of_second, entry }| PartJson {
            part: (*part).into(),
            on_second_reading: *is_of_second,
            left_s: entry.expires_at_s().map(|end_s| end_s.saturating_sub(now_s)),
            rule: entry.into(),
        });
        Self {
            subject: answer.subject.clone(),
            second_reading: answer.second_reading.clone(),
            unreadable: answer.unreadable.map(|unreadable| unreadable.to_string()),
            verdict: answer.verdict.to_string(),
            code: answer.verdict.code(),
            rules: rules.collect(),
        }
    }
}
