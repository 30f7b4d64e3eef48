//! An order in the record, from its beginning until HAProxy has what came of it.
//!
//! Whatever goes wrong on the way, one function says what becomes of the order: it is kept for another try from the same step, or
//! it ends. So nothing that was issued is thrown away for a reason that has nothing to do with it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::order::Errand;
use super::renewal::retry_at_s;
use super::service::{Turn, random};
use super::{
    Bundle, CertificateError, Certificates, Installed, KeyKind, KeyKinds, Names, Proof, Record, Step, Wish,
};
use crate::clock::now_s;
use crate::store::{OrderRow, StoreError};

/// How long an order may be without its certificate, seconds: servers forget them in that time too, and one whose operator does not
/// come back is in the way of renewals.
const MAX_ORDER_S: u64 = 7 * 86_400;

impl Certificates {
    /// Gets a certificate and puts its files in their place. Domains that are served with what it takes the place of are among
    /// its names, wished for or not. Goes on with the same order, if there is one.
    ///
    /// # Errors
    /// There is none to be had now; what was there before is there still. What may pass is tried again from where it was:
    /// [`Certificates::open_orders`].
    pub fn obtain(&self, wish: &Wish) -> Result<Installed, CertificateError> {
        let turn = self.turn(wish.names.primary())?;
        let names = self.with_served(&wish.names)?;
        let proof = Some(wish.proof).filter(|proof| *proof != Proof::Http || !names.has_wildcard());
        self.begin(&self.wish(names, Some(wish.keys), proof)?)?;
        self.go_on(turn)
    }

