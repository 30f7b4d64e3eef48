//! What the clock calls: renewals and warnings.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::names::covers;
use super::renewal::{is_due, least_stay_s, retry_at_s, warning};
use super::service::random;
use super::{CertificateError, Certificates, Names, Proof, Wish};
use crate::site::DomainInput;
use crate::store::{CertificateRow, StoreError};

/// How long one renewal that the server wants to be later holds up the others, seconds at most: what it limits may be no more than
/// the names of that one.
const MAX_COMMON_PAUSE_S: u64 = 3_600;

/// The end of a certificate that is near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The name of the certificate, or its path where it is not the manager's.
    pub certificate: String,
    /// Its end, seconds since the Unix epoch.
    pub ends_at_s: u64,
    /// How many days before it this is said.
    pub days: u32,
}

impl Certificates {
    /// Notes that a renewal failed: the next one waits, and so do those of others where the server wants a pause.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn note_failure(
        &self,
        name: &str,
        error: &CertificateError,
        now_s: u64,
    ) -> Result<(), CertificateError> {
        self.heed(error, now_s);
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

    /// Has all renewals wait where the server wants a pause.
    pub(super) fn heed(&self, error: &CertificateError, now_s: u64) {
        if let Some(at_s) = error.retry_at_s() {
            let mut until_s = self.paused_until_s.lock();
            *until_s = at_s.min(now_s + MAX_COMMON_PAUSE_S).max(*until_s);
        }
    }

    /// Whether the server wants a pause.
    pub fn is_paused(&self, now_s: u64) -> bool {
        *self.paused_until_s.lock() > now_s
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
            is_due(row.renew_at_s, retry_at_s, now_s)
                && !ordered.contains(row.names.primary())
                && !self.is_new(row, now_s)
        });
        let wish = |row: CertificateRow| {
            // Nobody is there to be told of a record.
            let proof = row.proof.filter(|proof| *proof != Proof::Manual)?;
            Some(Wish { names: row.names, keys: row.keys, proof })
        };
        Ok(rows.filter_map(wish).collect())
    }

    /// Whether a certificate was put in its place so lately that it stays, whatever was reckoned of it. By the clock of the files
    /// alone: what the certificate says is by that of the server.
    fn is_new(&self, row: &CertificateRow, now_s: u64) -> bool {
        let path = self.path(&row.names);
        let leaves = self.leaves(&path);
        if leaves.iter().any(|leaf| leaf.is_self_signed) {
            return false;
        }
        let stay_s = leaves.iter().map(least_stay_s).min().unwrap_or_default();
        self.files.put_at_s(&path).is_some_and(|at_s| (at_s..at_s + stay_s).contains(&now_s))
    }

    /// The warnings that are due. Each is given once; where the manager keeps no record of a certificate, once more after each
    /// start.
    ///
    /// # Errors
    /// The record cannot be used.
    pub fn warnings(&self, now_s: u64) -> Result<Vec<Warning>, CertificateError> {
        let rows = self.store.read::<_, StoreError>(|view| view.certificates())?;
        let paths: BTreeSet<PathBuf> = self.served()?.into_iter().map(|(path, _)| path).collect();
        let mut due = Vec::new();
        for path in paths {
            let leaves = self.leaves(&path);
            let Some(leaf) = leaves.into_iter().min_by_key(|leaf| leaf.not_after_s) else { continue };
            let ends_at_s = leaf.not_after_s;
            let row = rows.iter().find(|row| self.path(&row.names) == path);
            let last = match row {
                Some(row) => row.warned_days,
                None => self
                    .warned
                    .lock()
                    .get(&path)
                    .filter(|warned| warned.0 == ends_at_s)
                    .map(|warned| warned.1),
            };
            let Some(days) = warning(&leaf, last, now_s) else { continue };
            let certificate = match row {
                Some(row) => row.names.primary().to_owned(),
                None => path.display().to_string(),
            };
            self.store.write::<_, StoreError>(|record| match record.certificate(&certificate)? {
                Some(row) => record.put_certificate(&CertificateRow { warned_days: Some(days), ..row }),
                None => Ok(()),
            })?;
            if row.is_none() {
                self.warned.lock().insert(path, (ends_at_s, days));
            }
            due.push(Warning { certificate, ends_at_s, days });
        }
        Ok(due)
    }

    /// These names, and the domains that the certificate in their place serves: with another that is not for them, they would
    /// lose what they have. A domain that it is not for has nothing to lose.
    ///
    /// # Errors
    /// They are too many, or the record cannot be read.
    pub(super) fn with_served(&self, names: &Names) -> Result<Names, CertificateError> {
        let path = self.path(names);
        let leaves = self.leaves(&path);
        let mut all = names.all().to_vec();
        for (_, domain) in self.served()?.into_iter().filter(|(served, _)| *served == path) {
            let name = domain.domain.to_string();
            let is_had = leaves.is_empty() || leaves.iter().any(|leaf| leaf.covers(&name));
            if is_had && !all.iter().any(|pattern| covers(pattern, &name)) {
                all.push(name);
            }
        }
        Names::parse(&all)
    }

    /// Certificates that a domain uses.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn used(&self) -> Result<Vec<CertificateRow>, CertificateError> {
        let used: BTreeSet<PathBuf> = self.served()?.into_iter().map(|(path, _)| path).collect();
        let mut rows = self.store.read::<_, StoreError>(|view| view.certificates())?;
        rows.retain(|row| used.contains(&self.path(&row.names)));
        Ok(rows)
    }

    /// Domains that are served by TLS, with the path of their certificate.
    pub(super) fn served(&self) -> Result<Vec<(PathBuf, DomainInput)>, CertificateError> {
        let domains = self.store.read::<_, StoreError>(|view| view.domains())?.into_iter();
        let domains = domains.map(|recorded| recorded.domain);
        Ok(domains.filter_map(|domain| Some((served_path(&domain)?, domain))).collect())
    }
}

/// The path of a domain's certificate, if it is served by TLS.
pub(super) fn served_path(domain: &DomainInput) -> Option<PathBuf> {
    Some(domain.ssl_cert_path.as_ref().filter(|_| domain.ssl_enabled)?.as_str().into())
}
