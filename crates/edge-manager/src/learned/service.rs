//! What the API and the command line do with lessons.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use edge_filter::{Operation, Origin, Target};
use edge_journal::MAX_REASON_BYTES;
use parking_lot::Mutex;

use super::follower::Follower;
use super::hits::{Hits, Seen};
use super::page::page;
use super::{Item, LearnedError, Lesson, Over, ResourceId, ResourceSelection, Round};
use crate::access::Caller;
use crate::clock::seconds;
use crate::rules::{
    Applied, Change, Effect, End, Entry, IfPresent, Maker, NewRule, Rules, RulesError, expiry, log,
};
use crate::store::{Changes, DONE, Deed};

/// The list of lessons that were made to stay.
pub const PINNED: &str = "pinned";

/// The lessons of the record.
#[derive(Debug)]
pub struct Learned {
    rules: Arc<Rules>,
    follower: Mutex<Follower>,
    hits: Hits,
    /// Stats sockets of the workers, which are asked for hits.
    sockets: Vec<PathBuf>,
}

impl Learned {
    /// Of these rules, in this state directory, which need not be there.
    ///
    /// # Errors
    /// The path can be no directory.
    pub fn open(rules: Arc<Rules>, state_dir: &Path, sockets: Vec<PathBuf>, now_us: u64) -> io::Result<Self> {
        let follower = Mutex::new(Follower::open(state_dir, now_us)?);
        Ok(Self { rules, follower, hits: Hits::default(), sockets })
    }

    /// The rules beside which the lessons are.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Reads on what workers have learned since the last round: to be called every 100 ms or so by one thread.
    ///
    /// # Errors
    /// The record cannot be read or written; all is read again by the rounds that follow.
    pub fn round(&self, now_us: u64) -> Result<Round, RulesError> {
        self.follower.lock().round(&self.rules, now_us)
    }

    /// Looks now and then how often rules were obeyed, so that it is known when that was: to be called with each round, by
    /// the same thread.
    pub fn look_at_hits(&self, now_us: u64) {
        self.hits.look_now_and_then(&self.sockets, now_us);
    }

