//! The rules as they were at one revision.

mod change;

use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;

use crate::address::Ruling;
use crate::cells::Cells;
use crate::hash::{HashTable, Hashed};
use crate::resource::{ResourceRule, ResourceRules, ResourceTable};
use crate::rule::Details;
use crate::{AddressEntry, AddressTable, ClientNet, Conditions, Host, List, Origin, Resource, Rule, Target};

/// The source of every learned rule; the others are named lists.
pub(crate) const LEARNED: u8 = 0;

/// All rules at one revision, immutable. A clone shares everything that neither changes afterwards.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) allow: AddressTable,
    pub(crate) block: AddressTable,
    pub(crate) resources: ResourceTable,
    /// Texts of the address rules that have any.
    pub(crate) details: HashTable<SlotDetails>,
    pub(crate) cells: Cells,
    /// Names of the lists, by source; the first is that of learned rules.
    pub(crate) sources: Arc<Vec<Arc<str>>>,
    pub(crate) learned: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct SlotDetails {
    pub(crate) slot: u32,
    pub(crate) details: Arc<Details>,
}

impl Hashed for SlotDetails {
    fn hash(&self, keys: &RandomState) -> u64 {
        keys.hash_one(self.slot)
    }
}

/// A rule in the form that a snapshot keeps it in.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Client(List, AddressEntry, Option<Arc<Details>>),
    Resource(Resource, ResourceRule),
}

/// Where a snapshot keeps a rule.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The rule of this network.
    Client(List, ClientNet),
    /// The rule in this slot on this resource.
    Resource(Resource, u32),
}

impl Place {
    /// That of the rule with this target and slot.
    pub(crate) fn of(target: &Target, slot: u32) -> Self {
        match target {
            Target::Client(list, net) => Self::Client(*list, *net),
            Target::Resource(resource, _) => Self::Resource(resource.clone(), slot),
        }
    }

    /// The host that a learned rule is counted under. A blocked client has none.
    pub(crate) fn host(&self) -> Option<&Host> {
        match self {
            Self::Client(..) => None,
            Self::Resource(resource, _) => resource.host.as_ref(),
        }
    }
}

/// What is told apart of rules that have been in one place. While a rule stays, its slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) slot: u32,
    pub(crate) expires_at_s: u32,
    pub(crate) source: u8,
}

impl From<&AddressEntry> for Holder {
    fn from(entry: &AddressEntry) -> Self {
        Self { slot: entry.slot, expires_at_s: entry.expires_at_s, source: entry.source }
    }
}

impl From<&ResourceRule> for Holder {
    fn from(rule: &ResourceRule) -> Self {
        Self { slot: rule.slot, expires_at_s: rule.expires_at_s, source: rule.source }
    }
}

/// How many rules there are, by what they match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Networks on the allow list.
    pub allow: usize,
    /// Networks on the block list.
    pub block: usize,
    /// Rules of resources.
    pub resource: usize,
    /// Those of all of them that were learned.
    pub learned: usize,
}

/// What kind of rules to walk over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of clients.
    Client,
    /// Of resources.
    Resource,
}

impl Snapshot {
    pub(crate) fn new(keys: &RandomState) -> Self {
        Self {
            revision: 0,
            allow: AddressTable::new(keys),
            block: AddressTable::new(keys),
            resources: ResourceTable::new(keys),
            details: HashTable::new(keys.clone()),
            cells: Cells::default(),
            sources: Arc::new(vec!["learned".into()]),
            learned: 0,
        }
    }

    /// How many publications there were, this one among them.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many rules it holds; expired ones that were not yet swept are counted.
    pub fn counts(&self) -> RuleCounts {
        RuleCounts {
            allow: self.allow.len(),
            block: self.block.len(),
            resource: self.resources.len(),
            learned: self.learned,
        }
    }

    /// The rule with this target, ended or not.
    pub fn rule(&self, target: &Target) -> Option<Rule> {
        match target {
            Target::Client(list, net) => {
                self.list(*list).get(*net).map(|entry| self.address_rule(*list, &entry))
            }
            Target::Resource(resource, conditions) => {
                let of = self.resources.get(resource)?;
                of.with_conditions(conditions).map(|rule| self.resource_rule(of, rule))
            }
        }
    }

    pub(crate) fn list(&self, list: List) -> &AddressTable {
        match list {
            List::Allow => &self.allow,
            List::Block => &self.block,
        }
    }

    /// The block that decides about this canonical address: the longest one, but what the longest one of a list
    /// refuses stays refused, whatever was learned. The allow list is asked only about those that the block list
    /// holds: most clients are on neither.
    #[inline]
    pub(crate) fn blocking(&self, addr: IpAddr, now_s: u32) -> Option<&Ruling> {
        let block = self.block.longest(addr, now_s)?;
        if self.allow.longest(addr, now_s).is_some() {
            return None;
        }
        if block.source == LEARNED
            && let Some(listed) = self.block.longest_listed(addr, now_s)
            && listed.action().refuses()
        {
            return Some(listed);
        }
        Some(block)
    }

    /// All entries of both address lists, in no promised order. Shares the tables as they are now.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (List, AddressEntry)> + Send + use<> {
        let of = |list| self.list(list).entries().map(move |entry| (list, entry));
        of(List::Allow).chain(of(List::Block))
    }

    /// All rules of one kind with their slots, in no promised order. Shares the snapshot, so it may be kept
    /// between slices of work.
    pub(crate) fn rules(self: Arc<Self>, kind: Kind) -> Box<dyn Iterator<Item = (u32, Rule)> + Send> {
        match kind {
            Kind::Client => Box::new(
                self.addresses().map(move |(list, entry)| (entry.slot, self.address_rule(list, &entry))),
            ),
            Kind::Resource => Box::new(self.resources.entries().flat_map(move |rules| {
                let rule = |rule: &ResourceRule| (rule.slot, self.resource_rule(&rules, rule));
                rules.rules.iter().map(rule).collect::<Vec<_>>()
            })),
        }
    }

    fn origin(&self, source: u8, details: Option<&Details>) -> Origin {
        match details.and_then(|details| details.provenance.as_ref()) {
            Some(provenance) => Origin::Learned(provenance.clone()),
            None => Origin::List(self.sources.get(usize::from(source)).cloned().unwrap_or_default()),
        }
    }

    pub(crate) fn address_rule(&self, list: List, entry: &AddressEntry) -> Rule {
        let details = self.address_details(entry.slot);
        Rule {
            target: Target::Client(list, entry.net),
            action: entry.action,
            expires_at_s: entry.expires_at_s,
            origin: self.origin(entry.source, details),
            reason: details.map(|details| details.reason.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn resource_rule(&self, of: &ResourceRules, rule: &ResourceRule) -> Rule {
        let details = rule.details.as_deref();
        Rule {
            target: Target::Resource(
                of.resource(),
                rule.conditions.as_deref().map_or_else(Conditions::default, Clone::clone),
            ),
            action: rule.action,
            expires_at_s: rule.expires_at_s,
            origin: self.origin(rule.source, details),
            reason: details.map(|details| details.reason.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn address_details(&self, slot: u32) -> Option<&Details> {
        let hash = self.details.keys().hash_one(slot);
        self.details.find(hash, |other| other.slot == slot).map(|found| &*found.details)
    }
}
