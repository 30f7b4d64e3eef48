//! Changes that one thread makes in a slice of work.

use std::sync::Arc;

use parking_lot::MutexGuard;

use crate::filter::QUEUE;
use crate::rules::{Context, Rules};
use crate::snapshot::LEARNED;
use crate::{AddressRule, Filter, Operation, Replacement, Resource, Rule, Target};

/// The writer's place, for a slice of work: bulk changes go through here in pieces of the caller's size, where
/// [`Filter::submit`] would make a request's thread do them all. Dropping it publishes what was applied, once, and then
/// works off what others have submitted meanwhile, with the same guarantee as a submission: nothing waits for the next
/// one. While it is held submissions wait in the queue, which has room for 64: [`Edit::settle`] lets them in between two
/// pieces of work, and hold it for a millisecond or two at most.
///
/// Besides changes that readers see when the edit ends there is one draft, which outlives the edits that work on it:
/// readers see nothing of it before it is published, and all of it at once then. All other changes go on meanwhile,
/// are seen as always, and hold for the draft too. The rules with the draft's decide about caps and about what a
/// backend may teach: what the draft lists is refused to backends at once, and what it has removed is no longer. Until
/// its publication, readers may see more rules than the cap: as many as the draft has removed or made give way.
#[derive(Debug)]
pub struct Edit<'f> {
    now_s: u32,
    /// Changes for readers to see when it ends.
    applied: usize,
    // Fields are dropped in this order: first the lock is given up, then the queue is looked at again.
    rules: MutexGuard<'f, Rules>,
    hand_off: HandOff<'f>,
}

/// Works off what waits when it is dropped.
#[derive(Debug)]
struct HandOff<'f> {
    filter: &'f Filter,
    now_s: u32,
}

impl Drop for HandOff<'_> {
    fn drop(&mut self) {
        self.filter.apply_waiting(self.now_s);
    }
}

impl Filter {
    /// The writer's place at `now_s`; `None` while another thread has it. Never waits.
    pub fn edit(&self, now_s: u32) -> Option<Edit<'_>> {
        let rules = self.rules.try_lock()?;
        Some(Edit { now_s, applied: 0, rules, hand_off: HandOff { filter: self, now_s } })
    }
}

