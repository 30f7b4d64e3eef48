//! What the filter should be, told by linear search over a plain map.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use edge_filter::{
    Action, ChangeCounts, ClientNet, Conditions, List, MAX_RULES_PER_RESOURCE, Match, NEVER, Operation,
    Origin, Part, Resource, Rule, Settings, Target,
};

use super::world::{Asked, Base};

/// A rule, and what was counted of it.
#[derive(Clone)]
struct Held {
    rule: Rule,
    hits: u64,
    /// Length of the half-open window, seconds; 0 once its request was let through.
    window_s: u32,
}

/// Which rules count against a cap.
type Counts<'a> = &'a dyn Fn(&Rule) -> bool;

#[derive(Clone, Copy)]
enum Table {
    Address,
    Resource,
}

pub(super) struct Model {
    settings: Settings,
    rules: BTreeMap<Target, Held>,
    pub(super) changes: ChangeCounts,
    pub(super) half_open: u64,
    /// Of addresses and of resources: lookups, then observe, tarpit, drop, deny, ask.
    pub(super) lookups: [[u64; 6]; 2],
}

fn is_learned(rule: &Rule) -> bool {
    matches!(rule.origin, Origin::Learned(_))
}

fn host_of(rule: &Rule) -> Option<&str> {
    match &rule.target {
        Target::Resource(resource, _) => resource.host.as_ref().map(|host| host.as_str()),
        Target::Client(..) => None,
    }
}