    /// The names of the certificates whose orders can be gone on with: where something failed that may pass, or somebody was killed;
    /// with `is_patient`, not before its time. Those that somebody is at or that wait for an operator are not among them.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn open_orders(&self, is_patient: bool, now_s: u64) -> Result<Vec<Names>, CertificateError> {
        let orders = self.store.read::<_, StoreError>(|view| view.orders())?;
        let taken = self.taken.lock();
        let is_paused = self.is_paused(now_s);
        let mut names: Vec<Names> = Vec::new();
        for row in orders {
            let waits = row.proof == Some(Proof::Manual) && row.step < Step::Issued;
            let is_told = is_paused && row.step < Step::Issued;
            let is_early = is_patient && (is_told || row.retry_at_s.is_some_and(|at_s| at_s > now_s));
            if !waits && !is_early && !taken.contains(row.names.primary()) && !names.contains(&row.names) {
                names.push(row.names);
            }
        }
        Ok(names)
    }

    /// Ends the orders that have come to no certificate for so long that they will not.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn end_old_orders(&self, now_s: u64) -> Result<(), CertificateError> {
        for row in self.store.read::<_, StoreError>(|view| view.orders())? {
            let is_old = row.step < Step::Issued && row.begun_at_s.saturating_add(MAX_ORDER_S) <= now_s;
            if is_old && let Ok(turn) = self.turn(row.names.primary()) {
                tracing::warn!(names = %row.names, "an order that has come to nothing is given up");
                self.give_up(&turn.name);
            }
        }
        Ok(())
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
    /// done. What was proven lately needs no record. The same once more gives the same records.
    ///
    /// # Errors
    /// The server does not take the order.
    pub fn propose(&self, names: Names) -> Result<Vec<Record>, CertificateError> {
        let turn = self.turn(names.primary())?;
        let names = self.with_served(&names)?;
        // One order has one set of records to be put.
        let keys = if self.keys == KeyKinds::Both { KeyKinds::Ecdsa } else { self.keys };
        self.begin(&Wish { names, keys, proof: Proof::Manual })?;
        let mut found = Vec::new();
        for row in self.orders(&turn.name)?.into_iter().filter(|row| row.step < Step::Issued) {
            let records = self.wait(self.errand(row).records());
            found.extend(records.inspect_err(|error| self.fail(&turn.name, error))?);
        }
        Ok(found)
    }

    /// Puts a certificate in its place that an operator has. It is never renewed here.
    ///
    /// # Errors
    /// It is none, or over, or not for this name or another that is served with what it takes the place of. Once it is recorded, as
    /// [`Certificates::obtain`].
    pub fn take(&self, names: &Names, text: &str, now_s: u64) -> Result<Installed, CertificateError> {
        let turn = self.turn(names.primary())?;
        let bundle = Bundle::parse(text)?;
        let names = self.with_served(names)?;
        bundle.check(names.all(), now_s)?;
        self.clear(&turn.name)?;
        self.files.put_issued(&turn.name, &bundle)?;
        let row = OrderRow { step: Step::Issued, ..begun(names, bundle.kind(), None, now_s) };
        self.store.write(|record| record.put_order(&row))?;
        self.go_on(turn)
    }

    /// Puts back what was in place before a certificate that HAProxy does not take, until it is tried once more.
    ///
    /// # Errors
    /// A file cannot be renamed, or the record cannot be written.
    pub fn undo(&self, installed: &Installed, error: &CertificateError) -> Result<(), CertificateError> {
        let name = installed.names.primary();
        // First of all, whatever can be recorded: who goes on from any step puts the files in their place again.
        let is_used =
            self.served().map_or(true, |served| served.iter().any(|(path, _)| *path == installed.path));
        let back = self.files.put_back(name, is_used);
        let noted = self.orders(name).and_then(|orders| self.note_step(&orders, Step::Issued));
        self.fail(name, error);
        back.and(noted)
    }

    /// Notes what went wrong with the orders for a name, and when they may be tried again; ends them if they will not go better.
    pub(super) fn fail(&self, name: &str, error: &CertificateError) {
        let now_s = now_s().into();
        let kept = self.store.write::<_, StoreError>(|record| {
            let mut orders = record.orders()?;
            orders.retain(|row| error.is_passing() && row.names.primary() == name);
            let failures = orders.iter().map(|row| row.failures).max().unwrap_or(0).saturating_add(1);
            let retry_at_s = Some(retry_at_s(failures, error.retry_at_s(), now_s, random()));
            orders.into_iter().try_for_each(|row| record.put_order(&OrderRow { failures, retry_at_s, ..row }))
        });
        let noted = kept.map_err(CertificateError::from).and_then(|()| self.note_failure(name, error, now_s));
        if let Err(error) = noted {
            tracing::warn!(name, %error, "it is not recorded that an order failed");
        }
        if !error.is_passing() {
            self.give_up(name);
        }
    }

    /// Where the same is ordered already, there is nothing to be begun.
    fn begin(&self, wish: &Wish) -> Result<(), CertificateError> {
        let Wish { names, keys, proof } = wish;
        let name = names.primary();
        let orders = self.orders(name)?;
        let kinds: Vec<_> = orders.iter().map(|row| row.key).collect();
        let is_same = |row: &OrderRow| row.names == *names && row.proof == Some(*proof);
        if kinds == keys.kinds() && orders.iter().all(is_same) {
            return Ok(());
        }
        self.clear(name)?;
        let now_s = now_s().into();
        let rows = keys.kinds().iter().map(|key| begun(names.clone(), *key, Some(*proof), now_s));
        let rows: Vec<_> = rows.collect();
        self.store.write(|record| rows.iter().try_for_each(|row| record.put_order(row)))?;
        Ok(())
    }

    fn go_on(&self, turn: Turn) -> Result<Installed, CertificateError> {
        let orders = self.orders(&turn.name)?;
        let Some(first) = orders.first() else { return Err(CertificateError::None(turn.name.clone())) };
        let (names, proof) = (first.names.clone(), first.proof);
        let files = self.known(&names).and_then(|()| self.place(orders));
        let files = files.inspect_err(|error| self.fail(&turn.name, error))?;
        Ok(Installed { path: self.path(&names), names, files, proof, _turn: turn })
    }

    /// Nobody needs a certificate whose domains were removed since it was ordered.
    fn known(&self, names: &Names) -> Result<(), CertificateError> {
        let is_known = self.store.read::<_, StoreError>(|view| {
            for name in names.all() {
                if view.domain_id(name)?.is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        is_known.then_some(()).ok_or_else(|| CertificateError::UnknownDomain(names.primary().to_owned()))
    }

    /// From any step to files in their place.
    fn place(&self, mut orders: Vec<OrderRow>) -> Result<Vec<(PathBuf, Bundle)>, CertificateError> {
        let bundles: Vec<Bundle> = orders.iter_mut().map(|row| self.bundle(row)).collect::<Result<_, _>>()?;
        let Some(name) = orders.first().map(|row| row.names.primary()) else { return Ok(Vec::new()) };
        // Where they are there already, nothing changes.
        let places = self.files.install(name, &bundles)?;
        self.note_step(&orders, Step::Installed)?;
        Ok(places.into_iter().zip(bundles).collect())
    }

    fn bundle(&self, row: &mut OrderRow) -> Result<Bundle, CertificateError> {
        if row.step >= Step::Issued {
            let issued = self.files.issued(row.names.primary(), row.key).and_then(|bundle| {
                bundle.check(row.names.all(), now_s().into())?;
                Ok(bundle)
            });
            if issued.is_ok() || row.proof.is_none() {
                return issued;
            }
            // It was kept for so long that it is over, or somebody has removed it.
            (row.step, row.url) = (Step::Begun, None);
        }
        let mut errand = self.errand(row.clone());
        let bundle = self.wait(errand.run())?;
        self.files.put_issued(row.names.primary(), &bundle)?;
        *row = OrderRow { step: Step::Issued, ..errand.row };
        self.store.write(|record| record.put_order(row))?;
        Ok(bundle)
    }

    fn note_step(&self, orders: &[OrderRow], step: Step) -> Result<(), CertificateError> {
        let rows = orders.iter().map(|row| OrderRow { step, ..row.clone() });
        let rows: Vec<_> = rows.collect();
        Ok(self
            .store
            .write::<_, StoreError>(|record| rows.iter().try_for_each(|row| record.put_order(row)))?)
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
            is_account_new: false,
        }
    }

    pub(super) fn orders(&self, name: &str) -> Result<Vec<OrderRow>, CertificateError> {
        let mut orders = self.store.read::<_, StoreError>(|view| view.orders())?;
        orders.retain(|row| row.names.primary() == name);
        Ok(orders)
    }

    /// The names of the certificates that are ordered.
    pub(super) fn ordered(&self) -> Result<BTreeSet<String>, CertificateError> {
        let orders = self.store.read::<_, StoreError>(|view| view.orders())?.into_iter();
        Ok(orders.map(|row| row.names.primary().to_owned()).collect())
    }

    /// Ends the orders for a name. What cannot be removed now is removed at the next start.
    fn give_up(&self, name: &str) {
        if let Err(error) = self.clear(name) {
            tracing::warn!(name, %error, "something of an order stays");
        }
    }

    /// First the record: files without an order are removed at the next start, an order without its files would have to be begun anew.
    fn clear(&self, name: &str) -> Result<(), CertificateError> {
        self.store.write(|record| record.remove_orders(name))?;
        self.files.clear_pending(name)
    }
}

fn begun(names: Names, key: KeyKind, proof: Option<Proof>, now_s: u64) -> OrderRow {
    OrderRow {
        names,
        key,
        proof,
        begun_at_s: now_s,
        step: Step::Begun,
        url: None,
        failures: 0,
        retry_at_s: None,
    }
}
