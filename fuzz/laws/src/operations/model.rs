//! What the filter should be, told by linear search over plain maps.

mod lookups;

use std::collections::BTreeMap;

use edge_filter::{
    ChangeCounts, List, Lists, MAX_RULES_PER_RESOURCE, NEVER, Operation, Origin, Resource, Rule, Settings,
    Target,
};

/// A rule, and where its hits are counted. While it stays in its place, so does that.
#[derive(Clone)]
struct Held {
    rule: Rule,
    slot: u32,
}

/// What was counted of a rule.
#[derive(Clone, Copy, Default)]
struct Cell {
    hits: u64,
    /// Length of the half-open window, seconds; 0 once its request was let through.
    window_s: u32,
}

type Rules = BTreeMap<Target, Held>;

/// Which rules count against a cap.
type Counts<'a> = &'a dyn Fn(&Rule) -> bool;

pub(super) struct Model {
    settings: Settings,
    /// With what was drafted.
    next: Rules,
    /// What readers see while there is a draft.
    live: Option<Rules>,
    cells: BTreeMap<u32, Cell>,
    slots: u32,
    pub(super) changes: ChangeCounts,
    pub(super) half_open: u64,
    /// Of addresses and of resources: lookups, then observe, tarpit, drop, deny, ask.
    pub(super) lookups: [[u64; 6]; 2],
}

