//! The one place where rules change.

mod bulk;
mod caps;
mod draft;
mod intake;
mod learned;
mod replacement;

use std::sync::Arc;

use ahash::RandomState;

use crate::cells::Cells;
use crate::expiry::Expiry;
use crate::resource::ResourceRule;
use crate::retired::Retired;
use crate::rule::Details;
use crate::slots::{Slot, Slots};
use crate::snapshot::{Holder, Kept, LEARNED, Place, Snapshot};
use crate::text::cut;
use crate::{AddressEntry, NEVER, Operation, Origin, Resource, Rule, Settings, Target};

pub use replacement::{Lists, Replacement};

/// What happened to rules besides what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// Rules that gave way at a cap.
    pub evicted: u64,
    /// Rules swept, or replaced, after their end.
    pub expired: u64,
    /// Rules not taken: at a cap where nothing could give way, of one list too many, or learned where a list
    /// has a rule already.
    pub refused: u64,
}

/// A slot's hits that are still in tallies.
pub(crate) type PendingHits<'a> = &'a dyn Fn(u32) -> u64;

/// What a change depends on besides the rules.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) now_s: u32,
    pub(crate) settings: &'a Settings,
    pub(crate) pending: PendingHits<'a>,
    /// Whether it belongs to the draft: readers see nothing of it until that is published.
    pub(crate) is_draft: bool,
}

/// The rules as the writer has them: the next snapshot, and what only changing them needs.
#[derive(Debug)]
pub(crate) struct Rules {
    /// With all changes, those of the draft among them. Everything below follows it, and it alone decides.
    next: Snapshot,
    /// What readers see next while a draft is under way; `next` itself otherwise.
    live: Option<Snapshot>,
    expiry: Expiry,
    slots: Slots,
    counts: ChangeCounts,
    retired: Retired,
}

impl Rules {
    pub(crate) fn new(keys: &RandomState) -> Self {
        Self {
            next: Snapshot::new(keys),
            live: None,
            expiry: Expiry::default(),
            slots: Slots::default(),
            counts: ChangeCounts::default(),
            retired: Retired::default(),
        }
    }

    /// What addresses are hashed with.
    pub(crate) fn keys(&self) -> &RandomState {
        self.next.details.keys()
    }

    pub(crate) fn counts(&self) -> ChangeCounts {
        self.counts
    }

    /// The rules with all changes, those of the draft too.
    pub(crate) fn next(&self) -> &Snapshot {
        &self.next
    }

    /// The rules as readers are to see them now, as the snapshot of the next revision.
    pub(crate) fn publish(&mut self) -> Arc<Snapshot> {
        self.next.revision += 1;
        Arc::new(match &mut self.live {
            None => self.next.clone(),
            Some(live) => {
                live.revision = self.next.revision;
                // Both only grow, and the draft's part of them is read by nobody.
                live.cells = self.next.cells.clone();
                live.sources = self.next.sources.clone();
                live.clone()
            }
        })
    }

    /// Take an old snapshot back, to be freed in pieces.
    pub(crate) fn retire(&mut self, old: Arc<Snapshot>) {
        self.retired.add(old);
    }

    /// Free at most `max` pieces of old snapshots; how many were.
    pub(crate) fn free_retired(&mut self, max: usize) -> usize {
        self.retired.free(max)
    }

    /// Make one change. The same function live, in replay and in tests: the outcome depends on the rules, the
    /// operation and the time alone.
    pub(crate) fn apply(&mut self, operation: Operation, context: Context<'_>) {
        match operation {
            Operation::Put(rule) => self.put(rule, context),
            Operation::Remove(target) => self.remove(&target, context, |_| true),
            Operation::Forget(target) => self.remove(&target, context, |holder| holder.source == LEARNED),
            Operation::ForgetResource(resource) => self.forget_resource(&resource, context),
            Operation::Batch(operations) => {
                for operation in operations {
                    self.apply(operation, context);
                }
            }
        }
    }

    /// Remove at most `max` rules whose end has come; how many were.
    pub(crate) fn sweep(&mut self, max: usize, context: Context<'_>) -> usize {
        let mut swept = 0;
        while swept < max {
            let Some((expires_at_s, place)) = self.expiry.first() else { break };
            if context.now_s < expires_at_s {
                break;
            }
            self.end(&place, context);
            self.counts.expired += 1;
            swept += 1;
        }
        swept
    }

