//! Old resource tables, freed in pieces.

use std::sync::Arc;

use super::table::{Keyed, PrefixHost, ResourceRules, ResourceTable};
use crate::hash;

/// Rules of a resource that count as one piece: each has some ten allocations, an address none.
const RULES_PER_PIECE: usize = 8;

/// What is left of tables that nobody reads any more.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    resources: hash::Remains<Keyed>,
    /// Of buckets that were freed. A bucket of 47 resources has up to 3008 rules.
    rules: Vec<Arc<ResourceRules>>,
    prefix_hosts: hash::Remains<PrefixHost>,
}

impl Remains {
    pub(crate) fn add(&mut self, table: ResourceTable) {
        let ResourceTable { resources, prefix_hosts, .. } = table;
        self.resources.add(resources);
        self.prefix_hosts.add(prefix_hosts);
    }

    /// Free the rules of one resource, or something smaller; how many pieces that was.
    pub(crate) fn free_one(&mut self) -> usize {
        if let Some(of) = self.rules.pop() {
            return 1 + of.rules.len() / RULES_PER_PIECE;
        }
        let rules = &mut self.rules;
        let keep = |keyed: &Keyed| rules.extend(keyed.last_rules());
        usize::from(self.resources.free_one(keep) || self.prefix_hosts.free_one(|_| ()))
    }
}
