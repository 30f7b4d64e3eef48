//! What a backend taught, as the record has it.

use std::sync::Arc;

use edge_filter::{Origin, Provenance, Rule};

/// What a backend taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Its number, which the next lesson about the same target keeps.
    pub id: i64,
    /// The rule; its origin is what taught it.
    pub rule: Rule,
    /// When and by whom it was taken back, if it was.
    pub over: Option<Over>,
    /// Whether the manager's files in the state directory speak of it.
    pub is_published: bool,
}

/// The end of a lesson before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The stamp, microseconds since the Unix epoch: older lessons about the target are over too.
    pub at_us: u64,
    /// Who took it back.
    pub by: String,
}

impl Over {
    /// Who takes a lesson back in a worker's journal: a backend, or a list that has the target now.
    pub(super) const BY_BACKEND: &str = "backend";
}

impl Lesson {
    /// What taught it.
    pub fn provenance(&self) -> Option<&Provenance> {
        match &self.rule.origin {
            Origin::Learned(from) => Some(from),
            Origin::List(_) => None,
        }
    }

    /// The stamp of the lesson, microseconds since the Unix epoch.
    pub fn learned_at_us(&self) -> u64 {
        self.provenance().map_or(0, |from| from.learned_at_us)
    }

    /// Whether it is obeyed, but for what lists say of its target.
    pub fn holds(&self, now_s: u32) -> bool {
        self.over.is_none() && self.rule.expires_at_s > now_s
    }

    /// What the manager's files say of it: the lesson with its own stamp. One that is over is a later lesson about the same
    /// target which ended at once, so the last stamp wins here too: a lesson that was given since stays.
    pub(crate) fn published(&self) -> Rule {
        let mut rule = self.rule.clone();
        if let (Some(over), Some(from)) = (&self.over, self.provenance()) {
            rule.expires_at_s = 0;
            rule.origin = Origin::Learned(Arc::new(Provenance { learned_at_us: over.at_us, ..from.clone() }));
        }
        rule
    }
}
