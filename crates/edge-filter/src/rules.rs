//! The one place where rules change.

mod caps;

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::RandomState;

use crate::expiry::{Ending, Expiry, host_of};
use crate::resource::ResourceRule;
use crate::rule::Details;
use crate::snapshot::{LEARNED, SlotDetails, Snapshot};
use crate::text::cut;
use crate::{AddressEntry, AddressTable, List, NEVER, Operation, Origin, Resource, Rule, Settings, Target};

/// Old snapshots that wait for their readers. They share what is the same in all, so each costs what one
/// publication changed.
const MAX_RETIRED: usize = 256;

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

/// The rules as the writer has them: the next snapshot, and what only changing them needs.
#[derive(Debug)]
pub(crate) struct Rules {
    next: Snapshot,
    expiry: Expiry,
    free_slots: VecDeque<u32>,
    slots: u32,
    counts: ChangeCounts,
    retired: VecDeque<Arc<Snapshot>>,
}

/// What an existing rule leaves behind.
#[derive(Clone, Copy)]
struct Holder {
    slot: u32,
    expires_at_s: u32,
    source: u8,
}

impl From<AddressEntry> for Holder {
    fn from(entry: AddressEntry) -> Self {
        Self { slot: entry.slot, expires_at_s: entry.expires_at_s, source: entry.source }
    }
}

impl From<&ResourceRule> for Holder {
    fn from(rule: &ResourceRule) -> Self {
        Self { slot: rule.slot, expires_at_s: rule.expires_at_s, source: rule.source }
    }
}

impl Rules {
    pub(crate) fn new(keys: &RandomState) -> Self {
        Self {
            next: Snapshot::new(keys),
            expiry: Expiry::default(),
            free_slots: VecDeque::new(),
            slots: 0,
            counts: ChangeCounts::default(),
            retired: VecDeque::new(),
        }
    }

    pub(crate) fn counts(&self) -> ChangeCounts {
        self.counts
    }

    /// The rules as they are now, as the snapshot of the next revision.
    pub(crate) fn publish(&mut self) -> Arc<Snapshot> {
        self.next.revision += 1;
        self.next.learned = self.expiry.learned();
        Arc::new(self.next.clone())
    }

    /// Take an old snapshot back, and free those that no reader holds any more. What an update has replaced is
    /// freed here, by the writer: a reader that let go last would pay for it in the middle of a request.
    pub(crate) fn retire(&mut self, old: Option<Arc<Snapshot>>) {
        self.retired.extend(old);
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        if self.retired.len() > MAX_RETIRED {
            self.retired.pop_front();
        }
    }

    /// Make one change. The same function live, in replay and in tests: the outcome depends on the rules, the
    /// operation and `now_s` alone.
    pub(crate) fn apply(
        &mut self,
        operation: Operation,
        now_s: u32,
        settings: &Settings,
        pending: PendingHits<'_>,
    ) {
        match operation {
            Operation::Put(rule) => self.put(rule, now_s, settings, pending),
            Operation::Remove(target) => {
                self.remove(&target);
            }
            Operation::Forget(target) => {
                if self.holder(&target).is_some_and(|holder| holder.source == LEARNED) {
                    self.remove(&target);
                }
            }
            Operation::ForgetResource(resource) => self.forget_resource(&resource),
            Operation::Replace(list, rules) => self.replace(list, rules, now_s, settings, pending),
            Operation::Batch(operations) => {
                for operation in operations {
                    self.apply(operation, now_s, settings, pending);
                }
            }
        }
    }

    /// Remove at most `max` rules whose end has come; how many were.
    pub(crate) fn sweep(&mut self, now_s: u32, max: usize) -> usize {
        let mut swept = 0;
        while swept < max {
            let Some((expires_at_s, ending)) = self.expiry.first() else { break };
            if now_s < expires_at_s {
                break;
            }
            self.end(ending);
            self.counts.expired += 1;
            swept += 1;
        }
        swept
    }

    fn table(&mut self, list: List) -> &mut AddressTable {
        match list {
            List::Allow => &mut self.next.allow,
            List::Block => &mut self.next.block,
        }
    }

    fn holder(&self, target: &Target) -> Option<Holder> {
        match target {
            Target::Client(list, net) => self.next.list(*list).get(*net).map(Holder::from),
            Target::Resource(resource, conditions) => {
                self.next.resources.get(resource)?.with_conditions(conditions).map(Holder::from)
            }
        }
    }

    /// Where in its table a target is kept.
    fn place(&self, target: &Target) -> u64 {
        match target {
            Target::Client(list, net) => self.next.list(*list).place(*net),
            Target::Resource(resource, _) => self.next.resources.hash(resource),
        }
    }

    fn put(&mut self, mut rule: Rule, now_s: u32, settings: &Settings, pending: PendingHits<'_>) {
        let mut holder = self.holder(&rule.target);
        if holder.is_some_and(|holder| holder.expires_at_s <= now_s) {
            // Whether it was swept already must not matter.
            self.remove(&rule.target);
            self.counts.expired += 1;
            holder = None;
        }
        let is_learned = matches!(rule.origin, Origin::Learned(_));
        if is_learned {
            // What a backend taught ends some day; the caps on learned rules count those that do.
            rule.expires_at_s = rule.expires_at_s.min(NEVER - 1);
        }
        if is_learned && holder.is_some_and(|holder| holder.source != LEARNED) {
            // What an operator listed stays: a backend could otherwise end it by its TTL.
            self.counts.refused += 1;
            return;
        }
        if rule.expires_at_s <= now_s {
            self.remove(&rule.target);
            return;
        }
        let Some(source) = self.source(&rule.origin) else {
            self.counts.refused += 1;
            return;
        };
        let slot = match holder {
            Some(holder) => {
                self.expiry.remove(holder.expires_at_s, holder.slot, host_of(&rule.target));
                holder.slot
            }
            None => {
                if !self.make_room(&rule, settings) {
                    return;
                }
                self.take_slot(pending)
            }
        };
        let window_ttl_s = match &rule.origin {
            Origin::Learned(from) => rule.expires_at_s.saturating_sub(from.learned_at_s),
            Origin::List(_) => 0,
        };
        self.next.cells.set_window(slot, window_ttl_s);
        self.expiry.insert(rule.expires_at_s, slot, &rule.target, caps::teacher(&rule));
        self.insert(rule, slot, source, settings);
    }

