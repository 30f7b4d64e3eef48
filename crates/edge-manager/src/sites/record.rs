//! What the record has.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::paths::NamedPaths;
use crate::site::{
    BackendInput, DomainInput, FieldError, FilterInput, GlobalInput, PageInput, Site, SiteInput, Text,
};
use crate::validation::Validation;

/// What haproxy.cfg is made of, as the record has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRecord {
    /// What operators said. The names of domains are canonical.
    pub input: SiteInput,
    /// Names of the backends that came with a domain and go with its last one.
    pub implied: BTreeSet<String>,
}

impl SiteRecord {
    pub(super) fn domain(&mut self, name: &str) -> Option<&mut DomainInput> {
        self.input.domains.iter_mut().find(|domain| domain.domain.as_str() == name)
    }

    pub(super) fn backend(&mut self, name: &str) -> Option<&mut BackendInput> {
        self.input.backends.iter_mut().find(|backend| backend.name.as_str() == name)
    }

    /// The domains of a backend.
    pub(super) fn domains_of<'a>(&'a self, backend: &'a str) -> impl Iterator<Item = &'a DomainInput> {
        self.input.domains.iter().filter(move |domain| domain.backend_name.as_str() == backend)
    }

    /// Takes everything that was said anew. A backend that it leaves as it was goes with its last domain as before.
    pub(super) fn replace(&mut self, input: SiteInput) {
        let old = std::mem::replace(&mut self.input, input);
        let old: BTreeMap<_, _> =
            old.backends.into_iter().map(|backend| (backend.name.clone(), backend)).collect();
        let unchanged = self.input.backends.iter().filter(|new| old.get(&new.name) == Some(new));
        let unchanged: BTreeSet<_> = unchanged.map(|backend| backend.name.as_str()).collect();
        self.implied.retain(|name| unchanged.contains(name.as_str()));
    }

    /// Removes the backends that came with a domain and have none any more.
    pub(super) fn drop_unused(&mut self) {
        let used: BTreeSet<_> =
            self.input.domains.iter().map(|domain| domain.backend_name.to_string()).collect();
        let implied = &mut self.implied;
        self.input.backends.retain(|backend| {
            let name = backend.name.as_str();
            used.contains(name) || !implied.remove(name)
        });
        implied.retain(|name| used.contains(name));
    }

    /// Gives the domains, whose names are valid, the names that they are found by.
    pub(super) fn canonicalize(&mut self) {
        for domain in &mut self.input.domains {
            if let Ok(name) = domain.name() {
                domain.is_wildcard = name.is_wildcard;
                domain.domain = name.to_string().into();
            }
        }
    }
}

/// What holds where operators have not said otherwise: settings of the program.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Texts of the environment, which go before those of the record.
    pub page: PageInput,
    /// The filter, where the record says nothing of it.
    pub filter: Option<FilterInput>,
    /// The runtime socket, where the record names none.
    pub stats_socket: Option<Text>,
    /// The files that the site may name.
    pub paths: NamedPaths,
}

impl Defaults {
    /// What is published of this; `validation` where this program answers ACME validation.
    ///
    /// # Errors
    /// The first field that cannot be taken.
    pub fn parse(&self, input: &SiteInput, validation: Option<&Validation>) -> Result<Site, FieldError> {
        let mut input = self.complete(input);
        if let Some(validation) = validation {
            validation.complete(&mut input.global)?;
        }
        Site::parse(&input)
    }

    /// Whether what the environment says can be taken, whatever the record says.
    ///
    /// # Errors
    /// The first variable that cannot, by its name.
    pub fn check_environment(&self) -> Result<(), FieldError> {
        let global = GlobalInput { page: self.page.clone(), ..GlobalInput::default() };
        Site::parse(&SiteInput { global, ..SiteInput::default() }).map(drop).map_err(|error| {
            let name = PageInput::VARIABLES.into_iter().find(|(field, _)| error.field.ends_with(field));
            FieldError { field: name.map_or(error.field, |(_, name)| name.to_owned()), ..error }
        })
    }

    /// What the record may not name, which is not published: [`NamedPaths`].
    pub(super) fn taken_out(&self, input: &SiteInput) -> Vec<FieldError> {
        self.paths.take_out(&mut input.global.clone(), self.filter.as_ref())
    }

    fn complete(&self, input: &SiteInput) -> SiteInput {
        let mut input = input.clone();
        let global = &mut input.global;
        self.paths.take_out(global, self.filter.as_ref());
        let texts = [
            (&mut global.page.title, &self.page.title),
            (&mut global.page.main_message, &self.page.main_message),
            (&mut global.page.secondary_message, &self.page.secondary_message),
        ];
        for (text, of_environment) in texts {
            if of_environment.is_some() {
                text.clone_from(of_environment);
            }
        }
        if global.filter.is_none() {
            global.filter.clone_from(&self.filter);
        }
        if global.stats_socket.is_none() {
            global.stats_socket.clone_from(&self.stats_socket);
        }
        input
    }
}