    fn put(&mut self, mut rule: Rule, context: Context<'_>) {
        let now_s = context.now_s;
        let mut holder = self.next.holder(&rule.target);
        if let Some(ended) = holder.filter(|holder| holder.expires_at_s <= now_s) {
            // Whether it was swept already must not matter.
            self.end(&Place::of(&rule.target, ended.slot), context);
            self.counts.expired += 1;
            holder = None;
        }
        let is_learned = matches!(rule.origin, Origin::Learned(_));
        if is_learned {
            // What a backend taught ends some day; the caps on learned rules count those that do.
            rule.expires_at_s = rule.expires_at_s.min(NEVER - 1);
        }
        // What an operator listed stays: a backend could otherwise end it by its TTL.
        let stays =
            move |holder: Holder| is_learned && holder.source != LEARNED && holder.expires_at_s > now_s;
        if holder.is_some_and(stays) {
            self.counts.refused += 1;
            return;
        }
        if rule.expires_at_s <= now_s {
            self.remove(&rule.target, context, |holder| !stays(holder));
            return;
        }
        let Some(source) = self.source(&rule.origin) else {
            self.counts.refused += 1;
            return;
        };
        let slot = match holder {
            Some(holder) => {
                let place = Place::of(&rule.target, holder.slot);
                self.expiry.remove(holder.expires_at_s, holder.slot, place.host());
                holder.slot
            }
            None => {
                if !self.make_room(&rule, context) {
                    return;
                }
                take_slot(&mut self.slots, &mut self.next.cells, context.pending)
            }
        };
        // A rule about a client lets nothing through: only that client could ask, who has caused the rule.
        if let (Origin::Learned(from), Target::Resource(..)) = (&rule.origin, &rule.target) {
            // Rounded up as the end is, so that the two are the TTL apart.
            let learned_at_s = u32::try_from(from.learned_at_us.div_ceil(1_000_000)).unwrap_or(NEVER);
            self.next.cells.set_window(slot, rule.expires_at_s.saturating_sub(learned_at_s));
        }
        self.expiry.insert(rule.expires_at_s, slot, &Place::of(&rule.target, slot), caps::teacher(&rule));
        let kept = keep(rule, slot, source, context.settings);
        self.insert_live(&kept, stays, context);
        self.next.insert(kept);
    }

    /// The number of a rule's source; `None` for one list more than 255.
    fn source(&mut self, origin: &Origin) -> Option<u8> {
        let Origin::List(name) = origin else { return Some(LEARNED) };
        let known = self.next.sources.iter().skip(1).position(|other| other == name);
        let source = match known {
            Some(at) => at + 1,
            None if self.next.sources.len() > usize::from(u8::MAX) => return None,
            None => {
                Arc::make_mut(&mut self.next.sources).push(name.clone());
                self.next.sources.len() - 1
            }
        };
        u8::try_from(source).ok()
    }

    fn len(&self) -> usize {
        self.next.allow.len() + self.next.block.len() + self.next.resources.len()
    }

    /// Remove the rule in this place, which has ended or gives way.
    fn end(&mut self, place: &Place, context: Context<'_>) {
        if let Some(holder) = self.next.at(place) {
            self.remove_holder(place, holder, context);
        }
    }

    /// Remove the rule with this target from every snapshot where it is as `meant`.
    fn remove(&mut self, target: &Target, context: Context<'_>, meant: impl Fn(Holder) -> bool) {
        if let Some(live) = self.live_for(context)
            && let Some(holder) = live.holder(target).filter(|holder| meant(*holder))
        {
            live.remove(&Place::of(target, holder.slot));
        }
        if let Some(holder) = self.next.holder(target).filter(|holder| meant(*holder)) {
            self.remove_next(&Place::of(target, holder.slot));
        }
    }

    /// Remove a rule from every snapshot that still holds it as it was found.
    fn remove_holder(&mut self, place: &Place, found: Holder, context: Context<'_>) {
        if let Some(live) = self.live_for(context)
            && live.at(place) == Some(found)
        {
            live.remove(place);
        }
        if self.next.at(place) == Some(found) {
            self.remove_next(place);
        }
    }

    fn remove_next(&mut self, place: &Place) {
        let Some(removed) = self.next.remove(place) else { return };
        self.expiry.remove(removed.expires_at_s, removed.slot, place.host());
        self.give_back(place, removed.slot);
    }

    fn forget_resource(&mut self, resource: &Resource, context: Context<'_>) {
        let learned = |snapshot: &Snapshot| {
            let rules = snapshot.resources.get(resource).map(|of| &of.rules[..]).unwrap_or_default();
            let learned = rules.iter().filter(|rule| rule.source == LEARNED);
            learned.map(|rule| Place::Resource(resource.clone(), rule.slot)).collect::<Vec<_>>()
        };
        if let Some(live) = self.live_for(context) {
            for place in learned(live) {
                live.remove(&place);
            }
        }
        for place in learned(&self.next) {
            self.remove_next(&place);
        }
    }
}

/// A slot with a cell that has counted nothing.
fn take_slot(slots: &mut Slots, cells: &mut Cells, pending: PendingHits<'_>) -> u32 {
    match slots.take() {
        Slot::Fresh(slot) => {
            cells.reserve(slot);
            slot
        }
        Slot::Used(slot) => {
            cells.reset(slot, pending(slot));
            slot
        }
    }
}

/// A reason, cut to what a rule may keep.
fn keep_reason(reason: Arc<str>, settings: &Settings) -> Arc<str> {
    if reason.len() > settings.max_reason_bytes {
        cut(&reason, settings.max_reason_bytes).into()
    } else {
        reason
    }
}

/// The form of a rule in which a snapshot keeps it.
fn keep(rule: Rule, slot: u32, source: u8, settings: &Settings) -> Kept {
    let Rule { target, action, expires_at_s, origin, reason } = rule;
    let provenance = match origin {
        Origin::Learned(provenance) => Some(provenance),
        Origin::List(_) => None,
    };
    let reason = keep_reason(reason, settings);
    let details =
        (provenance.is_some() || !reason.is_empty()).then(|| Arc::new(Details { reason, provenance }));
    match target {
        Target::Client(list, net) => {
            Kept::Client(list, AddressEntry { net, action, expires_at_s, slot, source }, details)
        }
        Target::Resource(resource, conditions) => {
            let conditions = (!conditions.is_empty()).then(|| Arc::new(conditions));
            let rule = ResourceRule { conditions, details, action, expires_at_s, slot, source };
            Kept::Resource(resource, rule)
        }
    }
}

#[cfg(test)]
mod tests;
