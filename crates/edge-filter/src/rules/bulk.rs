//! Many addresses at once.

use std::sync::Arc;

use super::{Context, Rules, keep_reason, take_slot};
use crate::address::{Arrivals, Tenure};
use crate::expiry::Ends;
use crate::rule::Details;
use crate::snapshot::{LEARNED, Place, SlotDetails};
use crate::{AddressEntry, AddressRule, List, Origin, Rule, Target};

/// What rules that come together have in common.
struct Batch<'a> {
    list: &'a Arc<str>,
    reason: &'a Arc<str>,
    /// Targets of the learned rules that they have replaced so far.
    lessons: Vec<Target>,
}

impl Rules {
    /// Put these rules of one list. The same as one put after the other, but each step is taken for all of them
    /// in the order of what it changes. Gives the targets of the learned rules that they replace.
    pub(crate) fn put_addresses(
        &mut self,
        list: &Arc<str>,
        reason: &Arc<str>,
        pieces: impl IntoIterator<Item: AsRef<[AddressRule]>>,
        context: Context<'_>,
    ) -> Vec<Target> {
        let mut batch = Batch { list, reason, lessons: Vec::new() };
        let mut gathered = self.no_arrivals();
        let mut source = None;
        for piece in pieces {
            let rules = piece.as_ref();
            // A list of which no rule is put has no number.
            if source.is_none() && rules.iter().any(|rule| rule.expires_at_s > context.now_s) {
                source = self.source(&Origin::List(list.clone()));
            }
            let coming = gathered.iter().map(|(_, arrivals)| arrivals.len()).sum::<usize>() + rules.len();
            // Where a rule may have to give way, or readers see another snapshot, one after the other is put.
            let has_room = self.len() + coming <= context.settings.max_rules as usize;
            let is_seen_alike = context.is_draft || self.live.is_none();
            if has_room && is_seen_alike && source.is_some() {
                for rule in rules {
                    let [(_, allow), (_, block)] = &mut gathered;
                    match rule.list {
                        List::Allow => allow.push(rule),
                        List::Block => block.push(rule),
                    }
                }
            } else {
                let before = std::mem::replace(&mut gathered, self.no_arrivals());
                self.put_gathered(&mut batch, source, before, context);
                self.put_in_turn(&mut batch, rules, context);
            }
        }
        self.put_gathered(&mut batch, source, gathered, context);
        batch.lessons
    }

    fn no_arrivals(&self) -> [(List, Arrivals); 2] {
        let keys = self.next.details.keys();
        [List::Allow, List::Block].map(|which| (which, Arrivals::new(keys)))
    }

    fn put_in_turn(&mut self, batch: &mut Batch<'_>, rules: &[AddressRule], context: Context<'_>) {
        let Batch { list, reason, lessons } = batch;
        for &AddressRule { list: which, net, action, expires_at_s } in rules {
            let origin = Origin::List(Arc::clone(list));
            let target = Target::Client(which, net);
            lessons.extend(self.next.has_lesson(&target).then(|| target.clone()));
            self.put(Rule { target, action, expires_at_s, origin, reason: Arc::clone(reason) }, context);
        }
    }

    /// Put at once those that replace no rule but a live one and are not replaced among themselves; then the others in
    /// turn.
    fn put_gathered(
        &mut self,
        batch: &mut Batch<'_>,
        source: Option<u8>,
        gathered: [(List, Arrivals); 2],
        context: Context<'_>,
    ) {
        let Some(source) = source else { return };
        let now_s = context.now_s;
        let reason = keep_reason(Arc::clone(batch.reason), context.settings);
        let details = (!reason.is_empty()).then(|| Arc::new(Details { reason, provenance: None }));
        let (mut ends, mut described, mut in_turn) = (Ends::default(), Vec::new(), Vec::new());
        for (which, arrivals) in gathered {
            let Self { next, slots, expiry, .. } = self;
            let (cells, texts) = (&mut next.cells, &mut next.details);
            let table = match which {
                List::Allow => &mut next.allow,
                List::Block => &mut next.block,
            };
            let mut last = None;
            table.insert_many(arrivals, |coming, other| {
                let AddressEntry { net, action, expires_at_s, .. } = coming;
                let is_again = last.replace(net) == Some(net);
                let has_ended = other.is_some_and(|other| other.expires_at_s <= now_s);
                if is_again || has_ended || expires_at_s <= now_s {
                    in_turn.push(AddressRule { list: which, net, action, expires_at_s });
                    return None;
                }
                let slot = match other {
                    Some(AddressEntry { slot, expires_at_s, source, .. }) => {
                        expiry.remove(expires_at_s, slot, None);
                        if source == LEARNED {
                            next.learned -= 1;
                            batch.lessons.push(Target::Client(which, net));
                        }
                        if details.is_none() && texts.len() > 0 {
                            texts.remove(texts.keys().hash_one(slot), |other| other.slot == slot);
                        }
                        slot
                    }
                    None => take_slot(slots, cells, context.pending),
                };
                ends.push(expires_at_s, slot, &Place::Client(which, net));
                if details.is_some() {
                    described.push((texts.keys().hash_one(slot), slot));
                }
                Some(Tenure { slot, source })
            });
        }
        self.expiry.insert_many(ends);
        if let Some(details) = details {
            described.sort_unstable();
            self.next.details.reserve(described.len());
            let same = |slot: &u32, other: &SlotDetails| other.slot == *slot;
            let describe =
                |&slot: &u32, _: Option<&SlotDetails>| Some(SlotDetails { slot, details: details.clone() });
            self.next.details.insert_many(&described, same, describe);
        }
        self.put_in_turn(batch, &in_turn, context);
    }
}
