//! What the clock calls: renewals, warnings, stand-ins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::renewal::{is_due, retry_at_s, warning, within};
use super::service::random;
use super::{CertificateError, Certificates, Names, Proof, Wish};
use crate::site::DomainInput;
use crate::store::{CertificateRow, StoreError};

/// Between two questions when the server wants a certificate to be renewed, seconds: at least, at most, and after a failure.
const MIN_WINDOW_S: u64 = 60;
const MAX_WINDOW_S: u64 = 86_400;
const FAILED_WINDOW_S: u64 = 3_600;

impl Certificates {
    /// Notes that a renewal failed: the next one waits.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn note_failure(
        &self,
        name: &str,
        error: &CertificateError,
        now_s: u64,
    ) -> Result<(), CertificateError> {
        self.store.write(|record| {
            if let Some(mut row) = record.certificate(name)? {
                row.failures = row.failures.saturating_add(1);
                row.retry_at_s = Some(retry_at_s(row.failures, error.retry_at_s(), now_s, random()));
                row.problem = Some(error.to_string());
                record.put_certificate(&row)?;
            }
            Ok(())
        })
    }

    /// The certificates that HAProxy uses, that are to be renewed and that nobody has ordered; with `is_patient`, not those
    /// whose last try was just now.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn due(&self, is_patient: bool, now_s: u64) -> Result<Vec<Wish>, CertificateError> {
        let ordered = self.ordered()?;
        let rows = self.used()?.into_iter().filter(|row| {
            let retry_at_s = row.retry_at_s.filter(|_| is_patient);
            is_due(row.renew_at_s, retry_at_s, now_s) && !ordered.contains(row.names.primary())
        });
        let wish = |row: CertificateRow| {
            // Nobody is there to be told of a record.
            let proof = row.proof.filter(|proof| *proof != Proof::Manual)?;
            Some(Wish { names: row.names, keys: row.keys, proof })
        };
        Ok(rows.filter_map(wish).collect())
    }

    /// Asks the server when it wants certificates to be renewed, where it says so and enough time has passed.
    ///
    /// # Errors
    /// The record cannot be used.
    pub fn ask_when(&self, now_s: u64) -> Result<(), CertificateError> {
        for row in self.used()? {
            let name = row.names.primary();
            let is_early = self.ask_at_s.lock().get(name).is_some_and(|at_s| *at_s > now_s);
            let leaves = self.leaves(&self.path(&row.names));
            let Some(leaf) = leaves.iter().find(|leaf| !leaf.is_self_signed) else { continue };
            if is_early || row.proof.is_none() || self.taken.lock().contains(name) {
                continue;
            }
            let pause_s = match self.wait(self.authority.window(&self.files, leaf)) {
                Ok(Some(window)) => {
                    let is_within = |at_s| (window.from_s..=window.to_s).contains(&at_s);
                    if !row.renew_at_s.is_some_and(is_within) {
                        let at_s = within(window.from_s, window.to_s, random());
                        self.set_renewal(name, at_s)?;
                    }
                    window.again_s.clamp(MIN_WINDOW_S, MAX_WINDOW_S)
                }
                Ok(None) => MAX_WINDOW_S,
                Err(error) => {
                    tracing::debug!(name, %error, "the server does not say when to renew");
                    FAILED_WINDOW_S
                }
            };
            self.ask_at_s.lock().insert(name.to_owned(), now_s + pause_s);
        }
        Ok(())
    }

    /// The warnings that are due: name, end and days of the warning. Each is given once.
    ///
    /// # Errors
    /// The record cannot be used.
    pub fn warnings(&self, now_s: u64) -> Result<Vec<(Names, u64, u32)>, CertificateError> {
        let mut due = Vec::new();
        for mut row in self.used()? {
            let leaves = self.leaves(&self.path(&row.names));
            let Some(leaf) = leaves.into_iter().min_by_key(|leaf| leaf.not_after_s) else { continue };
            if let Some(days) = warning(&leaf, row.warned_days, now_s) {
                row.warned_days = Some(days);
                self.store.write(|record| record.put_certificate(&row))?;
                due.push((row.names, leaf.not_after_s, days));
            }
        }
        Ok(due)
    }

    /// Puts certificates that sign themselves where domains name files of ours that are not there: HAProxy would not start.
    /// They are due at once.
    ///
    /// # Errors
    /// A file or the record cannot be written.
    pub fn stand_in(&self, now_s: u64) -> Result<(), CertificateError> {
        let mut wanted: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for (path, domain) in self.served()? {
            wanted.entry(path).or_default().push(domain.domain.to_string());
        }
        let rows = self.store.read(|view| view.certificates())?;
        for (path, mut domains) in wanted {
            if !self.files.has(&path) {
                continue;
            }
            let row = rows.iter().find(|row| self.path(&row.names) == path);
            domains.sort_by_key(|name| self.files.path(name) != path);
            let names = row.map_or_else(|| Names::parse(&domains), |row| Ok(row.names.clone()))?;
            let Some(bundle) = self.files.stand_in(&path, &names, now_s)? else { continue };
            tracing::warn!(%names, path = %path.display(), "there is no certificate: one that signs itself stands in");
            // A path that no name leads to is that of somebody who will bring the file.
            if self.path(&names) != path {
                continue;
            }
            let proof = if names.has_wildcard() { Proof::Dns } else { self.proof };
            let made = || CertificateRow {
                names: names.clone(),
                keys: self.keys,
                proof: Some(proof),
                expires_at_s: 0,
                renew_at_s: None,
                failures: 0,
                retry_at_s: None,
                problem: None,
                warned_days: None,
            };
            let mut row = row.cloned().unwrap_or_else(made);
            row.expires_at_s = bundle.leaf().not_after_s;
            row.renew_at_s = row.proof.map(|_| now_s);
            self.store.write(|record| record.put_certificate(&row))?;
        }
        Ok(())
    }

    fn set_renewal(&self, name: &str, at_s: u64) -> Result<(), CertificateError> {
        self.store.write(|record| {
            if let Some(row) = record.certificate(name)? {
                record.put_certificate(&CertificateRow { renew_at_s: Some(at_s), ..row })?;
            }
            Ok(())
        })
    }

    /// Certificates that a domain uses.
    fn used(&self) -> Result<Vec<CertificateRow>, CertificateError> {
        let used: BTreeSet<PathBuf> = self.served()?.into_iter().map(|(path, _)| path).collect();
        let mut rows = self.store.read::<_, StoreError>(|view| view.certificates())?;
        rows.retain(|row| used.contains(&self.path(&row.names)));
        Ok(rows)
    }

    /// Domains that are served by TLS, with the path of their certificate.
    pub(super) fn served(&self) -> Result<Vec<(PathBuf, DomainInput)>, CertificateError> {
        let domains = self.store.read::<_, StoreError>(|view| view.domains())?.into_iter();
        let served = domains.map(|recorded| recorded.domain).filter(|domain| domain.ssl_enabled);
        Ok(served
            .filter_map(|domain| Some((PathBuf::from(domain.ssl_cert_path.as_ref()?.as_str()), domain)))
            .collect())
    }
}
