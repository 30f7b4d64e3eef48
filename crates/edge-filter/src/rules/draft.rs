//! Changes that readers see later, beside those that they see at once.

use super::{Context, Rules};
use crate::MAX_RULES_PER_RESOURCE;
use crate::snapshot::{Holder, Kept, Place, Snapshot};

impl Rules {
    /// From now on, readers see no change of the draft. Nothing begins where a draft is under way.
    pub(crate) fn begin_draft(&mut self) {
        if self.live.is_none() {
            self.live = Some(self.next.clone());
        }
    }

    pub(crate) fn has_draft(&self) -> bool {
        self.live.is_some()
    }

    /// Readers are to see all that was drafted from the next publication on.
    pub(crate) fn end_draft(&mut self) {
        if let Some(live) = self.live.take() {
            self.retired.add(live.into());
            self.slots.release();
            self.expiry.settle();
        }
    }

    /// What readers see, if this change is for it and a draft keeps it apart from `next`.
    pub(super) fn live_for(&mut self, context: Context<'_>) -> Option<&mut Snapshot> {
        self.live.as_mut().filter(|_| !context.is_draft)
    }

    /// Show readers a rule that `next` has taken, unless theirs `stays`, or their resource is full: lookups must not
    /// get long.
    pub(super) fn insert_live(&mut self, kept: &Kept, stays: impl Fn(Holder) -> bool, context: Context<'_>) {
        let Some(live) = self.live_for(context) else { return };
        let takes = match kept {
            Kept::Client(list, entry, _) => {
                let holder = live.at(&Place::Client(*list, entry.net));
                !holder.is_some_and(stays)
            }
            Kept::Resource(resource, rule) => live.resources.get(resource).is_none_or(|of| {
                let same = of.rules.iter().find(|other| other.conditions == rule.conditions);
                match same {
                    Some(same) => !stays(Holder::from(same)),
                    None => of.rules.len() < MAX_RULES_PER_RESOURCE,
                }
            }),
        };
        if takes {
            live.insert(kept.clone());
        }
    }

    /// The slot of a rule that `next` has no more, kept from other rules while readers still see this one.
    pub(super) fn give_back(&mut self, place: &Place, slot: u32) {
        let is_read =
            self.live.as_ref().and_then(|live| live.at(place)).is_some_and(|live| live.slot == slot);
        if is_read {
            self.slots.hold(slot);
        } else {
            self.slots.free(slot);
        }
    }
}
