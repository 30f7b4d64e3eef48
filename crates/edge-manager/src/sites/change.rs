//! The changes that can be asked for.

use serde::Serialize;

use crate::site::{BackendInput, DomainInput, FieldError, ServerInput, Text};

use super::{SiteRecord, SitesError};

/// A domain that is to be served, with the backend that serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NewDomain {
    /// `shop.example`, or `*.shop.example` for every name below it.
    pub domain: Text,
    /// Whether every name below it is meant, `*.` written or not.
    pub is_wildcard: bool,
    /// The backend, made if need be.
    pub backend_name: Text,
    /// A template of the operator's for the backend.
    pub template_override: Option<Text>,
    /// All servers of the backend; `None` leaves those that it has.
    pub servers: Option<Vec<ServerInput>>,
}

/// The canonical name of a domain.
pub(super) fn domain_name(domain: &Text, is_wildcard: bool) -> Result<String, SitesError> {
    let input = DomainInput { domain: domain.clone(), is_wildcard, ..DomainInput::default() };
    match input.name() {
        Ok(name) => Ok(name.to_string()),
        Err(reason) => Err(FieldError::new("domain".into(), domain.as_str(), reason).into()),
    }
}

impl SiteRecord {
    /// Adds a domain, or replaces what the record says of it but for its certificate.
    pub(super) fn put_domain(&mut self, new: NewDomain) -> Result<String, SitesError> {
        let NewDomain { domain, is_wildcard, backend_name, template_override, servers } = new;
        let name = domain_name(&domain, is_wildcard)?;
        match self.backend(backend_name.as_str()) {
            Some(backend) => {
                backend.servers = servers.unwrap_or_else(|| std::mem::take(&mut backend.servers))
            }
            None => {
                self.implied.insert(backend_name.to_string());
                let servers = servers.unwrap_or_default();
                let backend = BackendInput { name: backend_name.clone(), servers, ..Default::default() };
                self.input.backends.push(backend);
            }
        }
        let is_wildcard = name.starts_with("*.");
        match self.domain(&name) {
            Some(domain) => {
                domain.backend_name = backend_name;
                domain.template_override = template_override;
            }
            None => self.input.domains.push(DomainInput {
                domain: name.as_str().into(),
                is_wildcard,
                template_override,
                backend_name,
                ..DomainInput::default()
            }),
        }
        self.drop_unused();
        Ok(name)
    }

    /// Serves those of these names that are domains by TLS, with the certificate of this path. Whether that is a change.
    pub(super) fn put_certificate(&mut self, names: &[String], path: &str) -> bool {
        let mut is_change = false;
        for domain in self
            .input
            .domains
            .iter_mut()
            .filter(|domain| names.iter().any(|name| domain.domain.as_str() == name))
        {
            let is_there = domain.ssl_enabled
                && domain.ssl_cert_path.as_ref().is_some_and(|there| there.as_str() == path);
            if !is_there {
                (domain.ssl_enabled, domain.ssl_cert_path) = (true, Some(path.into()));
                is_change = true;
            }
        }
        is_change
    }

    /// Removes a domain, and its backend if that came with a domain and has no other. Where nobody says whether it is a
    /// wildcard, it may be the one or the other.
    pub(super) fn remove_domain(
        &mut self,
        domain: &Text,
        is_wildcard: Option<bool>,
    ) -> Result<(), SitesError> {
        // What is no name of a domain is that of none.
        let unknown = || SitesError::unknown_domain(domain.as_str());
        let mut name = domain_name(domain, is_wildcard.unwrap_or(false)).map_err(|_| unknown())?;
        if is_wildcard.is_none() && self.domain(&name).is_none() {
            name = domain_name(domain, true).map_err(|_| unknown())?;
        }
        if self.domain(&name).is_none() {
            return Err(unknown());
        }
        self.input.domains.retain(|domain| domain.domain.as_str() != name);
        self.drop_unused();
        Ok(())
    }

    /// Adds a backend, or replaces the one of its name; from now on it stays without domains too. Whether it was added.
    pub(super) fn put_backend(&mut self, backend: BackendInput) -> bool {
        self.implied.remove(backend.name.as_str());
        match self.backend(backend.name.as_str()) {
            Some(old) => {
                *old = backend;
                false
            }
            None => {
                self.input.backends.push(backend);
                true
            }
        }
    }

    /// Removes a backend, which no domain may need.
    pub(super) fn remove_backend(&mut self, name: &str) -> Result<(), SitesError> {
        if self.backend(name).is_none() {
            return Err(SitesError::unknown_backend(name));
        }
        if let Some(domain) = self.domains_of(name).next() {
            return Err(SitesError::InUse { backend: name.to_owned(), domain: domain.domain.to_string() });
        }
        self.input.backends.retain(|backend| backend.name.as_str() != name);
        self.implied.remove(name);
        Ok(())
    }
}
