//! Taking domains and backends over from elsewhere.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::domain_name;
use super::{Defaults, SiteRecord, SitesError};
use crate::configuration::{Configuration, Lack};
use crate::site::{BackendInput, DomainInput};

/// How many were there already and stayed as they were, and how many were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Merged {
    /// That were not there.
    pub added: u64,
    /// That were there, and stayed as they were.
    pub present: u64,
}

impl Merged {
    /// Counts one.
    fn count(&mut self, is_added: bool) {
        if is_added {
            self.added += 1;
        } else {
            self.present += 1;
        }
    }
}

impl AddAssign for Merged {
    fn add_assign(&mut self, more: Self) {
        self.added += more.added;
        self.present += more.present;
    }
}

/// What became of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MergedSite {
    /// Domains.
    pub domains: Merged,
    /// Backends.
    pub backends: Merged,
}

/// Whether domains and backends could be merged into this record, and be published: what those domains lack here that it
/// does not have. Where they lack nothing, everything is looked at as a whole. Nothing changes.
///
/// # Errors
/// As [`super::Sites::merge`], but for what only a reload shows.
pub fn try_merge(
    mut record: SiteRecord,
    defaults: &Defaults,
    configuration: &Configuration,
    domains: Vec<DomainInput>,
    backends: Vec<BackendInput>,
) -> Result<Vec<Lack>, SitesError> {
    let mut lacks = configuration.lacking(&domains)?;
    // What is there already stays as it is.
    lacks.retain(|lack| {
        let DomainInput { domain, is_wildcard, .. } = &domains[lack.position];
        domain_name(domain, *is_wildcard).is_ok_and(|name| record.domain(&name).is_none())
    });
    if lacks.is_empty() {
        let before = record.clone();
        record.merge(domains, backends)?;
        let site = defaults.parse(&record.input, None)?;
        defaults.paths.check_change(&before.input, &record.input)?;
        configuration.check(&site)?;
    }
    Ok(lacks)
}

impl SiteRecord {
    /// Adds the domains and backends that are not there by name. What is there stays as it is.
    pub(super) fn merge(
        &mut self,
        domains: Vec<DomainInput>,
        backends: Vec<BackendInput>,
    ) -> Result<MergedSite, SitesError> {
        let mut merged = MergedSite::default();
        let names = self.input.backends.iter().map(|backend| backend.name.to_string());
        let mut names: BTreeSet<String> = names.collect();
        for backend in backends {
            let name = backend.name.to_string();
            let is_new = names.insert(name.clone());
            merged.backends.count(is_new);
            if is_new {
                self.implied.insert(name);
                self.input.backends.push(backend);
            }
        }
        let names = self.input.domains.iter().map(|domain| domain.domain.to_string());
        let mut names: BTreeSet<String> = names.collect();
        for domain in domains {
            let name = domain_name(&domain.domain, domain.is_wildcard)?;
            let is_new = names.insert(name.clone());
            merged.domains.count(is_new);
            if is_new {
                self.input.domains.push(DomainInput { domain: name.into(), ..domain });
            }
        }
        Ok(merged)
    }
}
