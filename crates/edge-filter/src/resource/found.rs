//! What a search for the rule that decides has come to.

use super::table::{ResourceRule, ResourceRules};
use super::{Query, Request};
use crate::snapshot::LEARNED;

/// What is known of a request when a rule is held against it.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    /// Host and path only: a rule with conditions cannot be decided.
    Resource,
    /// Everything, but for a query that is too long.
    Request(&'a Request<'a>, Query<'a>),
}

/// What was found for a request.
#[derive(Clone, Copy)]
pub(crate) enum Found<'a> {
    /// This rule of this resource matches.
    Rule(&'a ResourceRules, &'a ResourceRule),
    /// This rule may match: its conditions cannot be decided by what is known.
    Undecided(&'a ResourceRule),
}

impl<'a> Found<'a> {
    pub(crate) fn rule(self) -> &'a ResourceRule {
        let (Self::Rule(_, rule) | Self::Undecided(rule)) = self;
        rule
    }

    /// How strictly it decides beside what the other reading of the path came to: what refuses before what may, and what a
    /// list refuses before what was learned, which lets a request through now and then.
    pub(crate) fn strictness_of(found: Option<Self>) -> u8 {
        match found {
            Some(Self::Rule(_, rule)) if rule.action.refuses() => 3 + u8::from(rule.source != LEARNED),
            Some(Self::Undecided(_)) => 2,
            Some(Self::Rule(..)) => 1,
            None => 0,
        }
    }

    /// Whether this rule refuses, or may stand before one that does.
    #[inline]
    pub(crate) fn may_refuse(self) -> bool {
        match self {
            Self::Rule(_, rule) => rule.action.refuses(),
            Self::Undecided(_) => true,
        }
    }
}

/// The first rules, in the order of precedence, that may decide: of all, and of those of lists.
#[derive(Clone, Copy, Default)]
pub(super) struct Candidates<'a> {
    any: Option<Found<'a>>,
    pub(super) listed: Option<Found<'a>>,
}

impl<'a> Candidates<'a> {
    #[inline]
    pub(super) fn of(found: Found<'a>) -> Self {
        Self { any: Some(found), listed: Some(found).filter(|found| found.rule().source != LEARNED) }
    }

    /// Together with those of less precedence.
    #[inline]
    pub(super) fn or(self, less: Self) -> Self {
        Self { any: self.any.or(less.any), listed: self.listed.or(less.listed) }
    }

    /// A backend must not open what the operator has closed. A rule whose conditions are not known to hold may hide one
    /// that refuses: then the whole request decides.
    #[inline]
    pub(super) fn deciding(self) -> Option<Found<'a>> {
        self.listed.filter(|found| found.may_refuse()).or(self.any)
    }
}