    /// A page of rules on resources, each with how often it was obeyed: as of a second ago at most, or, where a worker does
    /// not answer, as it said last.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn list(
        &self,
        selection: &ResourceSelection,
        now_us: u64,
    ) -> Result<Vec<(Item, Option<Seen>)>, RulesError> {
        let items = self.rules.record().read(|view| page(view, selection, seconds(now_us)))?;
        self.hits.refresh(&self.sockets, now_us);
        let with_hits = |item: Item| {
            let seen = self.hits.of(item.target());
            (item, seen)
        };
        Ok(items.into_iter().map(with_hits).collect())
    }

    /// Removes any of them: a lesson as [`Learned::delete`] does, a rule of the record for good.
    ///
    /// # Errors
    /// There is no such rule on a resource in force, or the record cannot be written: nothing has changed.
    pub fn remove(
        &self,
        caller: &Caller,
        id: ResourceId,
        now_us: u64,
    ) -> Result<(Item, Effect), LearnedError> {
        match id {
            ResourceId::Learned(id) => {
                let (lesson, effect) = self.delete(caller, id, now_us)?;
                Ok((Item::Learned(lesson), effect))
            }
            ResourceId::Rule(number) => {
                let entry = self.rule(number)?;
                let Applied { effect, .. } =
                    self.rules.apply(caller, [Change::RemoveNumber(number)], now_us)?;
                Ok((Item::Rule(entry), effect))
            }
        }
    }

    /// The rule of the record of this number, if it is on a resource.
    ///
    /// # Errors
    /// It is not, or the record cannot be read.
    pub fn rule(&self, number: i64) -> Result<Entry, LearnedError> {
        let found = self.rules.record().read(|view| Ok::<_, RulesError>(view.entry(number)?))?;
        let is_resource = |entry: &Entry| matches!(entry.rule.target, Target::Resource(..));
        found.filter(is_resource).ok_or(LearnedError::Absent(ResourceId::Rule(number)))
    }

    /// Takes a lesson back in every worker, until a backend gives it anew, and notes who had it done.
    ///
    /// # Errors
    /// There is no such lesson in force, or the record cannot be written: nothing has changed.
    pub fn delete(&self, caller: &Caller, id: i64, now_us: u64) -> Result<(Lesson, Effect), LearnedError> {
        let began = Instant::now();
        let (lesson, effect) = self.rules.change(now_us, |record| {
            let Some(lesson) = in_force(record, id, now_us)? else { return Ok((None, Vec::new())) };
            let lesson = take_back(record, lesson, caller, now_us)?;
            note(record, caller, "lessons.delete", &lesson, now_us, began)?;
            let operation = Operation::Put(lesson.published());
            Ok((Some(lesson), vec![operation]))
        })?;
        let lesson = lesson.ok_or(LearnedError::Absent(ResourceId::Learned(id)))?;
        log(caller, "lessons.delete", &lesson.rule.target.to_string(), &effect, began.elapsed());
        Ok((lesson, effect))
    }

    /// Makes a lesson a rule of the list [`PINNED`], whose reason says where it came from, and notes who had it done; as one
    /// change, so that no request passes in between.
    ///
    /// # Errors
    /// There is no such lesson in force, a list has a rule with its target, or the record cannot be written: nothing has
    /// changed.
    pub fn pin(
        &self,
        caller: &Caller,
        id: i64,
        end: End,
        now_us: u64,
    ) -> Result<(Entry, Effect), LearnedError> {
        let began = Instant::now();
        let expires_at_s = expiry(end, now_us)?;
        let (entry, effect) = self.rules.change(now_us, |record| {
            let Some(lesson) = in_force(record, id, now_us)? else { return Ok((None, Vec::new())) };
            let mut rule = lesson.rule.clone();
            rule.reason = reason(&lesson).into();
            rule.expires_at_s = expires_at_s;
            rule.origin = Origin::List(PINNED.into());
            let new = NewRule { rule, by: caller.name.to_string() };
            let change = Change::Put(new, IfPresent::Refuse);
            let (entry, operation) = Maker::new(record, seconds(now_us))?.make(change, 0)?;
            let lesson = take_back(record, lesson, caller, now_us)?;
            note(record, caller, "lessons.pin", &lesson, now_us, began)?;
            Ok((Some(entry), [Operation::Put(lesson.published())].into_iter().chain(operation).collect()))
        })?;
        let entry = entry.ok_or(LearnedError::Absent(ResourceId::Learned(id)))?;
        log(caller, "lessons.pin", &entry.rule.target.to_string(), &effect, began.elapsed());
        Ok((entry, effect))
    }
}

fn in_force(record: &Changes<'_>, id: i64, now_us: u64) -> Result<Option<Lesson>, RulesError> {
    Ok(record.lesson(id)?.filter(|lesson| lesson.holds(seconds(now_us))))
}

fn take_back(
    record: &Changes<'_>,
    mut lesson: Lesson,
    caller: &Caller,
    now_us: u64,
) -> Result<Lesson, RulesError> {
    // Later than the lesson, whatever the clocks do.
    let over = Over { at_us: now_us.max(lesson.learned_at_us() + 1), by: caller.name.to_string() };
    record.lessons_to_change()?.end(lesson.id, &over, true)?;
    (lesson.over, lesson.is_published) = (Some(over), true);
    Ok(lesson)
}

fn note(
    record: &mut Changes<'_>,
    caller: &Caller,
    operation: &str,
    lesson: &Lesson,
    now_us: u64,
    began: Instant,
) -> Result<(), RulesError> {
    let target = &*lesson.rule.target.to_string();
    let took = began.elapsed();
    Ok(record.note(&Deed { caller, operation, target, result: DONE, at_us: now_us, took })?)
}

/// Where a lesson came from, and its own reason.
fn reason(lesson: &Lesson) -> String {
    let mut text = lesson.rule.origin.to_string();
    if !lesson.rule.reason.is_empty() {
        text.push_str(", reason: ");
        text.push_str(&lesson.rule.reason);
    }
    text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
    text
}