    fn insert(&mut self, rule: Rule, slot: u32, source: u8, settings: &Settings) {
        let Rule { target, action, expires_at_s, origin, reason } = rule;
        let provenance = match origin {
            Origin::Learned(provenance) => Some(provenance),
            Origin::List(_) => None,
        };
        let reason = if reason.len() > settings.max_reason_bytes {
            cut(&reason, settings.max_reason_bytes).into()
        } else {
            reason
        };
        let details =
            (provenance.is_some() || !reason.is_empty()).then(|| Arc::new(Details { reason, provenance }));
        match target {
            Target::Client(list, net) => {
                self.table(list).insert(AddressEntry { net, action, expires_at_s, slot, source });
                self.set_details(slot, details);
            }
            Target::Resource(resource, conditions) => {
                let conditions = (!conditions.is_empty()).then(|| Arc::new(conditions));
                let rule = ResourceRule { conditions, details, action, expires_at_s, slot, source };
                self.next.resources.insert(&resource, rule);
            }
        }
    }

    fn set_details(&mut self, slot: u32, details: Option<Arc<Details>>) {
        let same = |other: &SlotDetails| other.slot == slot;
        match details {
            Some(details) => {
                self.next.details.insert(SlotDetails { slot, details }, same);
            }
            None => {
                let hash = self.next.details.keys().hash_one(slot);
                self.next.details.remove(hash, same);
            }
        }
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

    fn take_slot(&mut self, pending: PendingHits<'_>) -> u32 {
        let slot = self.free_slots.pop_front().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.next.cells.reserve(slot);
        self.next.cells.reset(slot, pending(slot));
        slot
    }

    fn end(&mut self, ending: Ending) {
        match ending {
            Ending::Client(list, net) => {
                self.remove(&Target::Client(list, net));
            }
            Ending::Resource(resource, slot) => self.remove_resource_rule(&resource, slot),
        }
    }

    fn remove(&mut self, target: &Target) {
        let Some(holder) = self.holder(target) else { return };
        match target {
            Target::Client(list, net) => {
                self.table(*list).remove(*net);
                self.set_details(holder.slot, None);
                self.expiry.remove(holder.expires_at_s, holder.slot, None);
                self.free_slots.push_back(holder.slot);
            }
            Target::Resource(resource, _) => self.remove_resource_rule(resource, holder.slot),
        }
    }

    fn remove_resource_rule(&mut self, resource: &Resource, slot: u32) {
        if let Some(removed) = self.next.resources.remove(resource, slot) {
            self.expiry.remove(removed.expires_at_s, slot, resource.host.as_ref());
            self.free_slots.push_back(slot);
        }
    }

    fn forget_resource(&mut self, resource: &Resource) {
        let Some(rules) = self.next.resources.get(resource).cloned() else { return };
        for rule in rules.rules.iter().filter(|rule| rule.source == LEARNED) {
            self.remove_resource_rule(resource, rule.slot);
        }
    }

    /// What the list no longer holds goes first, so that a full filter takes the new list; what stays keeps its
    /// hits.
    fn replace(
        &mut self,
        list: Arc<str>,
        mut rules: Vec<Rule>,
        now_s: u32,
        settings: &Settings,
        pending: PendingHits<'_>,
    ) {
        if let Some(at) = self.next.sources.iter().skip(1).position(|name| *name == list) {
            self.remove_list((at + 1) as u8, &rules);
        }
        if self.len() + rules.len() <= settings.max_rules as usize {
            // No rule has to give way, so their order decides nothing. Neighbours in a table come one after the
            // other then: the second finds in the cache what the first has changed.
            rules.sort_by_cached_key(|rule| self.place(&rule.target));
        }
        let origin = Origin::List(list);
        for rule in rules {
            self.put(Rule { origin: origin.clone(), ..rule }, now_s, settings, pending);
        }
    }

    /// Remove the rules of a list whose targets are not among those of `stay`.
    fn remove_list(&mut self, list: u8, stay: &[Rule]) {
        let mut stays = vec![false; self.slots as usize];
        for holder in stay.iter().filter_map(|rule| self.holder(&rule.target)) {
            if let Some(place) = stays.get_mut(holder.slot as usize) {
                *place = true;
            }
        }
        let goes = |source: u8, slot: u32| source == list && stays.get(slot as usize) == Some(&false);
        let mut gone = Vec::new();
        for which in [List::Allow, List::Block] {
            let entries = self.next.list(which).entries().filter(|entry| goes(entry.source, entry.slot));
            gone.extend(entries.map(|entry| Ending::Client(which, entry.net)));
        }
        for of in self.next.resources.entries() {
            let rules = of.rules.iter().filter(|rule| goes(rule.source, rule.slot));
            gone.extend(rules.map(|rule| Ending::Resource(of.resource.clone(), rule.slot)));
        }
        for ending in gone {
            self.end(ending);
        }
    }
}

#[cfg(test)]
mod tests;
