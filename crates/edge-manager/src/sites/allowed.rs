//! What of the site may be changed: by whom, and which files it may name.

use std::collections::HashMap;

use super::{SiteRecord, Sites, SitesError};
use crate::access::{Caller, Role};
use crate::site::{BackendInput, DomainInput, Site};
use crate::store::StoreError;

impl Sites {
    /// What is published of a change that this caller may make.
    ///
    /// # Errors
    /// The caller may not, or a value cannot be taken.
    pub(super) fn allowed(
        &self,
        caller: &Caller,
        before: &SiteRecord,
        after: &SiteRecord,
    ) -> Result<Site, SitesError> {
        after.check_caller(caller, before)?;
        // First, so that a value of the wrong form is told as that.
        let site = self.parse(&after.input)?;
        self.defaults.paths.check_change(&before.input, &after.input)?;
        Ok(site)
    }

    /// Which settings of the record are not published, and which directories of the command line others can write in.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn path_warnings(&self) -> Result<Vec<String>, StoreError> {
        let refused = self.defaults.taken_out(&self.recorded()?.input).into_iter();
        let refused =
            refused.map(|refused| format!("{refused}; this setting of the database is not published"));
        let open = self.defaults.paths.open_to_others();
        let open = open.map(|open| format!("--module-dir {open}: HAProxy executes the filter there as root"));
        Ok(refused.chain(open).collect())
    }
}

impl SiteRecord {
    /// Whether this caller may make a change that leaves this. Without a key, domains and HTTP backends are all that can be
    /// changed: any user of the machine may be the caller. The rest names files and ports, and needs an admin.
    ///
    /// # Errors
    /// [`SitesError::NeedsAdmin`] with the first part that the caller may not change.
    pub(super) fn check_caller(&self, caller: &Caller, before: &Self) -> Result<(), SitesError> {
        if caller.role >= Role::Admin {
            return Ok(());
        }
        let refused = |what: String| Err(SitesError::NeedsAdmin(what));
        if self.input.global != before.input.global {
            return refused("global settings".to_owned());
        }
        let old = |domain: &DomainInput| (domain.ssl_enabled, domain.ssl_cert_path.clone());
        let certificates: HashMap<_, _> =
            before.input.domains.iter().map(|domain| (domain.domain.as_str(), old(domain))).collect();
        for domain in &self.input.domains {
            if certificates.get(domain.domain.as_str()).cloned().unwrap_or_default() != old(domain) {
                return refused(format!("the certificate of {}", domain.domain));
            }
        }
        let (old, new) = (listening(before), listening(self));
        let changed = old.iter().chain(&new).find(|(name, _)| old.get(*name) != new.get(*name));
        match changed {
            Some((name, _)) => refused(format!("the TCP backend {name}, which has a port of its own")),
            None => Ok(()),
        }
    }
}

/// The backends that HAProxy listens for, by name.
fn listening(record: &SiteRecord) -> HashMap<&str, &BackendInput> {
    let backends = record.input.backends.iter().filter(|backend| listens(backend));
    backends.map(|backend| (backend.name.as_str(), backend)).collect()
}

/// Whether HAProxy listens for this backend.
fn listens(backend: &BackendInput) -> bool {
    let is_named = |text: &crate::site::Text| !text.is_empty() && text.as_str() != "http";
    backend.mode.as_ref().is_some_and(is_named)
        || backend.listen.as_ref().is_some_and(|text| !text.is_empty())
}