fn resource_of(target: &Target) -> Option<&Resource> {
    match target {
        Target::Resource(resource, _) => Some(resource),
        Target::Client(..) => None,
    }
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        let (changes, lookups) = (ChangeCounts::default(), Default::default());
        Self { settings, rules: BTreeMap::new(), changes, half_open: 0, lookups }
    }

    pub(super) fn apply(&mut self, operation: &Operation, now_s: u32) {
        match operation {
            Operation::Put(rule) => self.put(rule.clone(), now_s),
            Operation::Remove(target) => drop(self.rules.remove(target)),
            Operation::Forget(target) => {
                self.rules.retain(|of, held| of != target || !is_learned(&held.rule))
            }
            Operation::ForgetResource(resource) => {
                self.rules.retain(|of, held| resource_of(of) != Some(resource) || !is_learned(&held.rule));
            }
            Operation::Replace(list, rules) => {
                let origin = Origin::List(list.clone());
                let stays = |target: &Target| rules.iter().any(|rule| rule.target == *target);
                self.rules.retain(|target, held| held.rule.origin != origin || stays(target));
                for rule in rules {
                    self.put(Rule { origin: origin.clone(), ..rule.clone() }, now_s);
                }
            }
            Operation::Batch(operations) => operations.iter().for_each(|one| self.apply(one, now_s)),
        }
    }

    pub(super) fn sweep(&mut self, now_s: u32, max: usize) {
        for _ in 0..max {
            let ended = self.rules.values().filter(|held| held.rule.expires_at_s <= now_s);
            let Some(first) = ended.min_by_key(|held| held.rule.expires_at_s) else { return };
            self.rules.remove(&first.rule.target.clone());
            self.changes.expired += 1;
        }
    }

    fn put(&mut self, mut rule: Rule, now_s: u32) {
        if self.rules.get(&rule.target).is_some_and(|held| held.rule.expires_at_s <= now_s) {
            self.rules.remove(&rule.target);
            self.changes.expired += 1;
        }
        if is_learned(&rule) {
            rule.expires_at_s = rule.expires_at_s.min(NEVER - 1);
        }
        let held = self.rules.get(&rule.target);
        if is_learned(&rule) && held.is_some_and(|held| !is_learned(&held.rule)) {
            self.changes.refused += 1;
            return;
        }
        if rule.expires_at_s <= now_s {
            self.rules.remove(&rule.target);
            return;
        }
        let hits = held.map(|held| held.hits);
        if hits.is_none() {
            let Some(gives_way) = self.make_room(&rule) else {
                self.changes.refused += 1;
                return;
            };
            for target in gives_way {
                self.rules.remove(&target);
                self.changes.evicted += 1;
            }
        }
        let window_s = match &rule.origin {
            Origin::Learned(from) => ((rule.expires_at_s - (from.learned_at_ms / 1000) as u32) / 10).min(30),
            Origin::List(_) => 0,
        };
        rule.reason = rule
            .reason
            .chars()
            .scan(0, |bytes, c| {
                *bytes += c.len_utf8();
                (*bytes <= self.settings.max_reason_bytes).then_some(c)
            })
            .collect::<String>()
            .into();
        self.rules.insert(rule.target.clone(), Held { rule, hits: hits.unwrap_or(0), window_s });
    }

    /// The rules that give way to this one; `None` if at some cap none does.
    fn make_room(&self, rule: &Rule) -> Option<Vec<Target>> {
        let learned = is_learned(rule);
        let same_resource = |other: &Rule| {
            let resource = resource_of(&rule.target);
            resource.is_some() && resource_of(&other.target) == resource
        };
        let same_host = |other: &Rule| {
            learned && is_learned(other) && host_of(rule).is_some() && host_of(other) == host_of(rule)
        };
        let both_learned = |other: &Rule| learned && is_learned(other);
        let any = |_: &Rule| true;
        let caps: [(usize, Counts<'_>, bool); 4] = [
            (MAX_RULES_PER_RESOURCE, &same_resource, resource_of(&rule.target).is_some()),
            (self.settings.max_learned_per_host as usize, &same_host, learned && host_of(rule).is_some()),
            (self.settings.max_learned as usize, &both_learned, learned),
            (self.settings.max_rules as usize, &any, true),
        ];
        let mut gives_way = Vec::new();
        for (cap, counts, _) in caps.into_iter().filter(|(_, _, is_meant)| *is_meant) {
            let others = self.rules.values().map(|held| &held.rule);
            let others = others.filter(|other| counts(other) && !gives_way.contains(&other.target));
            if others.clone().count() >= cap {
                let may_give_way = others.filter(|other| !learned || is_learned(other));
                let first = may_give_way.min_by_key(|other| other.expires_at_s)?;
                if first.expires_at_s > rule.expires_at_s || first.expires_at_s == NEVER {
                    return None;
                }
                gives_way.push(first.target.clone());
            }
        }
        Some(gives_way)
    }

    pub(super) fn rules_with_hits(&self) -> BTreeMap<Target, (Rule, u64)> {
        self.rules.iter().map(|(target, held)| (target.clone(), (held.rule.clone(), held.hits))).collect()
    }

    /// On the allow list, on the block list, of resources; learned.
    pub(super) fn rule_counts(&self) -> (usize, usize, usize, usize) {
        let of = |list: List| {
            self.rules.keys().filter(|t| matches!(t, Target::Client(l, _) if *l == list)).count()
        };
        let (allow, block) = (of(List::Allow), of(List::Block));
        let learned = self.rules.values().filter(|held| is_learned(&held.rule)).count();
        (allow, block, self.rules.len() - allow - block, learned)
    }

    /// Live networks of a list that hold the address, the longest first.
    fn holding(&self, list: List, addr: &str, now_s: u32) -> Vec<&Rule> {
        let addr = addr.parse::<IpAddr>().unwrap().to_canonical();
        let len = |target: &Target| match target {
            Target::Client(of, net @ (ClientNet::V4(_, len) | ClientNet::V6(_, len)))
                if *of == list && ClientNet::new(addr, *len) == Ok(*net) =>
            {
                Some(*len)
            }
            _ => None,
        };
        let live = self.rules.values().map(|held| &held.rule).filter(|rule| now_s < rule.expires_at_s);
        let mut holding: Vec<_> = live.filter(|rule| len(&rule.target).is_some()).collect();
        holding.sort_by_key(|rule| Reverse(len(&rule.target)));
        holding
    }

    fn blocking(&self, addr: &str, now_s: u32) -> Option<&Rule> {
        let is_allowed = !self.holding(List::Allow, addr, now_s).is_empty();
        deciding(&self.holding(List::Block, addr, now_s)).filter(|_| !is_allowed)
    }

    /// Every rule, ended ones too, on a resource that takes in this host and path, in the order of precedence.
    fn taking_in(&self, host: &str, path: &str) -> Vec<&Rule> {
        let precedence = |rule: &Rule| {
            let Target::Resource(of, conditions) = &rule.target else { return None };
            let own_path = of.path.as_str();
            let below = path.strip_prefix(own_path.trim_end_matches('/'));
            let takes_in = match of.matching {
                Match::Exact => path == own_path,
                Match::Prefix => below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            };
            let takes_in_host = of.host.as_ref().is_none_or(|own| own.as_str() == host);
            let key = (of.matching == Match::Exact, own_path.len(), of.host.is_some(), conditions.clone());
            (takes_in && takes_in_host).then_some(key)
        };
        let rules = self.rules.values().map(|held| &held.rule);
        let mut taking_in: Vec<_> = rules.filter_map(|rule| Some((precedence(rule)?, rule))).collect();
        taking_in.sort_by(|(a, _), (b, _)| b.cmp(a));
        taking_in.into_iter().map(|(_, rule)| rule).collect()
    }

    fn live(&self, host: &str, path: &str, now_s: u32) -> Vec<&Rule> {
        let mut live = self.taking_in(host, path);
        live.retain(|rule| now_s < rule.expires_at_s);
        live
    }

    /// Count the lookup's verdict, and the hit of the rule that it rests on.
    fn count(&mut self, table: Table, target: Option<Target>, now_s: u32) -> i16 {
        let counts = &mut self.lookups[table as usize];
        counts[0] += 1;
        let Some(held) = target.and_then(|target| self.rules.get_mut(&target)) else { return 0 };
        if held.window_s > 0 && held.rule.expires_at_s - now_s <= held.window_s {
            held.window_s = 0;
            self.half_open += 1;
            return 0;
        }
        held.hits += 1;
        let (code, place) = code_of(held.rule.action);
        counts[place] += 1;
        code
    }

    pub(super) fn address(&mut self, addr: &str, now_s: u32) -> i16 {
        let target = self.blocking(addr, now_s).map(|rule| rule.target.clone());
        self.count(Table::Address, target, now_s)
    }

    pub(super) fn resource(&mut self, host: &str, path: &str, now_s: u32) -> i16 {
        let target = deciding(&self.live(host, path, now_s)).map(|rule| rule.target.clone());
        if matches!(&target, Some(Target::Resource(_, conditions)) if *conditions != Conditions::default()) {
            let counts = &mut self.lookups[Table::Resource as usize];
            counts[0] += 1;
            counts[5] += 1;
            return -1;
        }
        self.count(Table::Resource, target, now_s)
    }

    pub(super) fn check(&mut self, asked: &Asked, now_s: u32) -> (i16, Option<Rule>) {
        let mut decision = (0, None);
        if let Some(client) = asked.client {
            let rule = self.blocking(client, now_s).cloned();
            decision = (self.address(client, now_s), rule);
        }
        if decision.0 > 1 {
            return decision;
        }
        let mut holding = self.live(asked.base.host, asked.base.path, now_s);
        holding.retain(|rule| matches!(&rule.target, Target::Resource(_, c) if hold(c, asked)));
        let rule = deciding(&holding).cloned();
        let code = self.count(Table::Resource, rule.as_ref().map(|rule| rule.target.clone()), now_s);
        if rule.is_some() && (code != 0 || decision.1.is_none()) { (code, rule) } else { decision }
    }

    pub(super) fn explain_address(&self, addr: &str, now_s: u32) -> i16 {
        self.blocking(addr, now_s).map_or(0, |rule| code_of(rule.action).0)
    }

    /// The rules of an explanation in their order: where a list refuses, what it has comes first.
    pub(super) fn explained(&self, base: &Base, now_s: u32) -> Vec<&Rule> {
        let mut rules = self.taking_in(base.host, base.path);
        let decides = deciding(&self.live(base.host, base.path, now_s));
        if decides.is_some_and(|rule| !is_learned(rule) && rule.action != Action::Observe) {
            rules.sort_by_key(|rule| is_learned(rule));
        }
        rules
    }

    pub(super) fn explain_resource(&self, base: &Base, now_s: u32) -> i16 {
        match deciding(&self.live(base.host, base.path, now_s)) {
            None => 0,
            Some(rule) => match &rule.target {
                Target::Resource(_, conditions) if !conditions.is_empty() => -1,
                _ => code_of(rule.action).0,
            },
        }
    }

    /// One rule decides if any is live: the longest that allows, or else the longest that blocks.
    pub(super) fn parts_of_address(&self, addr: &str, parts: &[Part], now_s: u32) {
        let live = [List::Allow, List::Block].map(|list| self.holding(list, addr, now_s).len());
        let of = |part: Part| parts.iter().filter(|other| **other == part).count();
        let live_in_all: usize = live.iter().sum();
        assert_eq!(of(Part::Decides), live_in_all.min(1), "{addr}: {parts:?}");
        assert_eq!(of(Part::Overridden), live_in_all.saturating_sub(1), "{addr}: {parts:?}");
        let first = parts.iter().position(|part| *part == Part::Decides);
        assert!(live_in_all == 0 || first.is_some_and(|at| parts[..at].iter().all(|p| *p == Part::Expired)));
    }
}