/// Who sees a change, and when it is made.
#[derive(Clone, Copy)]
pub(super) struct When {
    pub(super) now_s: u32,
    pub(super) is_draft: bool,
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

fn is_of(lists: &Lists, rule: &Rule) -> bool {
    match (lists, &rule.origin) {
        (_, Origin::Learned(_)) => false,
        (Lists::One(name), Origin::List(of)) => of == name,
        (Lists::AllBut(names), Origin::List(of)) => !names.contains(of),
    }
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            next: Rules::new(),
            live: None,
            cells: BTreeMap::new(),
            slots: 0,
            changes: ChangeCounts::default(),
            half_open: 0,
            lookups: Default::default(),
        }
    }

    fn seen(&self) -> &Rules {
        self.live.as_ref().unwrap_or(&self.next)
    }

    pub(super) fn begin_draft(&mut self) {
        if self.live.is_none() {
            self.live = Some(self.next.clone());
        }
    }

    pub(super) fn publish_draft(&mut self) {
        self.live = None;
    }

    pub(super) fn has_draft(&self) -> bool {
        self.live.is_some()
    }

    pub(super) fn apply(&mut self, operation: &Operation, when: When) {
        match operation {
            Operation::Put(rule) => self.put(rule.clone(), when),
            Operation::Remove(target) => self.retain(when, |held| held.rule.target != *target),
            Operation::Forget(target) => {
                self.retain(when, |held| held.rule.target != *target || !is_learned(&held.rule));
            }
            Operation::ForgetResource(resource) => self.retain(when, |held| {
                resource_of(&held.rule.target) != Some(resource) || !is_learned(&held.rule)
            }),
            Operation::Batch(operations) => operations.iter().for_each(|one| self.apply(one, when)),
        }
    }

    /// Remove the rules of lists whose targets none of these has.
    pub(super) fn replace(&mut self, lists: &Lists, stay: &[Rule], when: When) {
        let stays = |target: &Target| stay.iter().any(|rule| rule.target == *target);
        self.retain(when, |held| !is_of(lists, &held.rule) || stays(&held.rule.target));
    }

    /// Of all rules, those that readers see only if they are meant.
    fn retain(&mut self, when: When, stays: impl Fn(&Held) -> bool) {
        let live = self.live.as_mut().filter(|_| !when.is_draft);
        for rules in live.into_iter().chain([&mut self.next]) {
            rules.retain(|_, held| stays(held));
        }
    }

    /// A rule ends or gives way. Where readers see one in its place with another end or of another origin, that stays.
    fn end(&mut self, target: &Target, when: When) {
        let Some(ended) = self.next.remove(target) else { return };
        let Some(live) = self.live.as_mut().filter(|_| !when.is_draft) else { return };
        let list = |held: &Held| match &held.rule.origin {
            Origin::List(name) => Some(name.clone()),
            Origin::Learned(_) => None,
        };
        let told_apart = |held: &Held| (held.slot, held.rule.expires_at_s, list(held));
        if live.get(target).is_some_and(|seen| told_apart(seen) == told_apart(&ended)) {
            live.remove(target);
        }
    }

    pub(super) fn sweep(&mut self, max: usize, now_s: u32) {
        for _ in 0..max {
            let ended = self.next.values().filter(|held| held.rule.expires_at_s <= now_s);
            let Some(first) = ended.min_by_key(|held| held.rule.expires_at_s) else { return };
            self.end(&first.rule.target.clone(), When { now_s, is_draft: false });
            self.changes.expired += 1;
        }
    }

    fn put(&mut self, mut rule: Rule, when: When) {
        if self.next.get(&rule.target).is_some_and(|held| held.rule.expires_at_s <= when.now_s) {
            self.end(&rule.target, when);
            self.changes.expired += 1;
        }
        if is_learned(&rule) {
            rule.expires_at_s = rule.expires_at_s.min(NEVER - 1);
        }
        let learned = is_learned(&rule);
        let stays = |held: &Held| learned && !is_learned(&held.rule) && held.rule.expires_at_s > when.now_s;
        let held = self.next.get(&rule.target);
        if held.is_some_and(stays) {
            self.changes.refused += 1;
            return;
        }
        if rule.expires_at_s <= when.now_s {
            self.retain(when, |held| held.rule.target != rule.target || stays(held));
            return;
        }
        let slot = match held {
            Some(held) => held.slot,
            None => {
                let Some(gives_way) = self.make_room(&rule) else {
                    self.changes.refused += 1;
                    return;
                };
                for target in gives_way {
                    self.end(&target, when);
                    self.changes.evicted += 1;
                }
                self.slots += 1;
                self.slots
            }
        };
        if let Origin::Learned(from) = &rule.origin {
            let learned_at_s = u32::try_from(from.learned_at_us / 1_000_000).expect("before 2106");
            let window_s = ((rule.expires_at_s - learned_at_s) / 10).min(30);
            self.cells.entry(slot).or_default().window_s = window_s;
        }
        rule.reason = rule
            .reason
            .chars()
            .scan(0, |bytes, c| {
                *bytes += c.len_utf8();
                (*bytes <= self.settings.max_reason_bytes).then_some(c)
            })
            .collect::<String>()
            .into();
        let held = Held { rule, slot };
        if let Some(live) = self.live.as_mut().filter(|_| !when.is_draft) {
            let beside = |other: &&Target| resource_of(other) == resource_of(&held.rule.target);
            let is_full = resource_of(&held.rule.target).is_some()
                && live.keys().filter(beside).count() >= MAX_RULES_PER_RESOURCE;
            let takes = live.get(&held.rule.target).map_or(!is_full, |other| !stays(other));
            if takes {
                live.insert(held.rule.target.clone(), held.clone());
            }
        }
        self.next.insert(held.rule.target.clone(), held);
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
            let others = self.next.values().map(|held| &held.rule);
            let others = others.filter(|other| counts(other) && !gives_way.contains(&other.target));
            if others.clone().count() >= cap {
                let may_give_way = others.filter(|other| !learned || is_learned(other));
                let first = may_give_way.min_by_key(|other| (!is_learned(other), other.expires_at_s))?;
                let is_displaced = is_learned(first) && !learned;
                if !is_displaced && (first.expires_at_s > rule.expires_at_s || first.expires_at_s == NEVER) {
                    return None;
                }
                gives_way.push(first.target.clone());
            }
        }
        Some(gives_way)
    }

    pub(super) fn rules_with_hits(&self) -> BTreeMap<Target, (Rule, u64)> {
        let hits = |held: &Held| self.cells.get(&held.slot).map_or(0, |cell| cell.hits);
        self.seen().iter().map(|(target, held)| (target.clone(), (held.rule.clone(), hits(held)))).collect()
    }

    /// On the allow list, on the block list, of resources; learned.
    pub(super) fn rule_counts(&self) -> (usize, usize, usize, usize) {
        let seen = self.seen();
        let of = |list: List| seen.keys().filter(|t| matches!(t, Target::Client(l, _) if *l == list)).count();
        let (allow, block) = (of(List::Allow), of(List::Block));
        let learned = seen.values().filter(|held| is_learned(&held.rule)).count();
        (allow, block, seen.len() - allow - block, learned)
    }
}
