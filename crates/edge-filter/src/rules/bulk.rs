//! Many addresses at once.

use std::sync::Arc;

use super::{Context, Rules, keep_reason, take_slot};
use crate::expiry::Ends;
use crate::rule::Details;
use crate::snapshot::{LEARNED, Place, SlotDetails};
use crate::{AddressEntry, AddressRule, List, Origin, Rule, Target};

impl Rules {
    /// Put these rules of one list. The same as one put after the other, but each step is taken for all of them
    /// in the order of what it changes. Gives the targets of the learned rules that they replace.
    pub(crate) fn put_addresses(
        &mut self,
        list: &Arc<str>,
        reason: &Arc<str>,
        rules: &[AddressRule],
        context: Context<'_>,
    ) -> Vec<Target> {
        let mut lessons = Vec::new();
        let in_turn = match self.put_many(list, reason, rules, &mut lessons, context) {
            Some(rest) => rest,
            None => rules.to_vec(),
        };
        for AddressRule { list: which, net, action, expires_at_s } in in_turn {
            let origin = Origin::List(list.clone());
            let target = Target::Client(which, net);
            lessons.extend(self.next.has_lesson(&target).then(|| target.clone()));
            self.put(Rule { target, action, expires_at_s, origin, reason: reason.clone() }, context);
        }
        lessons
    }

    /// Put those that replace no rule but a live one and are not replaced among themselves; the others are given
    /// back. `None` where it takes one after the other: where a rule may have to give way, or readers see another
    /// snapshot.
    fn put_many(
        &mut self,
        list: &Arc<str>,
        reason: &Arc<str>,
        rules: &[AddressRule],
        lessons: &mut Vec<Target>,
        context: Context<'_>,
    ) -> Option<Vec<AddressRule>> {
        let now_s = context.now_s;
        let has_room = self.len() + rules.len() <= context.settings.max_rules as usize;
        let is_seen_alike = context.is_draft || self.live.is_none();
        if !has_room || !is_seen_alike || rules.iter().all(|rule| rule.expires_at_s <= now_s) {
            return None;
        }
        let source = self.source(&Origin::List(list.clone()))?;
        let reason = keep_reason(reason.clone(), context.settings);
        let details = (!reason.is_empty()).then(|| Arc::new(Details { reason, provenance: None }));
        let (mut ends, mut described, mut in_turn) = (Ends::default(), Vec::new(), Vec::new());
        for which in [List::Allow, List::Block] {
            let Self { next, slots, expiry, .. } = self;
            let (cells, texts) = (&mut next.cells, &mut next.details);
            let table = match which {
                List::Allow => &mut next.allow,
                List::Block => &mut next.block,
            };
            let mut last = None;
            table.insert_many(which, rules, |coming, other| {
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
                            lessons.push(Target::Client(which, net));
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
                Some(AddressEntry { slot, source, ..coming })
            });
        }
        self.expiry.insert_many(ends);
        if let Some(details) = details {
            described.sort_unstable();
            let same = |slot: &u32, other: &SlotDetails| other.slot == *slot;
            let describe =
                |&slot: &u32, _: Option<&SlotDetails>| Some(SlotDetails { slot, details: details.clone() });
            self.next.details.insert_many(&described, same, describe);
        }
        Some(in_turn)
    }
}
