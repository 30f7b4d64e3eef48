//! Domains.

use std::fmt;

use serde::{Serialize, Serializer};

use super::fields::Place;
use super::input::DomainInput;
use super::refusal::{FieldError, Refusal};
use super::words::{BackendName, FilePath, HostName, TemplateName};

/// A host name, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName {
    /// The name itself.
    pub host: HostName,
    /// Whether the names below it are meant, and not itself.
    pub is_wildcard: bool,
}

impl DomainName {
    pub(super) fn parse(text: &str, is_wildcard: bool) -> Result<Self, Refusal> {
        let parent = text.strip_prefix("*.");
        let host = parent.unwrap_or(text).parse()?;
        Ok(Self { host, is_wildcard: is_wildcard || parent.is_some() })
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.host)
    }
}

impl Serialize for DomainName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A domain and who serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// Its name, unique.
    pub name: DomainName,
    /// The PEM file of its certificate, if it is served by TLS.
    pub certificate: Option<FilePath>,
    /// The operator's template for its backend, in place of `backend.cfg.j2`.
    pub template_override: Option<TemplateName>,
    /// The backend that serves it.
    pub backend: BackendName,
}

impl Domain {
    pub(super) fn parse(input: &DomainInput, place: &Place) -> Result<Self, FieldError> {
        let name = place.with("domain", &input.domain, |_| input.name())?;
        let certificate: Option<FilePath> = place.optional("ssl_cert_path", &input.ssl_cert_path)?;
        if input.ssl_enabled && certificate.is_none() {
            return Err(place.refuse("ssl_cert_path", "", "is missing, and ssl_enabled is set"));
        }
        Ok(Self {
            name,
            certificate: certificate.filter(|_| input.ssl_enabled),
            template_override: place.optional("template_override", &input.template_override)?,
            backend: place.required("backend_name", &input.backend_name)?,
        })
    }
}
