//! Changing rules, and telling of it.

use std::time::Instant;

use serde::Serialize;

use super::App;
use crate::access::Caller;
use crate::events::Topic;
use crate::haproxy::Enforcement;
use crate::json::{ChangeJson, Enforced, RuleJson};
use crate::rules::{Applied, Change, Effect, Entry, RulesError};

/// Rules that an event has; of more, their number is told.
const MAX_TOLD: usize = 20;

/// What became of changes of the rules.
#[derive(Debug)]
pub struct Changed {
    /// What became of each, in their order: the rule that was made, that was removed, or that was there and stays.
    pub entries: Vec<Entry>,
    /// How many were there and stay.
    pub present: usize,
    /// Of the state directory; none where it does not have them.
    pub revision: Option<u64>,
    /// Whether they are obeyed.
    pub enforcement: Enforcement,
}

impl App {
    /// Makes all these changes, or none, and waits until HAProxy obeys, for [`App::wait`] at most. Whoever listens to events hears of it.
    ///
    /// # Errors
    /// As [`crate::rules::Rules::apply`]: nothing has changed.
    pub fn change_rules(
        &self,
        caller: &Caller,
        changes: Vec<Change>,
        now_us: u64,
    ) -> Result<Changed, RulesError> {
        let began = Instant::now();
        let count = changes.len();
        let removed = changes.iter().filter(|change| matches!(Word::of(change), Some(Word::Removed))).count();
        let words: Vec<_> = changes.iter().take(MAX_TOLD).map(Word::of).collect();
        let Applied { entries, present, effect } = self.rules.apply(caller, changes, now_us)?;
        let made = count - removed - present;
        let enforcement = self.enforce(&effect);
        let revision = match effect {
            Effect::Published(revision) => Some(revision),
            Effect::StoredOnly(_) => None,
        };
        let changed = Changed { entries, present, revision, enforcement };
        if made + removed > 0 {
            self.metrics.count_change(made, removed, &changed.enforcement, began.elapsed());
            let rules = words.into_iter().zip(&changed.entries);
            let told = RulesChanged {
                by: &caller.name,
                made,
                removed,
                enforcement: (&changed.enforcement).into(),
                revision,
                rules: rules
                    .filter_map(|(word, entry)| Some(ChangedRule { change: word?, rule: entry.into() }))
                    .collect(),
            };
            self.events.tell(Topic::Rules, &told, now_us);
        }
        Ok(changed)
    }
}

impl From<&Changed> for ChangeJson {
    fn from(changed: &Changed) -> Self {
        Self::new(&changed.entries, changed.revision, &changed.enforcement)
    }
}

/// What listeners hear.
#[derive(Serialize)]
struct RulesChanged<'a> {
    by: &'a str,
    made: usize,
    removed: usize,
    enforcement: Enforced,
    revision: Option<u64>,
    /// The first of them.
    rules: Vec<ChangedRule>,
}

#[derive(Serialize)]
struct ChangedRule {
    change: Word,
    #[serde(flatten)]
    rule: RuleJson,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Made,
    Removed,
}

impl Word {
    /// None where nobody knows before whether there is one already.
    fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Put(..) => Some(Self::Made),
            Change::Adopt { .. } => None,
            Change::Remove(_) | Change::RemoveNumber(_) => Some(Self::Removed),
        }
    }
}
