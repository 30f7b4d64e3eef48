//! ACME validation goes along with what is published: HAProxy looks for it where its configuration says.

use std::sync::Arc;

use super::Sites;
use crate::configuration::{PublishError, Published};
use crate::site::Site;
use crate::validation::Validation;

impl Sites {
    /// From now on HAProxy brings ACME validation here, where the record names no other server.
    pub fn validate_by(&self, validation: Arc<Validation>) {
        // There is one of it.
        let _ = self.validation.set(validation);
    }

    /// Listens for ACME validation again where that has ended, or was not possible.
    pub(crate) fn renew_validation(&self) {
        if let Some(validation) = self.validation.get() {
            validation.renew();
        }
    }

    pub(super) fn listen(&self, site: &Site) {
        if let Some(validation) = self.validation.get() {
            validation.listen(&site.global);
        }
    }

    pub(super) fn listen_as_recorded(&self) {
        if let Ok(site) = self.site() {
            self.listen(&site);
        }
    }

    pub(super) fn publish(&self, site: &Site, by: &str) -> Result<Published, PublishError> {
        self.listen(site);
        // It is not recorded yet.
        self.configuration.publish(site, by).inspect_err(|_| self.listen_as_recorded())
    }
}
