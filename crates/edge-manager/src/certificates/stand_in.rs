//! Certificates that sign themselves, in the places of those that are not there: HAProxy would not start without.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::names::MAX_NAMES;
use super::upkeep::served_path;
use super::{CertificateError, Certificates, Files, Names, Proof};
use crate::site::DomainInput;
use crate::store::{CertificateRow, Readers, StoreError};

/// Stand-ins for what a change of the site names. They go with it if it is not made.
#[derive(Debug, Default)]
pub struct StandIns(Vec<PathBuf>);

impl StandIns {
    /// The change was made.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "a certificate that nobody needs stays");
            }
        }
    }
}

impl Files {
    /// Puts stand-ins where these domains name files of ours that are not there. One that cannot be made is logged, and does not
    /// keep others from theirs.
    pub fn stand_in_for(&self, domains: &[DomainInput], now_s: u64) -> StandIns {
        let made = |(path, names): (PathBuf, Vec<String>)| {
            let made = Names::parse(&names).and_then(|names| self.stand_in(&path, &names, now_s));
            match made {
                Ok(None) => None,
                Ok(Some(_)) => {
                    tracing::warn!(path = %path.display(), "there is no certificate: one that signs itself stands in");
                    Some(path)
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "there is no certificate, and none stands in");
                    None
                }
            }
        };
        StandIns(self.named(domains).into_iter().filter_map(made).collect())
    }

    /// The paths of ours that domains name, with their domains: as many as one certificate can be for, and first the one that it
    /// is called by.
    fn named(&self, domains: &[DomainInput]) -> BTreeMap<PathBuf, Vec<String>> {
        let mut named: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for domain in domains {
            if let Some(path) = served_path(domain).filter(|path| self.has(path)) {
                named.entry(path).or_default().push(domain.domain.to_string());
            }
        }
        for (path, names) in &mut named {
            names.sort_by_key(|name| self.path(name) != *path);
            names.truncate(MAX_NAMES);
        }
        named
    }
}

impl Certificates {
    /// Puts stand-ins where domains name files of ours that are not there, and has each be replaced at once.
    ///
    /// # Errors
    /// The record cannot be used.
    pub fn stand_in(&self, now_s: u64) -> Result<(), CertificateError> {
        let domains: Vec<DomainInput> = self.served()?.into_iter().map(|(_, domain)| domain).collect();
        self.files.stand_in_for(&domains, now_s).keep();
        let rows = self.store.read::<_, StoreError>(|view| view.certificates())?;
        for (path, names) in self.files.named(&domains) {
            let row = rows.iter().find(|row| self.path(&row.names) == path);
            let is_due = row.is_some_and(|row| row.renew_at_s.is_none_or(|at_s| at_s <= now_s));
            let Some(leaf) = self.leaves(&path).into_iter().find(|leaf| leaf.is_self_signed) else {
                continue;
            };
            let Ok(names) = row.map_or_else(|| Names::parse(&names), |row| Ok(row.names.clone())) else {
                continue;
            };
            // A path that no name leads to is that of somebody who will bring the file.
            if is_due || self.path(&names) != path {
                continue;
            }
            let proof = if names.has_wildcard() { Proof::Dns } else { self.proof };
            let made = || CertificateRow {
                names,
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
            row.expires_at_s = leaf.not_after_s;
            row.renew_at_s = row.proof.map(|_| now_s);
            self.store.write(|record| record.put_certificate(&row))?;
        }
        Ok(())
    }
}

/// Puts stand-ins where the domains of this record name files of this directory that are not there, before anybody else has opened
/// either.
///
/// # Errors
/// The record cannot be read: that may be for the first start, or for an earlier version's.
pub fn stand_in_before_start(database: &Path, dir: &Path, now_s: u64) -> Result<(), CertificateError> {
    let recorded = Readers::open(database)?.read::<_, StoreError>(|view| view.domains())?;
    let domains: Vec<DomainInput> = recorded.into_iter().map(|recorded| recorded.domain).collect();
    Files::at(dir)?.stand_in_for(&domains, now_s).keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str, path: &Path) -> DomainInput {
        DomainInput {
            domain: name.into(),
            ssl_enabled: true,
            ssl_cert_path: Some(path.display().to_string().as_str().into()),
            ..DomainInput::default()
        }
    }

    #[test]
    fn one_that_cannot_be_made_does_not_keep_others_from_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        // The name of its file is longer than a file system takes.
        let long = files.path(&format!("{}.example", vec!["a".repeat(60); 4].join(".")));
        let (many, theirs) = (files.path("h0.example"), dir.path().join("elsewhere/x.pem"));
        let mut domains = vec![domain("a.example", &long), domain("b.example", &theirs)];
        domains.extend((0..=MAX_NAMES).rev().map(|n| domain(&format!("h{n}.example"), &many)));
        files.stand_in_for(&domains, 1_700_000_000).keep();
        let bundle = crate::certificates::Bundle::parse(&Files::read(&many).unwrap()).unwrap();
        assert!(bundle.leaf().is_self_signed && bundle.leaf().covers("h0.example"));
        assert_eq!(bundle.leaf().names.len(), MAX_NAMES);
        assert!(!theirs.exists());
    }

    #[test]
    fn stand_ins_go_with_a_change_that_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let (old, new) = (files.path("old.example"), files.path("new.example"));
        let domains = [domain("old.example", &old), domain("new.example", &new)];
        files.stand_in_for(&domains[..1], 1_700_000_000).keep();
        let made = files.stand_in_for(&domains, 1_700_000_000);
        assert!(old.exists() && new.exists());
        drop(made);
        assert!(old.exists() && !new.exists());
    }
}
