//! Changes of other processes on their way into the filter.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use edge_filter::{Edit, Operation, Origin, Rule, Target};
use edge_journal::Stamps;

use super::budget::Budget;
use super::own::OwnJournal;
use super::taken_back::{Taken, TakenBack};

/// What was learned and taken back, wherever it was read: **the last stamp wins**, for each target. So the order in which
/// journals are read does not matter, nor how often a record is, and the start, the following of journals and the
/// inheritance of dead workers are one function.
#[derive(Default)]
pub(crate) struct Lessons {
    pub(crate) taken_back: TakenBack,
    /// Lessons that a list took over. Apart, since a long list would push out what backends took back.
    overtaken: TakenBack,
    /// Lessons that had ended when they were read. An older one about the same that ends later must not come back.
    ended: TakenBack,
    /// Lessons before this stamp are in the manager's snapshot, or were removed since.
    learned_until_us: u64,
}

impl Lessons {
    /// The manager's snapshot speaks for all lessons before this stamp.
    pub(crate) fn are_settled_until(&mut self, stamp_us: u64, stamps: &Stamps) {
        stamps.seen(stamp_us);
        self.learned_until_us = self.learned_until_us.max(stamp_us);
    }

    /// Lets go of what nothing in force can be older than.
    pub(crate) fn trim(&mut self, now_us: u64, max_ttl_s: u32) {
        let oldest_us = now_us.saturating_sub((u64::from(max_ttl_s) + 1) * 1_000_000);
        self.taken_back.trim(oldest_us);
        self.overtaken.trim(oldest_us);
        self.ended.trim(oldest_us);
    }

    /// All that lessons must not come back from, with its stamp.
    pub(crate) fn over(&self) -> Vec<(u64, Arc<Taken>)> {
        let mut all = self.taken_back.all();
        all.extend(self.overtaken.all());
        all
    }

    fn are_over(&self, target: &Target, stamp_us: u64) -> bool {
        self.taken_back.covers(target, stamp_us) || self.overtaken.covers(target, stamp_us)
    }
}

/// A slice of changes; readers see what was applied when it is dropped.
pub(crate) struct Merge<'a> {
    pub(crate) edit: Edit<'a>,
    pub(crate) lessons: &'a mut Lessons,
    pub(crate) own: &'a OwnJournal,
    pub(crate) stamps: &'a Stamps,
    pub(crate) max_ttl_s: u32,
    pub(crate) now_us: u64,
}

