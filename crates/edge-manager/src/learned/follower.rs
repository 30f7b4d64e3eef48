//! From the journals of workers into the record.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use edge_filter::{Operation, Rule};
use edge_journal::{Lessons, Ruling, StateDir, Taken, learned_at_us};

use super::journals::{Heard, Journals};
use super::{Lesson, Over};
use crate::clock::seconds;
use crate::rules::{Effect, Rules, RulesError};
use crate::store::{Changes, LessonChanges};

/// Records of one round, and lessons that are given back in one: a transaction of some milliseconds.
const MAX_RECORDS: usize = 1000;

/// How long no journal must have a lesson before it counts as lost, microseconds: a worker that lives writes what somebody
/// removed again within two seconds.
const LOST_AFTER_US: u64 = 5_000_000;

/// Reads all journals of workers on, and keeps in the record what they say.
#[derive(Debug)]
pub(super) struct Follower {
    dir: StateDir,
    journals: Journals,
    /// What was taken back of which there is no row. Nothing is clipped here: each worker does that as it is set.
    lessons: Lessons,
    /// The last journal in which each lesson that holds was found, by their numbers.
    held: HashMap<i64, u64>,
    /// Since when lessons may be in no journal any more.
    unheld_since_us: Option<u64>,
}

/// What one round came to.
#[derive(Debug, Default)]
pub struct Round {
    /// Records that were read.
    pub records: usize,
    /// Lessons that no journal had any more, and that workers get again.
    pub given_back: usize,
    /// There may be more to do at once.
    pub is_cut: bool,
    /// For the log.
    pub lines: Vec<String>,
}

/// What the record was told.
#[derive(Default)]
struct Made {
    /// In which journal a lesson was found, none where it is over; the last one counts.
    held: Vec<(i64, Option<u64>)>,
    operations: Vec<Operation>,
}

impl Follower {
    /// Lessons of the record that no journal has by then are given back some seconds later.
    pub(super) fn open(dir: &Path, now_us: u64) -> io::Result<Self> {
        Ok(Self {
            dir: StateDir::open(dir)?,
            journals: Journals::default(),
            lessons: Lessons::default(),
            held: HashMap::new(),
            unheld_since_us: Some(now_us),
        })
    }

    /// Reads some records on. Whatever goes wrong with the record, the journals are read again from their beginning: what is
    /// there already changes nothing.
    pub(super) fn round(&mut self, rules: &Rules, now_us: u64) -> Result<Round, RulesError> {
        let gone = self.journals.look(&self.dir);
        if !gone.is_empty() {
            let before = self.held.len();
            self.held.retain(|_, journal| !gone.contains(journal));
            if self.held.len() < before {
                // Another one may have them too.
                self.journals.rewind();
                self.unheld_since_us = Some(now_us);
            }
        }
        let mut heard = Vec::new();
        let is_cut = self.journals.read(&self.dir, MAX_RECORDS, &mut heard);
        let mut round =
            Round { records: heard.len(), is_cut, lines: self.journals.take_lines(), ..Round::default() };
        let done = self.keep(heard, rules, now_us).and_then(|kept| {
            round.lines.extend(not_published(kept));
            self.give_back(rules, now_us)
        });
        match done {
            Ok((given_back, effect)) => {
                round.is_cut |= given_back == MAX_RECORDS;
                round.given_back = given_back;
                round.lines.extend(not_published(effect));
                Ok(round)
            }
            Err(error) => {
                self.journals.rewind();
                Err(error)
            }
        }
    }

    fn keep(&mut self, heard: Vec<Heard>, rules: &Rules, now_us: u64) -> Result<Option<Effect>, RulesError> {
        if heard.is_empty() {
            return Ok(None);
        }
        let (made, effect) = rules.change(now_us, |record| {
            let mut made = Made::default();
            let mut change = record.lessons_to_change()?;
            for heard in heard {
                self.take(heard, &mut change, &mut made, now_us)?;
            }
            change.keep_caps(&record.caps()?, seconds(now_us))?;
            let operations = std::mem::take(&mut made.operations);
            Ok((made, operations))
        })?;
        for (id, journal) in made.held {
            match journal {
                Some(journal) => _ = self.held.insert(id, journal),
                None => _ = self.held.remove(&id),
            }
        }
        Ok(Some(effect))
    }

