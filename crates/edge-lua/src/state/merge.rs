//! Changes of other processes on their way into the filter.

use crossbeam_channel::Receiver;
use edge_filter::{Edit, Operation, Rule, Target};
use edge_journal::{Lessons, Ruling, Stamps, Taken, learned_at_us};

use super::budget::Budget;
use super::own::OwnJournal;

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
        if self.lessons.is_settled(stamp_us) {
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
        let known = |target: &Target| self.edit.rule(target);
        match self.lessons.judge(&mut rule, known, self.max_ttl_s, self.now_us) {
            Ruling::Holds => self.edit.apply(Operation::Put(rule)),
            Ruling::Overtaken => self.overtaken(stamp_us, rule.target),
            Ruling::Over => {}
        }
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
