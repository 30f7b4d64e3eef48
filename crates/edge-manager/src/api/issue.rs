//! Getting certificates, having HAProxy use them, and telling of it.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::App;
use crate::access::Caller;
use crate::certificates::{CertificateError, Installed, Names, Warning, Wish};
use crate::clock::{now_s, now_us, zoneless};
use crate::events::Topic;
use crate::haproxy::{Control, Enforcement, Replacement, replace_certificates};
use crate::store::{DONE, Deed, StoreError};

/// A certificate that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its names.
    pub names: Names,
    /// What HAProxy is told for it.
    pub path: PathBuf,
    /// Its end, where it was there already and is to stay.
    pub lasts_until_s: Option<u64>,
    /// Whether HAProxy uses it.
    pub enforcement: Enforcement,
}

/// Who wants what, for the audit.
#[derive(Clone, Copy)]
struct Deal<'a> {
    caller: &'a Caller,
    operation: &'static str,
    names: &'a Names,
}

impl<'a> Deal<'a> {
    fn deed(&self, result: &'a str, began: Instant, began_us: u64) -> Deed<'a> {
        let Self { caller, operation, names } = *self;
        Deed { caller, operation, target: names.primary(), result, at_us: began_us, took: began.elapsed() }
    }
}

impl App {
    /// Gets a certificate, and has HAProxy use it; unless `is_forced`, only where there is none that lasts. Takes as long as the
    /// ACME server takes: for [`App::ordering`].
    ///
    /// # Errors
    /// There is none to be had; what HAProxy uses it uses still.
    pub fn issue(&self, caller: &Caller, wish: &Wish, is_forced: bool) -> Result<Issued, CertificateError> {
        self.known_domain(wish.names.primary())?;
        if !is_forced && let Some(until_s) = self.certificates.lasting(wish, now_s().into())? {
            if self.certificates.is_unread(wish.names.primary())? {
                return self.go_on_with_certificate(caller, &wish.names);
            }
            let (names, path) = (wish.names.clone(), self.certificates.path(&wish.names));
            // It may have been got for a domain that is new.
            let enforcement = match self.sites.lacks_certificate(names.all(), &path)? {
                true => self.name_in_site(caller, &names, &path)?.enforcement,
                false => Enforcement::InForce,
            };
            return Ok(Issued { names, path, lasts_until_s: Some(until_s), enforcement });
        }
        let deal = Deal { caller, operation: "certificate.request", names: &wish.names };
        self.get(deal, || self.certificates.obtain(wish))
    }

    /// Has HAProxy use a certificate that an operator brought.
    ///
    /// # Errors
    /// It cannot be used; what HAProxy uses it uses still.
    pub fn take_certificate(
        &self,
        caller: &Caller,
        names: Names,
        text: &str,
    ) -> Result<Issued, CertificateError> {
        self.known_domain(names.primary())?;
        let deal = Deal { caller, operation: "certificate.upload", names: &names };
        self.get(deal, || self.certificates.take(&names, text, now_s().into()))
    }

    /// Orders a certificate for a domain, and says which TXT records prove control of it.
    ///
    /// # Errors
    /// There is no such domain, or the server does not take the order.
    pub fn propose_certificate(
        &self,
        caller: &Caller,
        names: Names,
    ) -> Result<Vec<(String, String)>, CertificateError> {
        self.known_domain(names.primary())?;
        let deal = Deal { caller, operation: "certificate.propose", names: &names };
        let (began, began_us) = (Instant::now(), now_us());
        let proposed = self.certificates.propose(names.clone());
        let result = proposed.as_ref().map_or_else(ToString::to_string, |_| DONE.to_owned());
        self.note(deal.deed(&result, began, began_us));
        let outcome = match &proposed {
            Ok(_) => Outcome::Proposed,
            Err(error) => Outcome::Failed { error: error.to_string() },
        };
        self.tell(deal, outcome);
        let records = proposed?;
        Ok(records.into_iter().map(|record| (record.name, record.value)).collect())
    }

