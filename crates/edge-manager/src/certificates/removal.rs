//! Removing what nobody needs any more.

use std::path::Path;

use super::{CertificateError, Certificates, Names};
use crate::store::{Deed, StoreError};

impl Certificates {
    /// Removes a certificate with its keys, and ends its orders.
    ///
    /// # Errors
    /// There is none, a domain names it, somebody is at it, or a file or the record cannot be written.
    pub fn remove(&self, names: &Names, deed: &Deed<'_>) -> Result<(), CertificateError> {
        let name = names.primary();
        let _turn = self.turn(name)?;
        let path = self.path(names);
        let (row, domains) = self.store.read::<_, StoreError>(|view| {
            let orders = view.orders()?;
            let is_ordered = orders.iter().any(|order| order.names.primary() == name);
            Ok((view.certificate(name)?.is_some() || is_ordered, view.domains()?))
        })?;
        let named = domains.into_iter().map(|recorded| recorded.domain).find(|domain| {
            domain.ssl_cert_path.as_ref().is_some_and(|named| Path::new(named.as_str()) == path)
        });
        match named {
            Some(domain) => return Err(CertificateError::Used(name.to_owned(), domain.domain.to_string())),
            None if !row => return Err(CertificateError::None(name.to_owned())),
            None => {}
        }
        // What is killed in between can be removed once more.
        self.files.remove(name)?;
        self.files.clear_pending(name)?;
        self.store.write::<_, StoreError>(|record| {
            record.remove_certificate(name)?;
            record.remove_orders(name)?;
            record.note(deed)
        })?;
        self.ask_at_s.lock().remove(name);
        Ok(())
    }
}
