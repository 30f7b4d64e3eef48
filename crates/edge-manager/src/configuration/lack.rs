//! What domains of another machine name and this one has not.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PublishError;
use crate::render::Templates;
use crate::site::DomainInput;
use crate::site::words::TemplateName;

/// A template of the operator or a certificate that a domain names and this machine has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lack {
    /// Which domain, counted from 0.
    pub position: usize,
    /// The field, its value, and what is wrong with it. One line.
    pub reason: String,
}

/// What each domain lacks first, with the operator's templates of this directory. Values that are refused in any case are
/// no matter.
///
/// # Errors
/// The templates cannot be read, or one of them is none.
pub(super) fn lacking(domains: &[DomainInput], templates: Option<&Path>) -> Result<Vec<Lack>, PublishError> {
    let templates = Templates::of(templates)?;
    let template = |domain: &DomainInput| {
        let given = domain.template_override.as_ref()?.as_str();
        let name: TemplateName = given.parse().ok()?;
        let reason = || format!("template_override: {given:?} is not in {}", templates.place());
        (!templates.is_overriding(&name)).then(reason)
    };
    let certificate = |domain: &DomainInput| {
        let path = domain.ssl_cert_path.as_ref().filter(|_| domain.ssl_enabled)?.as_str();
        let error = fs::metadata(path).err()?;
        Some(format!("ssl_cert_path: {path:?}: {error}"))
    };
    let lack = |(position, domain)| {
        let reason = template(domain).or_else(|| certificate(domain))?;
        Some(Lack { position, reason })
    };
    Ok(domains.iter().enumerate().filter_map(lack).collect())
}