    /// Goes on with an order that waits for somebody, or whose process has ended.
    ///
    /// # Errors
    /// There is none; otherwise as [`App::issue`].
    pub fn go_on_with_certificate(&self, caller: &Caller, names: &Names) -> Result<Issued, CertificateError> {
        let deal = Deal { caller, operation: "certificate.order", names };
        self.get(deal, || self.certificates.go_on_with(names.primary()))
    }

    /// Goes on with what is ordered and renews what is due, one after the other; `is_patient`: but for what failed just now. What
    /// became of each.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn renew_certificates(
        &self,
        caller: &Caller,
        is_patient: bool,
    ) -> Result<Vec<Result<Issued, CertificateError>>, CertificateError> {
        self.certificates.end_old_orders(now_s().into())?;
        let open = self.certificates.open_orders(is_patient, now_s().into())?;
        let mut done: Vec<_> = open.iter().map(|names| self.go_on_with_certificate(caller, names)).collect();
        for wish in self.certificates.due(is_patient, now_s().into())? {
            if is_patient && self.certificates.is_paused(now_s().into()) {
                break;
            }
            let deal = Deal { caller, operation: "certificate.renew", names: &wish.names };
            done.push(self.get(deal, || self.certificates.obtain(&wish)));
        }
        // What somebody else is at, or has ended meanwhile, is no matter of this call.
        done.retain(|done| !matches!(done, Err(CertificateError::Busy(_) | CertificateError::None(_))));
        Ok(done)
    }

    /// Removes a certificate that no domain names.
    ///
    /// # Errors
    /// There is none, a domain names it, or it cannot be removed.
    pub fn remove_certificate(&self, caller: &Caller, names: &Names) -> Result<(), CertificateError> {
        let deal = Deal { caller, operation: "certificate.remove", names };
        self.certificates.remove(names, &deal.deed(DONE, Instant::now(), now_us()))?;
        self.tell(deal, Outcome::Removed);
        Ok(())
    }

    /// All that the clock does for certificates: warns of what ends, goes on with what is ordered, renews what is due. What one of these
    /// meets does not keep the others from being done.
    pub fn look_after_certificates(&self) {
        let caller = Caller::manager();
        let said = |step: &str, done: Result<(), CertificateError>| {
            if let Err(error) = done {
                tracing::error!(step, %error, "certificates are not looked after");
            }
        };
        said("warn of what ends", self.warn(&caller));
        said("put stand-ins", self.certificates.stand_in(now_s().into()));
        said("ask when to renew", self.certificates.ask_when(now_s().into()));
        said("order and renew", self.renew_certificates(&caller, true).map(drop));
    }

    fn warn(&self, caller: &Caller) -> Result<(), CertificateError> {
        for Warning { certificate, ends_at_s, days } in self.certificates.warnings(now_s().into())? {
            let end = zoneless(ends_at_s);
            tracing::warn!(certificate, %end, days, "a certificate is about to end");
            self.metrics.count_expiry_warning(days);
            let outcome = Outcome::Expires { end, days };
            let told = Told { certificate: &certificate, by: &caller.name, outcome };
            self.events.tell(Topic::Certificates, &told, now_us());
        }
        Ok(())
    }

