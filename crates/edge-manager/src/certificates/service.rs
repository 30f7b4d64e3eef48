//! What the API, the command line and the clock call.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime;

use super::renewal::renew_at_s;
use super::{
    Answers, Authority, Bundle, CertificateError, DnsSettings, Files, KeyKinds, Leaf, Names, Proof, Settings,
    Step, Wish,
};
use crate::store::{CertificateRow, Deed, Store, StoreError};

/// The certificates: their files, their record, and whom they are got from. Everything here may take as long as an ACME
/// server takes, and HAProxy does not know of any of it yet.
#[derive(Debug)]
pub struct Certificates {
    pub(super) store: Arc<Store>,
    pub(super) files: Files,
    pub(super) authority: Authority,
    pub(super) answers: Answers,
    pub(super) dns: DnsSettings,
    pub(super) keys: KeyKinds,
    pub(super) proof: Proof,
    /// The names of certificates that somebody is at.
    pub(super) taken: Arc<Mutex<BTreeSet<String>>>,
    /// When to ask the server again about a certificate, by its name; seconds since the Unix epoch.
    pub(super) ask_at_s: Mutex<HashMap<String, u64>>,
    /// Until when no renewal is tried, seconds since the Unix epoch.
    pub(super) paused_until_s: Mutex<u64>,
    /// End and days of the last warning, of certificates at paths that no name leads to.
    pub(super) warned: Mutex<HashMap<PathBuf, (u64, u32)>>,
}

/// A certificate whose files are in their place.
#[derive(Debug)]
pub struct Installed {
    /// Its names.
    pub names: Names,
    /// What HAProxy is told for it.
    pub path: PathBuf,
    /// The files, and what is in them.
    pub files: Vec<(PathBuf, Bundle)>,
    pub(super) proof: Option<Proof>,
    /// Nobody else is at it as long as this is there.
    pub(super) _turn: Turn,
}

/// The right to be at a certificate.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) name: String,
    taken: Arc<Mutex<BTreeSet<String>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.taken.lock().remove(&self.name);
    }
}

impl Certificates {
    /// Opens the files, and removes what belongs to no order.
    ///
    /// # Errors
    /// The directory or the record cannot be used.
    pub fn open(store: Arc<Store>, settings: &Settings) -> Result<Self, CertificateError> {
        let files = Files::open(&settings.dir)?;
        let orders = store.read(|view| view.orders())?;
        let names: Vec<&str> = orders.iter().map(|row| row.names.primary()).collect();
        files.tidy(&names)?;
        Ok(Self {
            store,
            files,
            authority: Authority::new(settings),
            answers: Answers::default(),
            dns: settings.dns.clone(),
            keys: settings.keys,
            proof: settings.proof,
            taken: Arc::default(),
            ask_at_s: Mutex::default(),
            paused_until_s: Mutex::default(),
            warned: Mutex::default(),
        })
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is answered to servers that ask for proofs.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// The path that HAProxy is told for a certificate of these names.
    pub fn path(&self, names: &Names) -> PathBuf {
        self.files.path(names.primary())
    }

    /// What is wanted, completed by the settings; keys are of the kinds that the certificate in place has, if nothing is said.
    ///
    /// # Errors
    /// An asterisk cannot be proven by HTTP (RFC 8555, section 7.1.3); the record cannot be read.
    pub fn wish(
        &self,
        names: Names,
        keys: Option<KeyKinds>,
        proof: Option<Proof>,
    ) -> Result<Wish, CertificateError> {
        let proof = match proof {
            Some(Proof::Http) if names.has_wildcard() => {
                let why = format!("{names}: a name with an asterisk is proven by dns-01 only");
                return Err(CertificateError::Invalid(why));
            }
            Some(proof) => proof,
            None if names.has_wildcard() => Proof::Dns,
            None => self.proof,
        };
        if proof == Proof::Dns && !self.dns.is_there() {
            let why = format!("{names}: dns-01: neither EDGE_ACME_DNS_HOOK nor EDGE_ACME_DNS_SERVER is set");
            return Err(CertificateError::Invalid(why));
        }
        let row = self.store.read(|view| view.certificate(names.primary()))?;
        let keys = keys.or_else(|| Some(row?.keys)).unwrap_or(self.keys);
        Ok(Wish { names, keys, proof })
    }

    /// The end of the certificate in place, if it is one for all that is wanted and is not to be renewed yet, and HAProxy has it.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn lasting(&self, wish: &Wish, now_s: u64) -> Result<Option<u64>, CertificateError> {
        let Some(row) = self.store.read(|view| view.certificate(wish.names.primary()))? else {
            return Ok(None);
        };
        let has_come = row.proof.is_some() && row.renew_at_s.is_some_and(|at_s| at_s <= now_s);
        let has_arrived = self.orders(wish.names.primary())?.iter().all(|row| row.step < Step::Installed);
        let is_fitting = row.keys == wish.keys && !has_come && has_arrived;
        let leaves = self.leaves(&self.path(&wish.names));
        let lasts = is_fitting
            // A file that is gone or damaged has none.
            && leaves.len() == wish.keys.kinds().len()
            && leaves.iter().all(|leaf| {
                !leaf.is_self_signed
                    && leaf.not_after_s > now_s
                    && wish.names.all().iter().all(|name| leaf.covers(name))
            });
        Ok(lasts.then_some(row.expires_at_s))
    }

