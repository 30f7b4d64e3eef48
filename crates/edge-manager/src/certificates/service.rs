//! What the API, the command line and the clock call.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime;

use super::challenge::{DnsSettings, Record};
use super::order::Errand;
use super::renewal::renew_at_s;
use super::{
    Answers, Authority, Bundle, CertificateError, Files, KeyKinds, Leaf, Names, Proof, Settings, Step, Wish,
};
use crate::store::{CertificateRow, Deed, OrderRow, Store, StoreError};

/// The certificates: their files, their record, and whom they are got from. Everything here may take as long as an ACME
/// server takes, and HAProxy does not know of any of it yet.
#[derive(Debug)]
pub struct Certificates {
    pub(super) store: Arc<Store>,
    pub(super) files: Files,
    pub(super) authority: Authority,
    answers: Answers,
    dns: DnsSettings,
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
    proof: Option<Proof>,
    /// Nobody else is at it as long as this is there.
    _turn: Turn,
}

#[derive(Debug)]
pub(super) struct Turn {
    name: String,
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

    /// The end of the certificate in place, if it is one for all that is wanted and is not to be renewed yet.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn lasting(&self, wish: &Wish, now_s: u64) -> Result<Option<u64>, CertificateError> {
        let Some(row) = self.store.read(|view| view.certificate(wish.names.primary()))? else {
            return Ok(None);
        };
        let has_come = row.proof.is_some() && row.renew_at_s.is_some_and(|at_s| at_s <= now_s);
        let is_fitting = row.keys == wish.keys && !has_come;
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

    /// Gets a certificate and puts its files in their place. Domains that are served with what it takes the place of are
    /// among its names, wished for or not.
    ///
    /// # Errors
    /// There is none to be had; what was there before is there still.
    pub fn obtain(&self, wish: &Wish) -> Result<Installed, CertificateError> {
        let turn = self.turn(wish.names.primary())?;
        let names = self.with_served(&wish.names)?;
        let proof = Some(wish.proof).filter(|proof| *proof != Proof::Http || !names.has_wildcard());
        self.begin(&self.wish(names, Some(wish.keys), proof)?)?;
        self.go_on(turn)
    }

