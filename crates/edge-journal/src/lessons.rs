//! Which of two lessons holds.

use std::sync::Arc;

use edge_filter::{Origin, Rule, Target};

use crate::{Stamps, Taken, TakenBack};

/// What was learned and taken back, wherever it was read: **the last stamp wins**, for each target. So the order in which
/// journals are read does not matter, nor how often a record is, and the start, the following of journals and the
/// inheritance of dead workers are one function.
#[derive(Debug, Default)]
pub struct Lessons {
    /// What backends or operators took back.
    pub taken_back: TakenBack,
    /// Lessons that a list took over. Apart, since a long list would push out what backends took back.
    pub overtaken: TakenBack,
    /// Lessons that had ended when they were read. An older one about the same that ends later must not come back.
    ended: TakenBack,
    /// Lessons before this stamp are in the manager's snapshot, or were removed since.
    learned_until_us: u64,
}

/// What becomes of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is put in the place of what is known, whether or not its own end has come.
    Holds,
    /// A list holds its target.
    Overtaken,
    /// It was taken back, or a later one is known: nothing changes.
    Over,
}

impl Lessons {
    /// The manager's snapshot speaks for all lessons before this stamp.
    pub fn are_settled_until(&mut self, stamp_us: u64, stamps: &Stamps) {
        stamps.seen(stamp_us);
        self.learned_until_us = self.learned_until_us.max(stamp_us);
    }

    /// Whether the manager's snapshot speaks for a record of this stamp.
    pub fn is_settled(&self, stamp_us: u64) -> bool {
        stamp_us < self.learned_until_us
    }

    /// Lets go of what nothing in force can be older than.
    pub fn trim(&mut self, now_us: u64, max_ttl_s: u32) {
        let longest_us = u64::from(max_ttl_s).saturating_add(1).saturating_mul(1_000_000);
        let oldest_us = now_us.saturating_sub(longest_us);
        self.taken_back.trim(oldest_us);
        self.overtaken.trim(oldest_us);
        self.ended.trim(oldest_us);
    }

    /// All that lessons must not come back from, with its stamp.
    pub fn over(&self) -> Vec<(u64, Arc<Taken>)> {
        let mut all = self.taken_back.all();
        all.extend(self.overtaken.all());
        all
    }

    /// What becomes of a lesson that was read, beside the rule with its target that is `known`. Its end is clipped: the limit
    /// of today holds for the lessons of yesterday too, and for those of a clock that is ahead; and what was taken back
    /// longer ago than this needs no remembering.
    pub fn judge(
        &mut self,
        rule: &mut Rule,
        known: impl FnOnce(&Target) -> Option<Rule>,
        max_ttl_s: u32,
        now_us: u64,
    ) -> Ruling {
        let Some(stamp_us) = learned_at_us(rule) else { return Ruling::Over };
        if self.taken_back.covers(&rule.target, stamp_us) || self.overtaken.covers(&rule.target, stamp_us) {
            return Ruling::Over;
        }
        let longest_s = stamp_us.min(now_us).div_ceil(1_000_000).saturating_add(max_ttl_s.into());
        rule.expires_at_s = rule.expires_at_s.min(u32::try_from(longest_s).unwrap_or(u32::MAX));
        let has_ended = |rule: &Rule| u64::from(rule.expires_at_s).saturating_mul(1_000_000) <= now_us;
        if has_ended(rule) {
            self.ended.note(Taken::Target(rule.target.clone()), stamp_us.saturating_sub(1));
        } else if self.ended.covers(&rule.target, stamp_us) {
            let taken = Taken::Target(rule.target.clone());
            let ended_us = self.ended.when(&taken).unwrap_or(stamp_us);
            self.taken_back.note(taken, ended_us);
            return Ruling::Over;
        }
        let known = known(&rule.target);
        if let Some(known) = known.filter(|known| !has_ended(known) || learned_at_us(known).is_some()) {
            // What is listed stays, whenever it was learned.
            let Some(known_us) = learned_at_us(&known) else { return Ruling::Overtaken };
            let (before, after) = if known_us >= stamp_us { (&*rule, &known) } else { (&known, &*rule) };
            if let Some((taken, before_us)) = shortened(before, after) {
                self.taken_back.note(taken, before_us);
            }
            if known_us >= stamp_us {
                return Ruling::Over;
            }
        }
        Ruling::Holds
    }
}

/// What has to be taken back so that a lesson which ends earlier than the one before holds beyond its end: the record of the
/// one before may be in another journal. With the stamp that this has.
pub fn shortened(before: &Rule, after: &Rule) -> Option<(Taken, u64)> {
    learned_at_us(before)?;
    let after_us = learned_at_us(after)?;
    let is_shorter = after.expires_at_s < before.expires_at_s;
    is_shorter.then(|| (Taken::Target(after.target.clone()), after_us.saturating_sub(1)))
}

/// The stamp of the lesson that a rule is; `None` of one of a list.
pub fn learned_at_us(rule: &Rule) -> Option<u64> {
    match &rule.origin {
        Origin::Learned(from) => Some(from.learned_at_us),
        Origin::List(_) => None,
    }
}