    /// Records the certificate that is in its place. Ends its orders if HAProxy has it; otherwise why it has not: it is told
    /// again later.
    ///
    /// # Errors
    /// The record or a file cannot be written.
    pub fn settle(
        &self,
        installed: &Installed,
        lack: Option<&CertificateError>,
        deed: &Deed<'_>,
    ) -> Result<(), CertificateError> {
        let Installed { names, files, proof, .. } = installed;
        let random = random();
        let leaves = || files.iter().map(|(_, bundle)| bundle.leaf());
        let kinds: Vec<_> = files.iter().map(|(_, bundle)| bundle.kind()).collect();
        let row = CertificateRow {
            names: names.clone(),
            keys: KeyKinds::of(&kinds).unwrap_or_default(),
            proof: *proof,
            expires_at_s: leaves().map(|leaf| leaf.not_after_s).min().unwrap_or_default(),
            renew_at_s: leaves().map(|leaf| renew_at_s(leaf, random)).min().filter(|_| proof.is_some()),
            failures: 0,
            retry_at_s: None,
            problem: None,
            warned_days: None,
        };
        self.store.write::<_, StoreError>(|record| {
            record.put_certificate(&row)?;
            if lack.is_none() {
                record.remove_orders(names.primary())?;
            }
            record.note(deed)
        })?;
        self.ask_at_s.lock().remove(names.primary());
        match lack {
            None => self.files.clear_pending(names.primary())?,
            Some(lack) => self.fail(names.primary(), lack),
        }
        Ok(())
    }

    /// What the files say that HAProxy reads for this path.
    pub fn leaves(&self, path: &Path) -> Vec<Leaf> {
        let files = Files::in_force(path).into_iter();
        files.filter_map(|file| Leaf::parse(&Files::read(&file).ok()?).ok()).collect()
    }

    pub(super) fn turn(&self, name: &str) -> Result<Turn, CertificateError> {
        if !self.taken.lock().insert(name.to_owned()) {
            return Err(CertificateError::Busy(name.to_owned()));
        }
        Ok(Turn { name: name.to_owned(), taken: self.taken.clone() })
    }

    /// On this thread, which may wait.
    pub(super) fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, CertificateError>>,
    ) -> Result<T, CertificateError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CertificateError::Invalid(error.to_string()))?;
        runtime.block_on(work)
    }
}

/// Without chance all renewals come at once, which is no fault.
pub(super) fn random() -> u32 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}