    /// Gets a certificate by `work`, has HAProxy use it, and tells of it. One that HAProxy does not take is taken back.
    fn get(
        &self,
        deal: Deal<'_>,
        work: impl FnOnce() -> Result<Installed, CertificateError>,
    ) -> Result<Issued, CertificateError> {
        let (began, began_us) = (Instant::now(), now_us());
        let caller = deal.caller;
        let done = work().and_then(|installed| {
            let enforcement = self.put_in_force(caller, &installed);
            let enforcement = enforcement.inspect_err(|error| {
                if let Err(error) = self.certificates.undo(&installed, error) {
                    tracing::error!(%error, "the certificate before is not in its place");
                }
            })?;
            let lack = match &enforcement {
                Enforcement::StoredNotEnforced { reason } if self.tells_haproxy() => {
                    Some(CertificateError::NotInForce(reason.clone()))
                }
                _ => None,
            };
            self.certificates.settle(&installed, lack.as_ref(), &deal.deed(DONE, began, began_us))?;
            let Installed { names, path, .. } = &installed;
            Ok(Issued { names: names.clone(), path: path.clone(), lasts_until_s: None, enforcement })
        });
        if matches!(done, Err(CertificateError::Busy(_) | CertificateError::None(_))) {
            return done;
        }
        let outcome = match &done {
            Ok(_) => Outcome::Done,
            Err(error) => {
                let error = error.to_string();
                self.note(deal.deed(&error, began, began_us));
                Outcome::Failed { error }
            }
        };
        self.metrics.count_certificate(done.is_ok());
        self.tell(deal, outcome);
        done
    }

    /// Puts into the audit what changes nothing else of the record.
    fn note(&self, deed: Deed<'_>) {
        if self.store.write::<_, StoreError>(|record| record.note(&deed)).is_err() {
            let Deed { caller, operation, target, result, .. } = deed;
            tracing::error!(caller = %caller.name, operation, what = target, result, "not in the audit");
        }
    }

    fn tell(&self, deal: Deal<'_>, outcome: Outcome) {
        let told = Told { certificate: deal.names.primary(), by: &deal.caller.name, outcome };
        self.events.tell(Topic::Certificates, &told, now_us());
    }

    /// Otherwise it is for whoever runs HAProxy to have it read new files.
    fn tells_haproxy(&self) -> bool {
        !matches!(self.sites.configuration().control(), Control::Nobody)
    }

    /// Without a reload where each worker has the files already.
    fn put_in_force(&self, caller: &Caller, installed: &Installed) -> Result<Enforcement, CertificateError> {
        let Installed { names, path, files, .. } = installed;
        if self.sites.lacks_certificate(names.all(), path)? {
            let published = self.name_in_site(caller, names, path)?;
            if published.is_changed {
                return Ok(published.enforcement);
            }
        }
        let texts: Vec<String> = files.iter().map(|(_, bundle)| bundle.pem()).collect();
        let replacements: Vec<_> = files
            .iter()
            .zip(&texts)
            .map(|((file, bundle), pem)| Replacement { file, pem, serial: &bundle.leaf().serial })
            .collect();
        let replaced = {
            let _alone = self.replacing.lock();
            replace_certificates(&self.sockets, &replacements)
        };
        match replaced {
            Ok(()) => Ok(Enforcement::InForce),
            Err(why) => {
                tracing::info!(
                    certificate = names.primary(),
                    why,
                    "HAProxy reads its certificates again by a reload"
                );
                let reloaded = self.change_site(caller, |sites| sites.reload(caller, now_us()));
                reloaded
                    .map(|published| published.enforcement)
                    .map_err(|error| CertificateError::NotInForce(error.to_string()))
            }
        }
    }

    fn name_in_site(
        &self,
        caller: &Caller,
        names: &Names,
        path: &std::path::Path,
    ) -> Result<crate::configuration::Published, CertificateError> {
        let named =
            self.change_site(caller, |sites| sites.put_certificate(caller, names.all(), path, now_us()));
        named
            .map(|changed| changed.published)
            .map_err(|error| CertificateError::NotInForce(error.to_string()))
    }

    fn known_domain(&self, name: &str) -> Result<(), CertificateError> {
        match self.store.read::<_, StoreError>(|view| view.domain_id(name))? {
            Some(_) => Ok(()),
            None => Err(CertificateError::UnknownDomain(name.to_owned())),
        }
    }
}

/// What listeners hear.
#[derive(Serialize)]
struct Told<'a> {
    certificate: &'a str,
    by: &'a str,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
enum Outcome {
    Done,
    /// Somebody is to put proofs into DNS.
    Proposed,
    Removed,
    Failed {
        error: String,
    },
    Expires {
        end: String,
        days: u32,
    },
}
