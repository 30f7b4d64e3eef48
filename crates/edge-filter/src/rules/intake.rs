//! Taking rules of addresses in while a table is changed in bulk.

use std::sync::Arc;

use super::{Context, Rules, keep_reason, take_slot};
use crate::address::Tenure;
use crate::cells::Cells;
use crate::expiry::{Ends, Expiry};
use crate::hash::HashTable;
use crate::rule::Details;
use crate::slots::Slots;
use crate::snapshot::{LEARNED, Place, SlotDetails};
use crate::{AddressEntry, AddressRule, AddressTable, ClientNet, List, Origin, Rule, Settings, Target};

/// What rules of one list have in common.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) list: Arc<str>,
    pub(super) reason: Arc<str>,
    /// Where there is a reason.
    details: Option<Arc<Details>>,
    /// Whether any of the rules is put: a list without one has no number.
    pub(super) is_put: bool,
    /// `None` for one list too many.
    source: Option<u8>,
}

impl Terms {
    pub(super) fn new(list: &Arc<str>, reason: &Arc<str>, settings: &Settings) -> Self {
        let kept = keep_reason(reason.clone(), settings);
        let details = (!kept.is_empty()).then(|| Arc::new(Details { reason: kept, provenance: None }));
        Self { list: list.clone(), reason: reason.clone(), details, is_put: false, source: None }
    }

    /// Give the list its number if it needs one.
    pub(super) fn number(&mut self, rules: &mut Rules) {
        if self.is_put && self.source.is_none() {
            self.source = rules.source(&Origin::List(self.list.clone()));
        }
    }

    pub(super) fn has_number(&self) -> bool {
        self.source.is_some()
    }
}

/// A rule to come, and which terms are its own.
pub(super) type OnTerms = (AddressRule, u32);

/// Takes in those that replace no rule but a live one and are not replaced among themselves; the others are left to be put
/// in turn.
pub(super) struct Intake<'a> {
    which: List,
    terms: &'a [Terms],
    context: Context<'a>,
    /// New rules that there is surely room for.
    room: usize,
    slots: &'a mut Slots,
    expiry: &'a mut Expiry,
    cells: &'a mut Cells,
    texts: &'a mut HashTable<SlotDetails>,
    learned: &'a mut usize,
    last: Option<ClientNet>,
    taken: Taken,
}

/// What is still to be done.
#[derive(Default)]
pub(super) struct Taken {
    ends: Ends,
    described: Vec<(u64, SlotDetails)>,
    in_turn: Vec<OnTerms>,
    /// Targets of the learned rules that were replaced.
    lessons: Vec<Target>,
}

impl Rules {
    /// The table of one list, and what takes rules in that come to it: their slots are numbers of terms. `taken` is what
    /// another intake has left.
    pub(super) fn intake<'a>(
        &'a mut self,
        which: List,
        terms: &'a [Terms],
        room: usize,
        taken: Taken,
        context: Context<'a>,
    ) -> (&'a mut AddressTable, Intake<'a>) {
        let Self { next, slots, expiry, .. } = self;
        let (cells, texts, learned) = (&mut next.cells, &mut next.details, &mut next.learned);
        let table = match which {
            List::Allow => &mut next.allow,
            List::Block => &mut next.block,
        };
        let last = None;
        (table, Intake { which, terms, context, room, slots, expiry, cells, texts, learned, last, taken })
    }

    /// Do what an intake has left. Targets of the learned rules that are replaced go to `lessons`.
    pub(super) fn take_over(
        &mut self,
        taken: Taken,
        terms: &[Terms],
        lessons: &mut Vec<Target>,
        context: Context<'_>,
    ) {
        let Taken { ends, mut described, in_turn, lessons: replaced } = taken;
        lessons.extend(replaced);
        self.expiry.insert_many(ends);
        if !described.is_empty() {
            described.sort_unstable_by_key(|(hash, of)| (*hash, of.slot));
            self.next.details.reserve(described.len());
            let same = |of: &SlotDetails, other: &SlotDetails| other.slot == of.slot;
            self.next.details.insert_many(&described, same, |of, _| Some(of.clone()));
        }
        for (rule, mark) in in_turn {
            if let Some(terms) = terms.get(mark as usize) {
                self.put_in_turn(&rule, terms, lessons, context);
            }
        }
    }

    /// Put a rule as any other one is put.
    pub(super) fn put_in_turn(
        &mut self,
        rule: &AddressRule,
        Terms { list, reason, .. }: &Terms,
        lessons: &mut Vec<Target>,
        context: Context<'_>,
    ) {
        let AddressRule { list: which, net, action, expires_at_s } = *rule;
        let origin = Origin::List(list.clone());
        let target = Target::Client(which, net);
        let lesson = self.next.has_lesson(&target).then(|| target.clone());
        self.put(Rule { target, action, expires_at_s, origin, reason: reason.clone() }, context);
        // A rule that found no place leaves the lesson in force.
        lessons.extend(lesson.filter(|target| !self.next.has_lesson(target)));
    }
}