    fn take(
        &mut self,
        heard: Heard,
        change: &mut LessonChanges<'_>,
        made: &mut Made,
        now_us: u64,
    ) -> Result<(), RulesError> {
        let Heard { journal, stamp_us, operation } = heard;
        match operation {
            Operation::Put(rule) => {
                if let Some(id) = self.learned(rule, change, now_us)? {
                    made.held.push((id, Some(journal)));
                }
            }
            Operation::Forget(_) | Operation::ForgetResource(_) => {
                let Some(taken) = Taken::of(&operation) else { return Ok(()) };
                let lessons = match &taken {
                    Taken::Target(target) => change.on_target(target)?.into_iter().collect(),
                    Taken::Resource(resource) => change.on_resource(resource)?,
                };
                for mut lesson in lessons {
                    if lesson.over.is_some() || lesson.learned_at_us() > stamp_us {
                        continue;
                    }
                    let over = Over { at_us: stamp_us, by: Over::BY_BACKEND.to_owned() };
                    change.end(lesson.id, &over, lesson.is_published)?;
                    made.held.push((lesson.id, None));
                    if lesson.is_published {
                        lesson.over = Some(over);
                        made.operations.push(Operation::Put(lesson.published()));
                    }
                }
                self.lessons.taken_back.note(taken, stamp_us);
            }
            // What workers do not write.
            Operation::Remove(_) | Operation::Batch(_) => {}
        }
        Ok(())
    }

    /// Keeps a lesson; the number of the one that holds, if it is this.
    fn learned(
        &mut self,
        mut rule: Rule,
        change: &mut LessonChanges<'_>,
        now_us: u64,
    ) -> Result<Option<i64>, RulesError> {
        let stamp_us = learned_at_us(&rule);
        let known = change.on_target(&rule.target)?;
        // The row remembers it for as long as it matters.
        if let Some(Lesson { over: Some(over), .. }) = &known {
            self.lessons.taken_back.note(Taken::Target(rule.target.clone()), over.at_us);
        }
        let rule_before = known.as_ref().filter(|known| known.over.is_none()).map(|known| known.rule.clone());
        match self.lessons.judge(&mut rule, |_| rule_before, u32::MAX, now_us) {
            Ruling::Holds if rule.expires_at_s > seconds(now_us) || known.is_some() => Ok(change.put(&rule)?),
            Ruling::Over => match known {
                Some(known) if known.over.is_none() && Some(known.learned_at_us()) == stamp_us => {
                    // A worker has it again.
                    if known.is_published {
                        change.set_published(known.id, false)?;
                    }
                    Ok(Some(known.id))
                }
                _ => Ok(None),
            },
            Ruling::Holds | Ruling::Overtaken => Ok(None),
        }
    }

    /// Publishes lessons that were in a journal and are in none any more, some at a time; how many.
    fn give_back(&mut self, rules: &Rules, now_us: u64) -> Result<(usize, Option<Effect>), RulesError> {
        let Some(since_us) = self.unheld_since_us else { return Ok((0, None)) };
        if now_us.abs_diff(since_us) < LOST_AFTER_US || !self.journals.are_read() {
            return Ok((0, None));
        }
        let now_s = seconds(now_us);
        let mut lost = rules.record().read(|view| Ok::<_, RulesError>(view.unpublished_lessons(now_s)?))?;
        lost.retain(|id| !self.held.contains_key(id));
        lost.truncate(MAX_RECORDS);
        if lost.len() < MAX_RECORDS {
            self.unheld_since_us = None;
        }
        if lost.is_empty() {
            return Ok((0, None));
        }
        let (_, effect) = rules.change(now_us, |record| Ok(((), give_back(record, &lost, now_s)?)))?;
        Ok((lost.len(), Some(effect)))
    }
}

fn give_back(record: &mut Changes<'_>, lost: &[i64], now_s: u32) -> Result<Vec<Operation>, RulesError> {
    let mut change = record.lessons_to_change()?;
    let mut operations = Vec::new();
    for id in lost {
        let Some(lesson) = record.lesson(*id)?.filter(|lesson| lesson.holds(now_s)) else { continue };
        change.set_published(*id, true)?;
        operations.push(Operation::Put(lesson.published()));
    }
    Ok(operations)
}

/// A line where the record has it and the directory has not: whoever changes rules next makes the two agree.
fn not_published(effect: Option<Effect>) -> Option<String> {
    match effect {
        Some(Effect::StoredOnly(error)) => Some(format!("lessons are stored, and not published: {error}")),
        _ => None,
    }
}