    /// The names of the certificates whose orders somebody was at who has ended. Those that wait for an operator are not
    /// among them.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn interrupted(&self) -> Result<Vec<Names>, CertificateError> {
        let orders = self.store.read(|view| view.orders())?;
        let taken = self.taken.lock();
        let mut names: Vec<Names> = Vec::new();
        for row in orders {
            let waits = row.proof == Proof::Manual && row.step < Step::Issued;
            if !waits && !taken.contains(row.names.primary()) && !names.contains(&row.names) {
                names.push(row.names);
            }
        }
        Ok(names)
    }

    /// Goes on with the orders for this name where they are.
    ///
    /// # Errors
    /// There is none; otherwise as [`Certificates::obtain`].
    pub fn go_on_with(&self, name: &str) -> Result<Installed, CertificateError> {
        let turn = self.turn(name)?;
        self.go_on(turn)
    }

    /// Orders a certificate for which somebody else puts the proofs into DNS; [`Certificates::go_on_with`] goes on when that is
    /// done. What was proven lately needs no record.
    ///
    /// # Errors
    /// The server does not take the order.
    pub fn propose(&self, names: Names) -> Result<Vec<Record>, CertificateError> {
        let turn = self.turn(names.primary())?;
        // One order has one set of records to be put.
        let keys = if self.keys == KeyKinds::Both { KeyKinds::Ecdsa } else { self.keys };
        let names = self.with_served(&names)?;
        self.begin(&Wish { names, keys, proof: Proof::Manual })?;
        let mut found = Vec::new();
        for row in self.orders(&turn.name)? {
            found.extend(self.wait(self.errand(row).records()).inspect_err(|_| self.give_up(&turn.name))?);
        }
        Ok(found)
    }

    /// Puts a certificate in its place that an operator has. It is never renewed here.
    ///
    /// # Errors
    /// It is none, or over, or not for this name or another that is served with what it takes the place of.
    pub fn take(&self, names: &Names, text: &str, now_s: u64) -> Result<Installed, CertificateError> {
        let turn = self.turn(names.primary())?;
        let bundle = Bundle::parse(text)?;
        let names = self.with_served(names)?;
        bundle.check(names.all(), now_s)?;
        self.store.write(|record| record.remove_orders(&turn.name))?;
        self.files.install(&turn.name, std::slice::from_ref(&bundle))?;
        self.installed(turn, names, None, vec![bundle])
    }

    /// Records that HAProxy has a certificate, and ends its orders.
    ///
    /// # Errors
    /// The record or a file cannot be written.
    pub fn settle(&self, installed: &Installed, deed: &Deed<'_>) -> Result<(), CertificateError> {
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
            record.remove_orders(names.primary())?;
            record.note(deed)
        })?;
        self.ask_at_s.lock().remove(names.primary());
        self.files.clear_pending(names.primary())
    }

    /// Puts back what was in place before a certificate that HAProxy does not take.
    ///
    /// # Errors
    /// A file cannot be renamed.
    pub fn undo(&self, installed: &Installed) -> Result<(), CertificateError> {
        self.give_up(installed.names.primary());
        self.files.put_back(installed.names.primary())
    }

    /// What the files say that HAProxy reads for this path.
    pub fn leaves(&self, path: &Path) -> Vec<Leaf> {
        let files = Files::in_force(path).into_iter();
        files.filter_map(|file| Leaf::parse(&Files::read(&file).ok()?).ok()).collect()
    }

    fn begin(&self, wish: &Wish) -> Result<(), CertificateError> {
        let Wish { names, keys, proof } = wish;
        self.files.clear_pending(names.primary())?;
        self.store.write(|record| {
            record.remove_orders(names.primary())?;
            keys.kinds().iter().try_for_each(|key| {
                let (names, step) = (names.clone(), Step::Begun);
                record.put_order(&OrderRow { names, key: *key, proof: *proof, step, url: None })
            })
        })?;
        Ok(())
    }

    fn go_on(&self, turn: Turn) -> Result<Installed, CertificateError> {
        let orders = self.orders(&turn.name)?;
        let Some(first) = orders.first() else { return Err(CertificateError::None(turn.name.clone())) };
        let (names, proof) = (first.names.clone(), first.proof);
        let bundles = self.bundles(orders).inspect_err(|_| self.give_up(&turn.name))?;
        self.installed(turn, names, Some(proof), bundles)
    }

    fn bundles(&self, mut orders: Vec<OrderRow>) -> Result<Vec<Bundle>, CertificateError> {
        for row in orders.iter_mut().filter(|row| row.step < Step::Issued) {
            let bundle = self.wait(self.errand(row.clone()).run())?;
            self.files.put_issued(row.names.primary(), &bundle)?;
            row.step = Step::Issued;
            self.store.write(|record| record.put_order(row))?;
        }
        let issued = orders.iter().map(|row| self.files.issued(row.names.primary(), row.key));
        let bundles: Vec<Bundle> = issued.collect::<Result<_, _>>()?;
        if let Some(row) = orders.iter().find(|row| row.step < Step::Installed) {
            self.files.install(row.names.primary(), &bundles)?;
            self.store.write(|record| {
                orders
                    .iter()
                    .cloned()
                    .try_for_each(|row| record.put_order(&OrderRow { step: Step::Installed, ..row }))
            })?;
        }
        Ok(bundles)
    }

    fn installed(
        &self,
        turn: Turn,
        names: Names,
        proof: Option<Proof>,
        bundles: Vec<Bundle>,
    ) -> Result<Installed, CertificateError> {
        let path = self.path(&names);
        let files = Files::in_force(&path).into_iter();
        let files = files.filter_map(|file| {
            let text = Files::read(&file).ok()?;
            Some((file, bundles.iter().find(|bundle| bundle.pem() == text)?.clone()))
        });
        let files: Vec<_> = files.collect();
        // What HAProxy is then told would not be what was got.
        if files.len() != bundles.len() {
            let other = std::io::Error::other("somebody else has put something in its place meanwhile");
            return Err(CertificateError::File(path, other));
        }
        Ok(Installed { files, names, path, proof, _turn: turn })
    }

    fn errand(&self, row: OrderRow) -> Errand<'_> {
        let leaves = self.leaves(&self.path(&row.names));
        Errand {
            store: &self.store,
            files: &self.files,
            authority: self.authority.apart(),
            answers: &self.answers,
            dns: &self.dns,
            replaced: leaves.into_iter().find(|leaf| !leaf.is_self_signed),
            row,
            is_account_lost: false,
        }
    }

    fn orders(&self, name: &str) -> Result<Vec<OrderRow>, CertificateError> {
        let mut orders = self.store.read::<_, StoreError>(|view| view.orders())?;
        orders.retain(|row| row.names.primary() == name);
        Ok(orders)
    }

    /// Ends the orders for a name. What cannot be removed now is removed at the next start.
    fn give_up(&self, name: &str) {
        let ended = self.store.write::<_, StoreError>(|record| record.remove_orders(name));
        if let Err(error) =
            ended.map_err(CertificateError::from).and_then(|()| self.files.clear_pending(name))
        {
            tracing::warn!(name, %error, "something of an order stays");
        }
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
