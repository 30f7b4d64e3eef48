//! Changing rules and lessons, and telling of it.

use std::time::Instant;

use serde::Serialize;

use super::App;
use crate::access::Caller;
use crate::clock::seconds;
use crate::events::Topic;
use crate::haproxy::Enforcement;
use crate::json::{ChangeJson, Enforced, ResourceJson, RuleJson};
use crate::learned::{Item, LearnedError, Lesson};
use crate::rules::{Applied, Change, Cleared, Effect, End, Entry, RulesError};

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

/// Rules of the record and lessons that a change has made and removed.
#[derive(Clone, Copy)]
struct Count {
    made: usize,
    removed: usize,
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
        let count = Count { made: count - removed - present, removed };
        let (revision, enforcement) = self.settle(count, &effect, began);
        let changed = Changed { entries, present, revision, enforcement };
        let rules = words.into_iter().zip(&changed.entries);
        let rules = rules.filter_map(|(word, entry)| Some(ChangedRule { change: word?, rule: entry.into() }));
        self.tell_rules(caller, count, revision, &changed.enforcement, rules.collect(), now_us);
        Ok(changed)
    }

    /// Makes a lesson a rule of the record, as [`crate::learned::Learned::pin`] does, and what else [`App::change_rules`] does
    /// to a rule that is made.
    ///
    /// # Errors
    /// As there: nothing has changed.
    pub fn pin_lesson(
        &self,
        caller: &Caller,
        id: i64,
        end: End,
        now_us: u64,
    ) -> Result<(Entry, Enforcement), LearnedError> {
        let began = Instant::now();
        let (entry, effect) = self.learned.pin(caller, id, end, now_us)?;
        let count = Count { made: 1, removed: 0 };
        let (revision, enforcement) = self.settle(count, &effect, began);
        let rules = vec![ChangedRule { change: Word::Made, rule: (&entry).into() }];
        self.tell_rules(caller, count, revision, &enforcement, rules, now_us);
        self.tell_lesson(caller, "pinned", Item::Rule(entry.clone()), &enforcement, now_us);
        Ok((entry, enforcement))
    }

    /// Takes a lesson back, as [`crate::learned::Learned::delete`] does, and what else [`App::change_rules`] does to a rule that
    /// is removed.
    ///
    /// # Errors
    /// As there: nothing has changed.
    pub fn delete_lesson(
        &self,
        caller: &Caller,
        id: i64,
        now_us: u64,
    ) -> Result<(Lesson, Enforcement), LearnedError> {
        let began = Instant::now();
        let (lesson, effect) = self.learned.delete(caller, id, now_us)?;
        // Not a rule of the record, so not one of those that are counted.
        let enforcement = self.enforce(&effect);
        self.metrics.count_enforcement(&enforcement, began.elapsed());
        self.tell_lesson(caller, "deleted", Item::Learned(lesson.clone()), &enforcement, now_us);
        Ok((lesson, enforcement))
    }

    /// Removes the rules that have ended from the record, counts them, and lets whoever listens to events hear of it. HAProxy
    /// does not need to be told.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn clear_expired(&self, caller: &Caller, now_us: u64) -> Result<Cleared, RulesError> {
        let cleared = self.rules.clear_expired(caller, now_us)?;
        let count = Count { made: 0, removed: cleared.rules };
        self.metrics.count_rules(count.made, count.removed);
        self.tell_rules(caller, count, None, &Enforcement::InForce, Vec::new(), now_us);
        Ok(cleared)
    }

    /// Waits until HAProxy obeys a change, and counts it; what became of it.
    fn settle(&self, count: Count, effect: &Effect, began: Instant) -> (Option<u64>, Enforcement) {
        let enforcement = self.enforce(effect);
        if count.made + count.removed > 0 {
            self.metrics.count_rules(count.made, count.removed);
            self.metrics.count_enforcement(&enforcement, began.elapsed());
        }
        let revision = match effect {
            Effect::Published(revision) => Some(*revision),
            Effect::StoredOnly(_) => None,
        };
        (revision, enforcement)
    }

    /// Tells whoever listens to events, if there is something to tell.
    fn tell_rules(
        &self,
        caller: &Caller,
        Count { made, removed }: Count,
        revision: Option<u64>,
        enforcement: &Enforcement,
        rules: Vec<ChangedRule>,
        now_us: u64,
    ) {
        if made + removed > 0 {
            let (by, enforcement) = (&*caller.name, enforcement.into());
            let told = RulesChanged { by, made, removed, enforcement, revision, rules };
            self.events.tell(Topic::Rules, &told, now_us);
        }
    }

    fn tell_lesson(
        &self,
        caller: &Caller,
        change: &'static str,
        item: Item,
        enforcement: &Enforcement,
        now_us: u64,
    ) {
        let resource = ResourceJson::new(&item, None, seconds(now_us));
        let told = LessonChanged { change, by: &caller.name, enforcement: enforcement.into(), resource };
        self.events.tell(Topic::Learned, &told, now_us);
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

/// What listeners hear of a lesson that an operator has changed.
#[derive(Serialize)]
struct LessonChanged<'a> {
    change: &'static str,
    by: &'a str,
    enforcement: Enforced,
    resource: ResourceJson,
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
