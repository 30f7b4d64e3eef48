//! What backends taught, and other clients have to be answered before it holds for all.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::lesson::Confirm;
use crate::{Action, ClientNet, Conditions, Operation, Resource, Rule, Target};

/// Targets that may wait at a time; the oldest gives way.
const MAX_WAITING: usize = 4096;

/// Longest wait, seconds.
const MAX_WAIT_S: u32 = 3600;

/// Rules that wait until several client networks were answered alike. In memory only, so each process counts by itself.
#[derive(Debug, Default)]
pub struct Confirmations {
    waiting: BTreeMap<Arc<Target>, Waiting>,
    /// The same by age.
    by_age: BTreeMap<u64, Arc<Target>>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    age: u64,
    action: Action,
    networks: SmallVec<[ClientNet; 4]>,
    expires_at_s: u32,
}

impl Confirmations {
    /// Counts that a client of this network was answered so, and says whether the rule is to be made now: the networks
    /// are as many as it waits for. It waits as long as it would live, an hour at most; another action begins anew.
    pub fn confirm(&mut self, rule: &Rule, confirm: Confirm, now_s: u32) -> bool {
        if self
            .waiting
            .get(&rule.target)
            .is_some_and(|waiting| waiting.expires_at_s <= now_s || waiting.action != rule.action)
        {
            self.remove(&rule.target);
        }
        let networks = match self.waiting.get_mut(&rule.target) {
            Some(waiting) => {
                if !waiting.networks.contains(&confirm.network) {
                    waiting.networks.push(confirm.network);
                }
                waiting.networks.len()
            }
            None => {
                self.insert(rule, confirm.network, now_s);
                1
            }
        };
        let is_confirmed = networks >= usize::from(confirm.networks);
        if is_confirmed {
            self.remove(&rule.target);
        }
        is_confirmed
    }

    /// A backend took something back: what waits for it begins anew.
    pub fn take_back(&mut self, operation: &Operation) {
        match operation {
            Operation::Forget(target) => self.remove(target),
            Operation::ForgetResource(resource) => self.remove_resource(resource),
            Operation::Put(_) | Operation::Remove(_) | Operation::Batch(_) => {}
        }
    }

    fn insert(&mut self, rule: &Rule, network: ClientNet, now_s: u32) {
        if self.waiting.len() >= MAX_WAITING
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.waiting.remove(&oldest);
        }
        let (target, age) = (Arc::new(rule.target.clone()), self.next);
        self.next += 1;
        let expires_at_s = rule.expires_at_s.min(now_s.saturating_add(MAX_WAIT_S));
        let networks = SmallVec::from_iter([network]);
        self.by_age.insert(age, target.clone());
        self.waiting.insert(target, Waiting { age, action: rule.action, networks, expires_at_s });
    }

    fn remove(&mut self, target: &Target) {
        if let Some(waiting) = self.waiting.remove(target) {
            self.by_age.remove(&waiting.age);
        }
    }

    /// Conditions that are none come first in their order.
    fn remove_resource(&mut self, resource: &Resource) {
        let is_its = |target: &&Arc<Target>| matches!(&***target, Target::Resource(of, _) if of == resource);
        let first = Target::Resource(resource.clone(), Conditions::default());
        let its = self.waiting.range(first..).map(|(target, _)| target).take_while(is_its);
        for target in its.cloned().collect::<Vec<_>>() {
            self.remove(&target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CanonicalPath, Origin, ParameterSegments, Provenance, Status};

    const NOW_S: u32 = 1000;

    fn rule(path: &str, ttl_s: u32) -> Rule {
        let path = CanonicalPath::parse(path, ParameterSegments::Keep, 99).unwrap();
        Rule {
            target: Target::Resource(Resource::exact(None, path), Conditions::default()),
            action: Action::Deny(Status::FORBIDDEN),
            expires_at_s: NOW_S + ttl_s,
            origin: Origin::Learned(Arc::new(Provenance::default())),
            reason: "".into(),
        }
    }

    fn of(client: &str, networks: u8) -> Confirm {
        Confirm { networks, network: ClientNet::of_client(client.parse().unwrap()) }
    }

    #[test]
    fn as_many_networks_as_asked_for_make_a_rule_and_clients_of_one_count_once() {
        let mut confirmations = Confirmations::default();
        let mut confirm = |client: &str| confirmations.confirm(&rule("/a", 60), of(client, 3), NOW_S);
        for client in ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::1", "2001:db8:0:9::1"] {
            assert!(!confirm(client), "{client}");
        }
        assert!(confirm("2001:db8:1::1"));
        assert!(!confirm("198.51.100.1"), "once made, the next begins anew");
        assert_eq!((confirmations.waiting.len(), confirmations.by_age.len()), (1, 1));
    }

    #[test]
    fn another_action_another_target_or_a_late_answer_confirms_nothing() {
        let mut confirmations = Confirmations::default();
        let (one, two) = (of("192.0.2.1", 2), of("198.51.100.1", 2));
        assert!(!confirmations.confirm(&rule("/a", 60), one, NOW_S));
        assert!(!confirmations.confirm(&rule("/b", 60), two, NOW_S));
        let gone = Rule { action: Action::Tarpit, ..rule("/a", 60) };
        assert!(!confirmations.confirm(&gone, two, NOW_S));
        assert!(!confirmations.confirm(&rule("/a", 60), one, NOW_S + 59), "begun anew by the other action");
        assert!(confirmations.confirm(&rule("/a", 60), two, NOW_S + 59));
        assert!(!confirmations.confirm(&rule("/c", 60), one, NOW_S));
        assert!(!confirmations.confirm(&rule("/c", 600), two, NOW_S + 60), "as long as it would have lived");
        assert!(!confirmations.confirm(&rule("/d", 86_400), one, NOW_S));
        assert!(!confirmations.confirm(&rule("/d", 86_400), two, NOW_S + 3600), "an hour at most");
    }

    #[test]
    fn what_was_taken_back_is_confirmed_anew() {
        let mut confirmations = Confirmations::default();
        let post = Conditions { method: Some("POST".into()), ..Conditions::default() };
        let of_post = |mut rule: Rule| {
            let Target::Resource(resource, _) = rule.target else { panic!() };
            rule.target = Target::Resource(resource, post.clone());
            rule
        };
        let (one, two) = (of("192.0.2.1", 2), of("198.51.100.1", 2));
        let rules = [rule("/a", 60), of_post(rule("/a", 60)), rule("/b", 60)];
        let Target::Resource(resource, _) = rules[0].target.clone() else { panic!() };
        for (taken_back, left) in [
            (Operation::Forget(rules[1].target.clone()), [true, false, true]),
            (Operation::ForgetResource(resource), [false, false, true]),
        ] {
            assert!(rules.iter().all(|rule| !confirmations.confirm(rule, one, NOW_S)));
            confirmations.take_back(&taken_back);
            assert_eq!(
                rules.each_ref().map(|rule| confirmations.confirm(rule, two, NOW_S)),
                left,
                "{taken_back:?}"
            );
            confirmations = Confirmations::default();
        }
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut confirmations = Confirmations::default();
        for n in 0..=MAX_WAITING {
            confirmations.confirm(&rule(&format!("/{n}"), 60), of("192.0.2.1", 2), NOW_S);
        }
        assert_eq!((confirmations.waiting.len(), confirmations.by_age.len()), (MAX_WAITING, MAX_WAITING));
        let mut confirm = |path: &str| confirmations.confirm(&rule(path, 60), of("198.51.100.1", 2), NOW_S);
        assert_eq!((confirm("/1"), confirm("/0")), (true, false));
    }
}
