//! What keeping lessons beyond the process asks of the rules.

use std::sync::Arc;

use super::Rules;
use crate::snapshot::{LEARNED, Place, Snapshot};
use crate::{Rule, Target};

impl Rules {
    /// All learned rules, those of the draft too.
    pub(crate) fn learned(&mut self) -> impl Iterator<Item = Option<Rule>> + Send + use<> {
        let snapshot = Arc::new(self.next.clone());
        // Freed in pieces once the walk is over, not by who ends it.
        self.retire(snapshot.clone());
        snapshot.learned()
    }
}

impl Snapshot {
    /// All learned rules, in no promised order, ended ones that were not yet swept too. `None` stands for each rule
    /// of a list, so that a walk over millions of those can be continued in slices of work.
    pub fn learned(self: Arc<Self>) -> impl Iterator<Item = Option<Rule>> + Send + use<> {
        let snapshot = self.clone();
        let clients = self
            .addresses()
            .map(move |(list, entry)| (entry.source == LEARNED).then(|| snapshot.address_rule(list, &entry)));
        let resources = self.resources.entries().flat_map(move |of| {
            let learned =
                of.rules.iter().map(|rule| (rule.source == LEARNED).then(|| self.resource_rule(&of, rule)));
            learned.collect::<Vec<_>>()
        });
        clients.chain(resources)
    }

    /// Whether the rule with this target was learned.
    pub(crate) fn has_lesson(&self, target: &Target) -> bool {
        self.holder(target).is_some_and(|holder| holder.source == LEARNED)
    }

    /// The stamp of the lesson in this place; `None` where there is none.
    pub(crate) fn learned_at_us(&self, place: &Place) -> Option<u64> {
        let details = match place {
            Place::Client(list, net) => self.address_details(self.list(*list).get(*net)?.slot)?,
            Place::Resource(resource, slot) => {
                let rules = &self.resources.get(resource)?.rules;
                rules.iter().find(|rule| rule.slot == *slot)?.details.as_deref()?
            }
        };
        details.provenance.as_ref().map(|from| from.learned_at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Action, CanonicalPath, Conditions, Filter, List, NEVER, Operation, Origin, ParameterSegments,
        Provenance, Resource, Settings, Status,
    };

    const NOW_S: u32 = 1000;

    fn resource(path: &str) -> Resource {
        Resource::exact(None, CanonicalPath::parse(path, ParameterSegments::Keep, 64).unwrap())
    }

    fn on(path: &str, anonymous: bool, origin: Origin) -> Rule {
        let conditions = Conditions { anonymous, ..Conditions::default() };
        Rule {
            target: Target::Resource(resource(path), conditions),
            action: Action::Deny(Status::FORBIDDEN),
            expires_at_s: NEVER - 1,
            origin,
            reason: "".into(),
        }
    }

    fn learned(path: &str, anonymous: bool, learned_at_us: u64) -> Rule {
        let from = Provenance { learned_at_us, ..Provenance::default() };
        on(path, anonymous, Origin::Learned(Arc::new(from)))
    }

    #[test]
    fn an_edit_that_settles_has_all_that_was_submitted() {
        let filter = Filter::new(Settings::default());
        let mut edit = filter.edit(NOW_S).unwrap();
        for n in 0..64 {
            filter.submit(Operation::Put(learned(&format!("/{n}"), false, 1)), NOW_S).unwrap();
        }
        assert_eq!(filter.snapshot().counts().learned, 0);
        edit.settle();
        assert_eq!(edit.learned_on(&resource("/63")).len(), 1);
        assert_eq!(filter.snapshot().counts().learned, 64, "readers do not wait for the end of the edit");
    }

    #[test]
    fn learned_rules_are_told_from_listed_ones() {
        let filter = Filter::new(Settings::default());
        let put = |rule| filter.submit(Operation::Put(rule), NOW_S).unwrap();
        let client = |net: &str, rule: Rule| Rule {
            target: Target::Client(List::Block, net.parse().unwrap()),
            ..rule
        };
        let listed = || on("/listed", false, Origin::List("ours".into()));
        put(learned("/yeet", false, 7));
        put(learned("/yeet", true, 8));
        put(listed());
        put(client("192.0.2.1", learned("/", false, 9)));
        put(client("192.0.2.2", listed()));
        let mut stamps: Vec<u64> = filter
            .snapshot()
            .learned()
            .flatten()
            .map(|rule| match rule.origin {
                Origin::Learned(from) => from.learned_at_us,
                Origin::List(_) => 0,
            })
            .collect();
        stamps.sort_unstable();
        assert_eq!(stamps, [7, 8, 9]);
        assert_eq!(filter.snapshot().learned().count(), 5, "one step for each rule, whatever it is");
        let edit = filter.edit(NOW_S).unwrap();
        let mut on_yeet: Vec<u64> =
            edit.learned_on(&resource("/yeet")).into_iter().map(|(_, ms)| ms).collect();
        on_yeet.sort_unstable();
        assert_eq!(on_yeet, [7, 8]);
        assert!(edit.learned_on(&resource("/listed")).is_empty());
        assert!(edit.rule(&listed().target).is_some());
    }

    #[test]
    fn a_lesson_that_only_the_draft_has_is_among_the_learned_rules() {
        let filter = Filter::new(Settings::default());
        let listed = on("/yeet", false, Origin::List("ours".into()));
        filter.submit(Operation::Put(listed.clone()), NOW_S).unwrap();
        filter.edit(NOW_S).unwrap().draft(Operation::Remove(listed.target));
        filter.submit(Operation::Put(learned("/yeet", false, 7)), NOW_S).unwrap();
        assert_eq!(filter.snapshot().learned().flatten().count(), 0, "readers see the list");
        assert_eq!(filter.edit(NOW_S).unwrap().learned().flatten().count(), 1);
    }
}