/// Of rules in the order of precedence the one that decides: the first, but what the first of a list refuses stays
/// refused.
fn deciding<'a>(rules: &[&'a Rule]) -> Option<&'a Rule> {
    let listed = rules.iter().find(|rule| !is_learned(rule));
    listed.filter(|rule| rule.action != Action::Observe).or(rules.first()).copied()
}

/// The code of a verdict, and where it is counted.
fn code_of(action: Action) -> (i16, usize) {
    match action {
        Action::Observe => (1, 1),
        Action::Tarpit => (2, 2),
        Action::Drop => (3, 3),
        Action::Deny(status) => (status.code().cast_signed(), 4),
    }
}

fn hold(conditions: &Conditions, asked: &Asked) -> bool {
    let Conditions { method, query, parameter, anonymous, client } = conditions;
    let given: Vec<_> =
        asked.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let addr = |text: &str| text.parse::<IpAddr>().unwrap().to_canonical();
    method.as_deref().is_none_or(|method| method == asked.method)
        && query.as_deref().is_none_or(|query| query == asked.query)
        && parameter.as_ref().is_none_or(|(name, value)| given.contains(&(&**name, &**value)))
        && (!anonymous || asked.anonymous)
        && client.is_none_or(|client| asked.client.map(addr) == Some(client))
}
