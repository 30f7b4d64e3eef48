//! Who gives way at a cap.

use super::{Context, Rules};
use crate::snapshot::{LEARNED, Place};
use crate::{Host, MAX_RULES_PER_RESOURCE, NEVER, Origin, Rule, Target};

/// The rule that ends first, and when; `None` where there is none.
type First = Option<(u32, Place)>;

impl Rules {
    /// Make one place below every cap that the rule counts against; whether there is one. At each the rule that
    /// ends first gives way, and where that is the new one, nothing does. A learned rule displaces learned ones
    /// only, and gives way to a rule of a list whenever it ends: what an operator was told to be in force is. At the
    /// cap on all learned rules, the backend that has taught most gives way to all others, so that none can fill the
    /// filter for good.
    pub(super) fn make_room(&mut self, rule: &Rule, context: Context<'_>) -> bool {
        let settings = context.settings;
        let (teacher, host) = (teacher(rule), host_of(rule));
        let ends_first = |end_s: u32| end_s <= rule.expires_at_s && end_s != NEVER;
        let in_turn = |first: First| first.filter(|(end_s, _)| ends_first(*end_s)).map(|first| first.1);
        // What was learned first; nothing else to what is learned.
        let for_list = |learned: First, any: First| learned.map(|first| first.1).or_else(|| in_turn(any));
        let (mut room, mut learned_room) = (false, teacher.is_none());
        let mut gives_way = Vec::new();
        if let Some((learned, listed)) = self.first_of_full_resource(rule) {
            (room, learned_room) = (true, true);
            gives_way.push(match teacher {
                Some(_) => in_turn(learned),
                None => for_list(learned, listed),
            });
        }
        if !learned_room && self.expiry.learned_of(host) >= settings.max_learned_per_host as usize {
            (room, learned_room) = (true, true);
            gives_way.push(in_turn(self.expiry.first_learned_of(host)));
        }
        if let Some(own) =
            teacher.filter(|_| !learned_room && self.expiry.learned() >= settings.max_learned as usize)
        {
            room = true;
            gives_way.push(match self.expiry.first_of_busiest(own) {
                Some((busiest, first)) if busiest == own => in_turn(Some(first)),
                of_another => of_another.map(|(_, first)| first.1),
            });
        }
        if !room && self.len() >= settings.max_rules as usize {
            gives_way.push(match teacher {
                Some(_) => in_turn(self.expiry.first_learned()),
                None => for_list(self.expiry.first_learned(), self.expiry.first()),
            });
        }
        let Some(gives_way) = gives_way.into_iter().collect::<Option<Vec<_>>>() else {
            self.counts.refused += 1;
            return false;
        };
        for place in gives_way {
            self.end(&place, context);
            self.counts.evicted += 1;
        }
        true
    }

    /// Where a resource has no place for another rule: the learned one that ends first, and the one of a list that does.
    fn first_of_full_resource(&self, rule: &Rule) -> Option<(First, First)> {
        let Target::Resource(resource, _) = &rule.target else { return None };
        let rules = &self.next.resources.get(resource)?.rules;
        if rules.len() < MAX_RULES_PER_RESOURCE {
            return None;
        }
        let first = |is_learned: bool| {
            let those = rules.iter().filter(|other| (other.source == LEARNED) == is_learned);
            let first = those.min_by_key(|rule| (rule.expires_at_s, rule.slot))?;
            Some((first.expires_at_s, Place::Resource(resource.clone(), first.slot)))
        };
        Some((first(true), first(false)))
    }
}

/// The backend that taught a rule, if one did.
pub(super) fn teacher(rule: &Rule) -> Option<&str> {
    match &rule.origin {
        Origin::Learned(from) => Some(&from.backend),
        Origin::List(_) => None,
    }
}

fn host_of(rule: &Rule) -> Option<&Host> {
    match &rule.target {
        Target::Client(..) => None,
        Target::Resource(resource, _) => resource.host.as_ref(),
    }
}