impl Intake<'_> {
    /// What a rule that comes is held as. `None` leaves everything as it is. Those of the same network have to come one
    /// after the other.
    pub(super) fn take(&mut self, coming: &AddressEntry, other: Option<&AddressEntry>) -> Option<Tenure> {
        let AddressEntry { net, action, expires_at_s, slot: mark, .. } = *coming;
        let now_s = self.context.now_s;
        let is_again = self.last.replace(net) == Some(net);
        let has_ended = other.is_some_and(|other| other.expires_at_s <= now_s);
        let has_room = other.is_some() || self.room > 0;
        let terms = self.terms.get(mark as usize);
        let source = terms.and_then(|terms| terms.source);
        let (Some(source), false) = (source, is_again || has_ended || !has_room || expires_at_s <= now_s)
        else {
            let rule = AddressRule { list: self.which, net, action, expires_at_s };
            self.taken.in_turn.push((rule, mark));
            return None;
        };
        let details = terms.and_then(|terms| terms.details.as_ref());
        let slot = match other {
            Some(other) => {
                self.expiry.remove(other.expires_at_s, other.slot, None);
                if other.source == LEARNED {
                    *self.learned -= 1;
                    self.taken.lessons.push(Target::Client(self.which, net));
                }
                if details.is_none() {
                    self.forget_details(other.slot);
                }
                other.slot
            }
            None => {
                self.room -= 1;
                take_slot(self.slots, self.cells, self.context.pending)
            }
        };
        self.taken.ends.push(expires_at_s, slot, &Place::Client(self.which, net));
        if let Some(details) = details {
            let described = SlotDetails { slot, details: details.clone() };
            self.taken.described.push((self.texts.keys().hash_one(slot), described));
        }
        Some(Tenure { slot, source })
    }

    /// A rule of the draft goes. Its slot is kept from others while readers may still see it.
    pub(super) fn let_go(&mut self, entry: &AddressEntry) {
        self.expiry.remove(entry.expires_at_s, entry.slot, None);
        *self.learned -= usize::from(entry.source == LEARNED);
        self.forget_details(entry.slot);
        self.slots.hold(entry.slot);
    }

    /// The stamp of the lesson in this slot; `None` where there is none.
    pub(super) fn learned_at_us(&self, slot: u32) -> Option<u64> {
        let texts = &self.texts;
        let found = texts.find(texts.keys().hash_one(slot), |other| other.slot == slot)?;
        found.details.provenance.as_ref().map(|from| from.learned_at_us)
    }

    fn forget_details(&mut self, slot: u32) {
        if self.texts.len() > 0 {
            self.texts.remove(self.texts.keys().hash_one(slot), |other| other.slot == slot);
        }
    }

    pub(super) fn end(self) -> Taken {
        self.taken
    }
}
