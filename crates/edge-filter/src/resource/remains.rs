//! Old resource tables, freed in pieces.

use super::table::{Keyed, PrefixHost, ResourceTable};
use crate::hash;

/// What is left of tables that nobody reads any more.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    resources: hash::Remains<Keyed>,
    prefix_hosts: hash::Remains<PrefixHost>,
}

impl Remains {
    pub(crate) fn add(&mut self, table: ResourceTable) {
        let ResourceTable { resources, of_every_host: _, prefix_hosts, rules: _ } = table;
        self.resources.add(resources);
        self.prefix_hosts.add(prefix_hosts);
    }

    /// Free one piece; false if there is none.
    pub(crate) fn free_one(&mut self) -> bool {
        self.resources.free_one() || self.prefix_hosts.free_one()
    }
}
