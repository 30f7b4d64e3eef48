//! Many addresses at once.

use std::sync::Arc;

use super::intake::{Taken, Terms};
use super::{Context, Rules};
use crate::address::Arrivals;
use crate::{AddressRule, List, Target};

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
        let mut terms = Terms::new(list, reason, context.settings);
        let mut lessons = Vec::new();
        let mut gathered = self.no_arrivals();
        for piece in pieces {
            let rules = piece.as_ref();
            terms.is_put = terms.is_put || rules.iter().any(|rule| rule.expires_at_s > context.now_s);
            terms.number(self);
            let coming = gathered.iter().map(|(_, arrivals)| arrivals.len()).sum::<usize>() + rules.len();
            // Where a rule may have to give way, or readers see another snapshot, one after the other is put.
            let has_room = self.len() + coming <= context.settings.max_rules as usize;
            let is_seen_alike = context.is_draft || self.live.is_none();
            if has_room && is_seen_alike && terms.has_number() {
                for rule in rules {
                    let [(_, allow), (_, block)] = &mut gathered;
                    match rule.list {
                        List::Allow => allow.push(rule),
                        List::Block => block.push(rule),
                    }
                }
            } else {
                let before = std::mem::replace(&mut gathered, self.no_arrivals());
                self.put_gathered(&terms, before, &mut lessons, context);
                for rule in rules {
                    self.put_in_turn(rule, &terms, &mut lessons, context);
                }
            }
        }
        self.put_gathered(&terms, gathered, &mut lessons, context);
        lessons
    }

    pub(super) fn no_arrivals(&self) -> [(List, Arrivals); 2] {
        [List::Allow, List::Block].map(|which| (which, Arrivals::new(self.keys())))
    }

    fn put_gathered(
        &mut self,
        terms: &Terms,
        gathered: [(List, Arrivals); 2],
        lessons: &mut Vec<Target>,
        context: Context<'_>,
    ) {
        let (terms, mut taken) = (std::slice::from_ref(terms), Taken::default());
        for (which, arrivals) in gathered {
            let (table, mut intake) = self.intake(which, terms, usize::MAX, taken, context);
            table.insert_many(arrivals, |coming, other| intake.take(&coming, other.as_ref()));
            taken = intake.end();
        }
        self.take_over(taken, terms, lessons, context);
    }
}
