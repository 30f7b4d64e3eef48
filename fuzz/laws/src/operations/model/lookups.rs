//! What lookups answer, by linear search.

use std::cmp::Reverse;
use std::net::IpAddr;

use edge_filter::{Action, ClientNet, Conditions, List, Match, Origin, Part, Rule, Target};

use super::{Model, is_learned};
use crate::operations::world::{Asked, Base};

#[derive(Clone, Copy)]
enum Table {
    Address,
    Resource,
}

impl Model {
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
        let live = self.seen().values().map(|held| &held.rule).filter(|rule| now_s < rule.expires_at_s);
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
        let rules = self.seen().values().map(|held| &held.rule);
        let mut taking_in: Vec<_> = rules.filter_map(|rule| Some((precedence(rule)?, rule))).collect();
        taking_in.sort_by(|(a, _), (b, _)| b.cmp(a));
        taking_in.into_iter().map(|(_, rule)| rule).collect()
    }

    fn live(&self, host: &str, path: &str, now_s: u32) -> Vec<&Rule> {
        let mut live = self.taking_in(host, path);
        live.retain(|rule| now_s < rule.expires_at_s);
        live
    }

    /// Whether the one request of a learned rule on a resource is still to be let through.
    fn awaits_probe(&self, rule: &Rule, now_s: u32) -> bool {
        let slot = self.seen()[&rule.target].slot;
        let window_s = self.cells.get(&slot).map_or(0, |cell| cell.window_s);
        is_learned(rule) && window_s > 0 && rule.expires_at_s - now_s <= window_s
    }

    /// Whether this is that request: then it passes and is counted.
    fn takes_probe(&mut self, rule: &Rule, client: Option<&str>, now_s: u32) -> bool {
        let Origin::Learned(from) = &rule.origin else { return false };
        let of = |client: &str| ClientNet::of_client(client.parse().unwrap());
        let may_probe =
            from.client_network.is_none_or(|network| client.is_some_and(|client| of(client) != network));
        let takes = may_probe && self.awaits_probe(rule, now_s);
        if takes {
            let slot = self.seen()[&rule.target].slot;
            self.cells.entry(slot).or_default().window_s = 0;
            self.half_open += 1;
        }
        takes
    }

    /// Count the lookup's verdict, and the hit of the rule that it rests on.
    fn count(&mut self, table: Table, target: Option<Target>) -> i16 {
        self.lookups[table as usize][0] += 1;
        let Some(held) = target.and_then(|target| self.seen().get(&target)).cloned() else { return 0 };
        self.cells.entry(held.slot).or_default().hits += 1;
        let (code, place) = code_of(held.rule.action);
        self.lookups[table as usize][place] += 1;
        code
    }

    pub(in crate::operations) fn address(&mut self, addr: &str, now_s: u32) -> i16 {
        let target = self.blocking(addr, now_s).map(|rule| rule.target.clone());
        self.count(Table::Address, target)
    }

    pub(in crate::operations) fn resource(&mut self, host: &str, path: &str, now_s: u32) -> i16 {
        let rule = deciding_any_request(&self.live(host, path, now_s)).cloned();
        if rule.as_ref().is_some_and(|rule| has_conditions(rule) || self.awaits_probe(rule, now_s)) {
            let counts = &mut self.lookups[Table::Resource as usize];
            counts[0] += 1;
            counts[5] += 1;
            return -1;
        }
        self.count(Table::Resource, rule.map(|rule| rule.target))
    }

    pub(in crate::operations) fn check(&mut self, asked: &Asked, now_s: u32) -> (i16, Option<Rule>) {
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
        let is_let_through = rule.as_ref().is_some_and(|rule| self.takes_probe(rule, asked.client, now_s));
        let target = rule.as_ref().filter(|_| !is_let_through).map(|rule| rule.target.clone());
        let code = self.count(Table::Resource, target);
        if rule.is_some() && (code != 0 || decision.1.is_none()) { (code, rule) } else { decision }
    }

    pub(in crate::operations) fn explain_address(&self, addr: &str, now_s: u32) -> i16 {
        self.blocking(addr, now_s).map_or(0, |rule| code_of(rule.action).0)
    }

    /// The rules of an explanation in their order: where a list refuses, what it has comes first.
    pub(in crate::operations) fn explained(&self, base: &Base, now_s: u32) -> Vec<&Rule> {
        let mut rules = self.taking_in(base.host, base.path);
        let decides = deciding_any_request(&self.live(base.host, base.path, now_s));
        let may_refuse = |rule: &Rule| rule.action != Action::Observe || has_conditions(rule);
        if decides.is_some_and(|rule| !is_learned(rule) && may_refuse(rule)) {
            rules.sort_by_key(|rule| is_learned(rule));
        }
        rules
    }

    pub(in crate::operations) fn explain_resource(&self, base: &Base, now_s: u32) -> i16 {
        match deciding_any_request(&self.live(base.host, base.path, now_s)) {
            None => 0,
            Some(rule) if has_conditions(rule) => -1,
            Some(rule) => code_of(rule.action).0,
        }
    }

    /// One rule decides if any is live: the longest that allows, or else the longest that blocks.
    pub(in crate::operations) fn parts_of_address(&self, addr: &str, parts: &[Part], now_s: u32) {
        let live = [List::Allow, List::Block].map(|list| self.holding(list, addr, now_s).len());
        let of = |part: Part| parts.iter().filter(|other| **other == part).count();
        let live_in_all: usize = live.iter().sum();
        assert_eq!(of(Part::Decides), live_in_all.min(1), "{addr}: {parts:?}");
        assert_eq!(of(Part::Overridden), live_in_all.saturating_sub(1), "{addr}: {parts:?}");
        let first = parts.iter().position(|part| *part == Part::Decides);
        assert!(live_in_all == 0 || first.is_some_and(|at| parts[..at].iter().all(|p| *p == Part::Expired)));
    }
}

/// Of rules in the order of precedence, whose conditions hold, the one that decides: the first, but what the first of a
/// list refuses stays refused.
fn deciding<'a>(rules: &[&'a Rule]) -> Option<&'a Rule> {
    let listed = rules.iter().find(|rule| !is_learned(rule));
    listed.filter(|rule| rule.action != Action::Observe).or(rules.first()).copied()
}

/// The same where nobody knows whether conditions hold: the first of a list that has any may hide one that refuses.
fn deciding_any_request<'a>(rules: &[&'a Rule]) -> Option<&'a Rule> {
    let listed = rules.iter().find(|rule| !is_learned(rule));
    listed.filter(|rule| has_conditions(rule)).copied().or_else(|| deciding(rules))
}

fn has_conditions(rule: &Rule) -> bool {
    matches!(&rule.target, Target::Resource(_, conditions) if !conditions.is_empty())
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
