//! Rules from elsewhere.

use edge_filter::{List, NEVER, Origin, Target};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rules::{Change, End, Input, Invalid, NewRule};

/// A rule from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The rule.
    pub new: NewRule,
    /// When it was made there, seconds since the Unix epoch, if that is known.
    pub created_at_s: Option<u32>,
}

impl From<Foreign> for Change {
    fn from(Foreign { new, created_at_s }: Foreign) -> Self {
        Self::Adopt { new, created_at_s }
    }
}

/// What rules get that come from a source which does not say it.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Whether they allow.
    pub allows: bool,
    /// What is done; see [`Input::action`].
    pub action: String,
    /// Why, for people.
    pub reason: String,
    /// The list that they belong to.
    pub list: String,
    /// Who makes them.
    pub by: String,
    /// When they end.
    pub end: End,
}

impl Terms {
    pub(super) fn input<'a>(&'a self, target: &'a str) -> Input<'a> {
        let Self { allows, action, reason, list, by, end } = self;
        Input { allows: *allows, target, conditions: "", action, end: *end, reason, list, by }
    }
}

/// A rule as it is exported and sent from one manager to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ForeignRule)]
#[serde(default, deny_unknown_fields)]
pub struct ForeignJson {
    /// `allow`, `block` or `resource`.
    pub kind: String,
    /// As [`Input::target`].
    pub target: String,
    /// As [`Input::conditions`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conditions: String,
    /// As [`Input::action`].
    pub action: String,
    /// Seconds since the Unix epoch; none for a rule that never ends.
    pub expires_at_s: Option<u32>,
    /// The list that it belongs to.
    pub list: String,
    /// Why, for people.
    pub reason: String,
    /// Seconds since the Unix epoch.
    pub created_at_s: Option<u32>,
    /// Who made it.
    pub created_by: String,
}

impl ForeignJson {
    /// Of a rule that is to be sent.
    pub fn of(Foreign { new: NewRule { rule, by }, created_at_s }: &Foreign) -> Self {
        let (kind, target, conditions) = match &rule.target {
            Target::Client(List::Allow, net) => ("allow", net.to_string(), String::new()),
            Target::Client(List::Block, net) => ("block", net.to_string(), String::new()),
            Target::Resource(resource, conditions) => {
                ("resource", resource.to_string(), conditions.to_string().trim_start().to_owned())
            }
        };
        let list = match &rule.origin {
            Origin::List(name) => name.to_string(),
            Origin::Learned(_) => String::new(),
        };
        Self {
            kind: kind.to_owned(),
            target,
            conditions,
            action: rule.action.to_string(),
            expires_at_s: Some(rule.expires_at_s).filter(|end_s| *end_s != NEVER),
            list,
            reason: rule.reason.to_string(),
            created_at_s: *created_at_s,
            created_by: by.clone(),
        }
    }

    /// The rule that is meant.
    ///
    /// # Errors
    /// The first value that cannot be taken.
    pub fn parse(&self, now_us: u64) -> Result<Foreign, Invalid> {
        let Self { kind, target, conditions, action, expires_at_s, list, reason, created_at_s, created_by } =
            self;
        let end = expires_at_s.map_or(End::Never, |at_s| End::At(at_s.into()));
        let allows = kind == "allow";
        let input = Input { allows, target, conditions, action, end, reason, list, by: created_by };
        Ok(Foreign { new: input.parse(now_us)?, created_at_s: *created_at_s })
    }
}