impl Merge<'_> {
    /// Whether the work has to go on another time: to be asked between two pieces of it. Lets threads in that learned
    /// something meanwhile, so that what a backend said holds for the next request and not only when the slice is over.
    pub(crate) fn is_due(&mut self, budget: Budget) -> bool {
        self.edit.settle();
        budget.is_spent()
    }

    /// What threads of this worker took back; whether that was all. An older lesson that was read from another journal
    /// meanwhile goes as well.
    pub(crate) fn remember(&mut self, taken_back: &Receiver<(Taken, u64)>, budget: Budget) -> bool {
        while let Ok((taken, stamp_us)) = taken_back.try_recv() {
            self.take_back(stamp_us, taken.operation());
            if self.is_due(budget) {
                return taken_back.is_empty();
            }
        }
        true
    }

    /// A record of a learned journal.
    pub(crate) fn lesson(&mut self, stamp_us: u64, operation: Operation) {
        self.stamps.seen(stamp_us);
        if stamp_us < self.lessons.learned_until_us {
            return;
        }
        match operation {
            Operation::Put(rule) => self.learned(rule),
            // As a worker writes it that found the lesson overtaken.
            Operation::Forget(target) if self.is_listed(&target) => {
                self.lessons.overtaken.note(Taken::Target(target), stamp_us);
            }
            Operation::Forget(_) | Operation::ForgetResource(_) => self.take_back(stamp_us, operation),
            // What workers do not write.
            Operation::Remove(_) | Operation::Batch(_) => {}
        }
    }

    /// A change of the manager. `drafts`: readers see it when the draft is published.
    pub(crate) fn change(&mut self, stamp_us: u64, operation: Operation, drafts: bool) {
        self.stamps.seen(stamp_us);
        match operation {
            Operation::Put(rule) if learned_at_us(&rule).is_some() => self.learned(rule),
            Operation::Forget(_) | Operation::ForgetResource(_) => self.take_back(stamp_us, operation),
            Operation::Batch(operations) => {
                for operation in operations {
                    self.change(stamp_us, operation, drafts);
                }
            }
            operation => {
                let with_lesson = match &operation {
                    Operation::Put(rule) if self.edit.has_lesson(&rule.target) => Some(rule.target.clone()),
                    _ => None,
                };
                if let Some(taken) = Taken::of(&operation) {
                    self.lessons.taken_back.note(taken, stamp_us);
                }
                if drafts {
                    self.edit.draft(operation)
                } else {
                    self.edit.apply(operation)
                }
                // A rule that found no place leaves the lesson in force.
                if let Some(target) = with_lesson.filter(|target| !self.edit.has_lesson(target)) {
                    self.overtaken(stamp_us, target);
                }
            }
        }
    }

    /// A list holds this target: lessons about it up to this stamp are over. Written at once, since their records would
    /// bring them back at a start after the list has dropped it.
    pub(crate) fn overtaken(&mut self, stamp_us: u64, target: Target) {
        let taken = Taken::Target(target);
        self.own.append(stamp_us, &taken.operation());
        self.lessons.overtaken.note(taken, stamp_us);
    }

    fn is_listed(&self, target: &Target) -> bool {
        self.edit.rule(target).is_some_and(|rule| learned_at_us(&rule).is_none())
    }

    fn learned(&mut self, mut rule: Rule) {
        let Some(stamp_us) = learned_at_us(&rule) else { return };
        self.stamps.seen(stamp_us);
        if self.lessons.are_over(&rule.target, stamp_us) {
            return;
        }
        // The limit of today holds for the lessons of yesterday too, and for those of a clock that is ahead; and what
        // was taken back longer ago than this needs no remembering.
        let longest_s = stamp_us.min(self.now_us).div_ceil(1_000_000).saturating_add(self.max_ttl_s.into());
        rule.expires_at_s = rule.expires_at_s.min(u32::try_from(longest_s).unwrap_or(u32::MAX));
        if u64::from(rule.expires_at_s) * 1_000_000 <= self.now_us {
            self.lessons.ended.note(Taken::Target(rule.target.clone()), stamp_us.saturating_sub(1));
        } else if self.lessons.ended.covers(&rule.target, stamp_us) {
            let taken = Taken::Target(rule.target);
            let ended_us = self.lessons.ended.when(&taken).unwrap_or(stamp_us);
            return self.lessons.taken_back.note(taken, ended_us);
        }
        let known = self.edit.rule(&rule.target);
        let is_in_force = |rule: &Rule| u64::from(rule.expires_at_s) * 1_000_000 > self.now_us;
        if let Some(known) = known.filter(|known| is_in_force(known) || learned_at_us(known).is_some()) {
            // What is listed stays, whenever it was learned.
            let Some(known_us) = learned_at_us(&known) else { return self.overtaken(stamp_us, rule.target) };
            let (before, after) = if known_us >= stamp_us { (&rule, &known) } else { (&known, &rule) };
            if let Some((taken, before_us)) = shortened(before, after) {
                self.lessons.taken_back.note(taken, before_us);
            }
            if known_us >= stamp_us {
                return;
            }
        }
        self.edit.apply(Operation::Put(rule));
    }

    fn take_back(&mut self, stamp_us: u64, operation: Operation) {
        let Some(taken) = Taken::of(&operation) else { return };
        let older = |learned_at_us: u64| learned_at_us <= stamp_us;
        match &taken {
            Taken::Target(target) => {
                let known = self.edit.rule(target);
                if known.and_then(|rule| learned_at_us(&rule)).is_some_and(older) {
                    self.edit.apply(operation);
                }
            }
            Taken::Resource(resource) => {
                for (target, learned_at_us) in self.edit.learned_on(resource) {
                    if older(learned_at_us) {
                        self.edit.apply(Operation::Forget(target));
                    }
                }
            }
        }
        self.lessons.taken_back.note(taken, stamp_us);
    }
}

/// What has to be taken back so that a lesson which ends earlier than the one before holds beyond its end: the record of the
/// one before may be in another journal.
pub(crate) fn shortened(before: &Rule, after: &Rule) -> Option<(Taken, u64)> {
    learned_at_us(before)?;
    let after_us = learned_at_us(after)?;
    let is_shorter = after.expires_at_s < before.expires_at_s;
    is_shorter.then(|| (Taken::Target(after.target.clone()), after_us.saturating_sub(1)))
}

fn learned_at_us(rule: &Rule) -> Option<u64> {
    match &rule.origin {
        Origin::Learned(from) => Some(from.learned_at_us),
        Origin::List(_) => None,
    }
}