impl Edit<'_> {
    fn change(&mut self, is_draft: bool, change: impl FnOnce(&mut Rules, Context<'_>)) {
        let filter = self.hand_off.filter;
        let pending = |slot| filter.pending_hits(slot);
        let context = Context { now_s: self.now_s, settings: filter.settings(), pending: &pending, is_draft };
        if is_draft {
            self.rules.begin_draft();
        } else {
            self.applied += 1;
        }
        change(&mut self.rules, context);
    }

    /// Make a change that readers see when the edit ends.
    pub fn apply(&mut self, operation: Operation) {
        self.change(false, |rules, context| rules.apply(operation, context));
    }

    /// Make a change that readers see when the draft is published.
    pub fn draft(&mut self, operation: Operation) {
        self.change(true, |rules, context| rules.apply(operation, context));
    }

    /// Put rules of one list that have their reason in common and come in pieces, as part of the draft. The same as a
    /// [`Operation::Put`] of each in turn, and several times as fast, the more so the more come in one call. Gives the
    /// targets of the learned rules that they replace.
    ///
    /// Holds some 16 bytes of each rule of IPv4, and 32 of IPv6, until the last has come.
    pub fn draft_addresses(
        &mut self,
        list: &Arc<str>,
        reason: &Arc<str>,
        pieces: impl IntoIterator<Item: AsRef<[AddressRule]>>,
    ) -> Vec<Target> {
        let mut lessons = Vec::new();
        self.change(true, |all, context| lessons = all.put_addresses(list, reason, pieces, context));
        lessons
    }

    /// Let readers see all that was drafted when this edit ends. Without a draft it does nothing.
    pub fn publish_draft(&mut self) {
        self.applied += usize::from(self.rules.has_draft());
        self.rules.end_draft();
    }

    /// Make all changes that were submitted meanwhile, if there are any, and let readers see them and all that was
    /// applied so far. Between two pieces of a longer edit, so that nobody waits for its end; and before the rules are
    /// looked at, where a submission may have left its change to another thread.
    pub fn settle(&mut self) {
        let filter = self.hand_off.filter;
        if !filter.has_waiting() {
            return;
        }
        for _ in 0..QUEUE {
            // Not all at once: a panic in one would lose the others.
            let Some(operation) = filter.next_waiting() else { break };
            self.apply(operation);
        }
        self.publish();
    }

    fn publish(&mut self) {
        let applied = std::mem::take(&mut self.applied);
        if applied > 0 {
            self.hand_off.filter.publish(&mut self.rules, applied);
        }
    }

    /// The rule with this target, ended or not, as all changes so far have left it, those of the draft too.
    pub fn rule(&self, target: &Target) -> Option<Rule> {
        self.rules.next().rule(target)
    }

    /// Whether the rule with this target was learned, by the same.
    pub fn has_lesson(&self, target: &Target) -> bool {
        self.rules.next().has_lesson(target)
    }

    /// The learned rules on this resource, whatever their conditions, and the stamps of their lessons.
    pub fn learned_on(&self, resource: &Resource) -> Vec<(Target, u64)> {
        let Some(of) = self.rules.next().resources.get(resource) else { return Vec::new() };
        let learned = of.rules.iter().filter(|rule| rule.source == LEARNED);
        learned
            .filter_map(|rule| {
                let provenance = rule.details.as_ref()?.provenance.as_ref()?;
                let conditions = rule.conditions.as_deref().cloned().unwrap_or_default();
                Some((Target::Resource(resource.clone(), conditions), provenance.learned_at_us))
            })
            .collect()
    }

    /// All learned rules as all changes so far have left them, those of the draft too, as
    /// [`Snapshot::learned`](crate::Snapshot::learned) gives them. The walk may outlive the edit.
    pub fn learned(&mut self) -> impl Iterator<Item = Option<Rule>> + Send + use<> {
        self.rules.learned()
    }

    /// Let a learned rule, as [`Edit::learned`] gave it, end at another time, whatever clock that is by; whether it was
    /// still the same one.
    pub fn end_at(&mut self, rule: &Rule, expires_at_s: u32) -> bool {
        let mut is_same = false;
        self.change(false, |rules, context| is_same = rules.end_at(rule, expires_at_s, context));
        is_same
    }

    /// Whether there is a draft that was not published.
    pub fn has_draft(&self) -> bool {
        self.rules.has_draft()
    }
}

impl Drop for Edit<'_> {
    fn drop(&mut self) {
        self.publish();
        self.hand_off.filter.show_counts(&self.rules);
    }
}

impl Replacement {
    /// Gather addresses that are to come, of one list and for one reason: they are put by [`Replacement::replace`]. Where
    /// the same one comes again, the last one holds. Reads the rules, changes nothing. O(rules).
    pub fn gather(&mut self, edit: &Edit<'_>, list: &Arc<str>, reason: &Arc<str>, rules: &[AddressRule]) {
        let settings = edit.hand_off.filter.settings();
        self.gather_addresses(&edit.rules, list, reason, rules, edit.now_s, settings);
    }

    /// Keep the rules that have the targets of these, which will be put. Changes nothing. O(rules).
    pub fn keep(&mut self, edit: &Edit<'_>, rules: &[Rule]) {
        self.keep_targets(&edit.rules, rules.iter().map(|rule| &rule.target));
    }

    /// Put what was gathered and remove the other rules of the lists that are not kept: `max` parts of that at most, each of
    /// some dozen addresses, or one other rule; whether all is done. Targets of the learned rules that are replaced by what
    /// was gathered go to `lessons`. O(max), or O(the gathered addresses / 256).
    pub fn replace(&mut self, edit: &mut Edit<'_>, max: usize, lessons: &mut Vec<Target>) -> bool {
        let mut all = false;
        edit.change(true, |rules, context| all = self.replace_some(rules, max, lessons, context));
        all
    }
}

#[cfg(test)]
pub(crate) mod tests;
