//! Everything that haproxy.cfg is made of, and what holds between its parts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::address::Bind;
use super::backend::{Backend, Mode};
use super::domain::{Domain, DomainName};
use super::fields::Place;
use super::global::Global;
use super::input::SiteInput;
use super::refusal::FieldError;
use super::words::{BackendName, HostName, TemplateName};

/// Domains of a site.
pub const MAX_DOMAINS: usize = 20_000;
/// Backends of a site.
pub const MAX_BACKENDS: usize = 5000;
/// Servers of a backend.
pub const MAX_SERVERS_PER_BACKEND: usize = 1000;

/// Everything that haproxy.cfg is made of: each part valid, no name given twice, no name without its part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Site {
    /// What holds for all backends.
    pub global: Global,
    /// The domains, in the order of their names.
    pub domains: Vec<Domain>,
    /// The backends, in the order of their names.
    pub backends: Vec<Backend>,
}

impl Site {
    /// Takes what was sent or recorded. O(n log n) in the number of domains, backends and servers.
    ///
    /// # Errors
    /// The first field that is refused, by its path, or the first that does not go with the others: a name given
    /// twice, a domain without its backend, two templates for one backend, two backends on one port, DNS without name
    /// servers.
    pub fn parse(input: &SiteInput) -> Result<Self, FieldError> {
        let place = Place::root();
        place.check_len("domains", input.domains.len(), MAX_DOMAINS)?;
        place.check_len("backends", input.backends.len(), MAX_BACKENDS)?;
        let global = Global::parse(&input.global, &place.part("global"))?;
        let backends = backends(input, &global, &place)?;
        let domains = domains(input, &backends, &place)?;
        let site = Self {
            global,
            domains: domains.into_values().collect(),
            backends: backends.into_values().collect(),
        };
        site.check_listening(&place)?;
        Ok(site)
    }

    /// Whether any domain is served by TLS.
    pub fn has_certificates(&self) -> bool {
        self.domains.iter().any(|domain| domain.certificate.is_some())
    }

    /// HAProxy would listen twice on one port (SO_REUSEPORT), and the kernel share the connections out at random.
    fn check_listening(&self, place: &Place) -> Result<(), FieldError> {
        let mut taken = BTreeSet::new();
        let mut take = |place: &Place, field: &str, bind| {
            if taken.insert(bind) {
                return Ok(());
            }
            Err(place.refuse(field, &Bind::to_string(bind), "is listened on already"))
        };
        let Global { http_bind, https_bind, stats_bind, .. } = &self.global;
        let https_bind = if self.has_certificates() { https_bind.as_slice() } else { &[] };
        let global = place.part("global");
        take(&global, "stats_bind", stats_bind)?;
        for (field, binds) in [("http_bind", http_bind.as_slice()), ("https_bind", https_bind)] {
            for (i, bind) in binds.iter().enumerate() {
                take(&global, &format!("{field}[{i}]"), bind)?;
            }
        }
        for backend in &self.backends {
            if let Some(listen) = &backend.listen {
                take(&place.part(&format!("backends[{}]", backend.name)), "listen", listen)?;
            }
        }
        Ok(())
    }
}

fn backends(
    input: &SiteInput,
    global: &Global,
    place: &Place,
) -> Result<BTreeMap<BackendName, Backend>, FieldError> {
    let mut backends = BTreeMap::new();
    for (i, input) in input.backends.iter().enumerate() {
        let place = place.entry::<BackendName>("backends", i, &input.name);
        let backend = Backend::parse(input, &place)?;
        if backend.resolve && global.nameservers.is_empty() {
            return Err(place.refuse("resolve", "true", "needs global.nameservers"));
        }
        if backends.insert(backend.name.clone(), backend).is_some() {
            return Err(place.refuse("name", input.name.as_str(), "is the name of another backend"));
        }
    }
    Ok(backends)
}

fn domains(
    input: &SiteInput,
    backends: &BTreeMap<BackendName, Backend>,
    place: &Place,
) -> Result<BTreeMap<DomainName, Domain>, FieldError> {
    let mut templates: BTreeMap<BackendName, Option<TemplateName>> = BTreeMap::new();
    let mut domains = BTreeMap::new();
    for (i, input) in input.domains.iter().enumerate() {
        let place = place.entry::<HostName>("domains", i, &input.domain);
        let domain = Domain::parse(input, &place)?;
        let backend_name = domain.backend.as_str();
        match backends.get(&domain.backend).map(|backend| backend.mode) {
            None => return Err(place.refuse("backend_name", backend_name, "is not the name of a backend")),
            Some(Mode::Tcp) => {
                return Err(place.refuse(
                    "backend_name",
                    backend_name,
                    "is a TCP backend, which knows no domains",
                ));
            }
            Some(Mode::Http) => {}
        }
        if let Some(name) = &domain.template_override {
            let chosen = templates.entry(domain.backend.clone()).or_default().get_or_insert(name.clone());
            if chosen != name {
                let reason =
                    format!("is not the template that another domain of the backend names, {chosen}");
                return Err(place.refuse("template_override", name.as_str(), reason));
            }
        }
        if domains.insert(domain.name.clone(), domain).is_some() {
            return Err(place.refuse("domain", input.domain.as_str(), "is given twice"));
        }
    }
    Ok(domains)
}
