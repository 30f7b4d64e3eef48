//! Replacing all rules of lists, at once or in slices.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Context, Rules};
use crate::snapshot::{Holder, LEARNED, Place, Snapshot};
use crate::{AddressRule, Origin, Rule, Target};

/// Lists by their names. Learned rules are in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lists {
    /// The list of this name.
    One(Arc<str>),
    /// Every list but these.
    AllBut(Vec<Arc<str>>),
}

impl Lists {
    fn holds(&self, name: &Arc<str>) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::AllBut(others) => !others.contains(name),
        }
    }
}

/// Replaces all rules of some lists by others in slices of work, as part of the draft: first
/// [`Replacement::keep`] for all rules to come, then [`Replacement::remove_others`] until that is done, so that a full
/// filter takes them, then the rules are put and the draft is published. A rule that stays keeps its hits.
///
/// What is given up half way can be begun again. A rule that somebody else puts into one of the lists meanwhile
/// stays if that comes after the removal has begun; or if it comes before and has the slot of a rule that was kept and
/// has ended since.
pub struct Replacement {
    lists: Lists,
    /// Lessons before this stamp are replaced as well.
    learned_before_us: u64,
    /// Whether each source is one of the lists.
    replaced: Vec<bool>,
    /// A bit for each slot: whether its rule stays.
    stays: Vec<u64>,
    /// Targets of the lessons that stay, by slot: by the removal another lesson may have the slot.
    lessons: BTreeMap<u32, Target>,
    walk: Walk,
}

/// The rules as they were when the removal began.
enum Walk {
    NotBegun,
    Under {
        // Dropped in this order.
        places: Box<dyn Iterator<Item = (Place, Holder)> + Send>,
        /// What is walked over is among the retired snapshots already, and freed there in pieces when this lets go of
        /// it. The walk alone would free it all at once when it ends.
        _held: Vec<Arc<Snapshot>>,
    },
    Done,
}

impl fmt::Debug for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replacement").field("lists", &self.lists).finish_non_exhaustive()
    }
}

impl Replacement {
    /// Of the rules of these lists.
    pub fn new(lists: Lists) -> Self {
        Self {
            lists,
            learned_before_us: 0,
            replaced: Vec::new(),
            stays: Vec::new(),
            lessons: BTreeMap::new(),
            walk: Walk::NotBegun,
        }
    }

    /// Replace all lessons that are stamped before this, microseconds, as well: those that stay are kept, or put
    /// again.
    #[must_use]
    pub fn with_lessons_before(self, learned_before_us: u64) -> Self {
        Self { learned_before_us, ..self }
    }

    /// Whether any rules that are replaced may exist.
    fn concerns_any(&mut self, rules: &Rules) -> bool {
        let names = rules.next.sources.iter().enumerate().skip(self.replaced.len());
        let replaced = names.map(|(at, name)| at != usize::from(LEARNED) && self.lists.holds(name));
        self.replaced.extend(replaced);
        self.learned_before_us > 0 || self.replaced.contains(&true)
    }

    /// Whether the rule in this place goes unless it is kept.
    fn replaces(&self, rules: &Rules, place: &Place, holder: Holder) -> bool {
        if holder.source == LEARNED {
            // As it is now: learned anew meanwhile, it is another lesson.
            return rules.next.learned_at_us(place).is_some_and(|stamp_us| stamp_us < self.learned_before_us);
        }
        self.replaced.get(usize::from(holder.source)) == Some(&true)
    }

    /// Keep the rules with these targets.
    pub(crate) fn keep_targets<'t>(&mut self, rules: &Rules, targets: impl Iterator<Item = &'t Target>) {
        if !self.concerns_any(rules) {
            return;
        }
        self.stays.resize(self.stays.len().max(rules.slots.count().div_ceil(64) as usize), 0);
        for target in targets {
            let holders = [Some(&rules.next), rules.live.as_ref()].map(|of| of?.holder(target));
            for holder in holders.into_iter().flatten() {
                if let Some(word) = self.stays.get_mut(holder.slot as usize / 64) {
                    *word |= 1 << (holder.slot % 64);
                }
                if holder.source == LEARNED && self.learned_before_us > 0 {
                    self.lessons.insert(holder.slot, target.clone());
                }
            }
        }
    }

    /// Whether the rule of this holder was kept.
    fn keeps(&self, rules: &Rules, Holder { slot, source, .. }: Holder) -> bool {
        let stays = self.stays.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 != 0);
        let has_slot_still = |target| rules.next.holder(target).is_some_and(|holder| holder.slot == slot);
        stays && (source != LEARNED || self.lessons.get(&slot).is_some_and(has_slot_still))
    }

    /// Look at `max` rules at most and remove those that are not kept; whether all were looked at.
    pub(crate) fn remove_rules(&mut self, rules: &mut Rules, max: usize, context: Context<'_>) -> bool {
        if matches!(self.walk, Walk::NotBegun) {
            self.walk = if self.concerns_any(rules) {
                let live = rules.live_for(context).cloned();
                let held: Vec<_> =
                    [Some(rules.next.clone()), live].into_iter().flatten().map(Arc::new).collect();
                held.iter().for_each(|snapshot| rules.retire(snapshot.clone()));
                let places: Vec<_> = held.iter().map(|snapshot| snapshot.places()).collect();
                Walk::Under { places: Box::new(places.into_iter().flatten()), _held: held }
            } else {
                Walk::Done
            };
        }
        for _ in 0..max {
            let Walk::Under { places, .. } = &mut self.walk else { return true };
            let Some((place, holder)) = places.next() else {
                self.walk = Walk::Done;
                return true;
            };
            if !self.keeps(rules, holder) && self.replaces(rules, &place, holder) {
                rules.remove_holder(&place, holder, context);
            }
        }
        false
    }
}

impl Rules {
    /// What the list no longer holds goes first, so that a full filter takes the new list; what stays keeps its
    /// hits.
    pub(super) fn replace(&mut self, list: Arc<str>, rules: Vec<Rule>, context: Context<'_>) {
        let mut replacement = Replacement::new(Lists::One(list.clone()));
        replacement.keep_targets(self, rules.iter().map(|rule| &rule.target));
        replacement.remove_rules(self, usize::MAX, context);
        let origin = Origin::List(list.clone());
        for run in rules.chunk_by(|one, next| one.reason == next.reason && is_client(one) == is_client(next))
        {
            let addresses: Option<Vec<_>> = run.iter().map(AddressRule::of).collect();
            match (addresses, run.first()) {
                (Some(addresses), Some(Rule { reason, .. })) => {
                    self.put_addresses(&list, reason, [addresses], context);
                }
                _ => run
                    .iter()
                    .for_each(|rule| self.put(Rule { origin: origin.clone(), ..rule.clone() }, context)),
            }
        }
    }
}

fn is_client(rule: &Rule) -> bool {
    matches!(rule.target, Target::Client(..))
}
