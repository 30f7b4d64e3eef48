//! What keeping lessons beyond the process asks of the rules.

use std::sync::Arc;

use super::{Context, Rules, caps, keep};
use crate::snapshot::{Holder, LEARNED, Place, Snapshot};
use crate::{NEVER, Origin, Rule, Target};

impl Rules {
    /// All learned rules, those of the draft too.
    pub(crate) fn learned(&mut self) -> impl Iterator<Item = Option<Rule>> + Send + use<> {
        let snapshot = Arc::new(self.next.clone());
        // Freed in pieces once the walk is over, not by who ends it.
        self.retire(snapshot.clone());
        snapshot.learned()
    }

    /// Let a learned rule end at another time. Its hits and its half-open window stay: the time that is left is the same
    /// by another clock. Does nothing where the rule is another one by now.
    pub(crate) fn end_at(&mut self, rule: &Rule, expires_at_s: u32, context: Context<'_>) -> bool {
        let Origin::Learned(from) = &rule.origin else { return false };
        let Some(found) = self.next.holder(&rule.target) else { return false };
        let place = Place::of(&rule.target, found.slot);
        let is_same = found.source == LEARNED
            && found.expires_at_s == rule.expires_at_s
            && self.next.learned_at_us(&place) == Some(from.learned_at_us);
        if !is_same {
            return false;
        }
        let rule = Rule { expires_at_s: expires_at_s.min(NEVER - 1), ..rule.clone() };
        self.expiry.remove(found.expires_at_s, found.slot, place.host());
        self.expiry.insert(rule.expires_at_s, found.slot, &place, caps::teacher(&rule));
        let kept = keep(rule, found.slot, found.source, context.settings);
        if let Some(live) = self.live_for(context)
            && live.at(&place).is_some_and(|holder: Holder| holder == found)
        {
            live.insert(kept.clone());
        }
        self.next.insert(kept);
        true
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
    fn a_learned_rule_ends_at_another_time_and_stays_the_same_otherwise() {
        let filter = Filter::new(Settings::default());
        let rule = |path| Rule { expires_at_s: NOW_S + 100, ..learned(path, false, 1000 * 1_000_000) };
        for path in ["/a", "/b"] {
            filter.submit(Operation::Put(rule(path)), NOW_S).unwrap();
        }
        let verdict = |base: &[u8], now_s| filter.reader().resource(base, now_s).code();
        (0..7).for_each(|_| _ = verdict(b"x/a", NOW_S));
        let mut edit = filter.edit(NOW_S).unwrap();
        assert!(edit.end_at(&rule("/a"), NOW_S + 5000));
        assert!(!edit.end_at(&rule("/a"), NOW_S + 9000), "it is another one by now");
        assert!(!edit.end_at(&learned("/b", false, 7), NOW_S + 9000), "it was taught another time");
        assert!(!edit.end_at(&on("/b", false, Origin::List("ours".into())), NOW_S + 9000));
        drop(edit);
        assert_eq!([verdict(b"x/a", NOW_S + 200), verdict(b"x/b", NOW_S + 200)], [403, 0]);
        let hits = filter.rules(crate::Kind::Resource).find(|(found, _)| found.target == rule("/a").target);
        assert_eq!(hits.map(|(_, hits)| hits), Some(8));
        // The window is the one of a TTL of 100 s.
        assert_eq!(verdict(b"x/a", NOW_S + 5000 - 11), 403);
        let near: Vec<i16> = (0..2).map(|_| verdict(b"x/a", NOW_S + 5000 - 10)).collect();
        assert_ne!(near[0], 403, "one request is let through near its new end");
        let swept_at = |now_s| {
            filter.upkeep(now_s, 9);
            filter.counters().changes.expired
        };
        assert_eq!([NOW_S + 200, NOW_S + 4999, NOW_S + 5000].map(swept_at), [1, 1, 2]);
    }

    #[test]
    fn readers_see_the_new_end_beside_a_draft() {
        let filter = Filter::new(Settings::default());
        let rule = Rule { expires_at_s: NOW_S + 100, ..learned("/a", false, 1) };
        filter.submit(Operation::Put(rule.clone()), NOW_S).unwrap();
        filter.edit(NOW_S).unwrap().draft(Operation::Put(on("/other", false, Origin::List("ours".into()))));
        assert!(filter.edit(NOW_S).unwrap().end_at(&rule, NOW_S + 500));
        assert_eq!(filter.reader().resource(b"x/a", NOW_S + 200).code(), 403);
        filter.edit(NOW_S).unwrap().publish_draft();
        assert_eq!(filter.reader().resource(b"x/a", NOW_S + 200).code(), 403);
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
