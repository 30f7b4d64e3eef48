//! Getting certificates, having HAProxy use them, and telling of it.

use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde::Serialize;

use super::App;
use crate::access::Caller;
use crate::certificates::{CertificateError, Installed, Names, Wish};
use crate::clock::{now_s, now_us};
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
        self.get(deal, || self.certificates.take(names.clone(), text, now_s().into()))
    }

    /// Orders a certificate for a domain, and says which TXT records prove control of it.
    ///
    /// # Errors
    /// There is no such domain, or the server does not take the order.
    pub fn propose_certificate(&self, names: Names) -> Result<Vec<(String, String)>, CertificateError> {
        self.known_domain(names.primary())?;
        let records = self.certificates.propose(names)?;
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
            let deal = Deal { caller, operation: "certificate.renew", names: &wish.names };
            done.push(self.get(deal, || self.certificates.obtain(&wish)));
        }
        // What somebody else is at, or has ended meanwhile, is no matter of this call.
        done.retain(|done| !matches!(done, Err(CertificateError::Busy(_) | CertificateError::None(_))));
        Ok(done)
    }

    /// All that the clock does for certificates: goes on with what is ordered, renews what is due, warns of what ends.
    pub fn look_after_certificates(&self) {
        let look = || {
            let caller = Caller::manager();
            self.certificates.stand_in(now_s().into())?;
            self.certificates.ask_when(now_s().into())?;
            self.renew_certificates(&caller, true)?;
            for (names, at_s, days) in self.certificates.warnings(now_s().into())? {
                let (name, end) = (names.primary(), time(at_s));
                tracing::warn!(certificate = name, %end, days, "a certificate is about to end");
                self.metrics.count_expiry_warning(days);
                let told =
                    Told { certificate: name, by: &caller.name, outcome: Outcome::Expires { end, days } };
                self.events.tell(Topic::Certificates, &told, now_us());
            }
            Ok::<_, CertificateError>(())
        };
        if let Err(error) = look() {
            tracing::error!(%error, "certificates are not looked after");
        }
    }

    /// Gets a certificate by `work`, has HAProxy use it, and tells of it. One that HAProxy does not take is taken back.
    fn get(
        &self,
        deal: Deal<'_>,
        work: impl FnOnce() -> Result<Installed, CertificateError>,
    ) -> Result<Issued, CertificateError> {
        let (began, began_us) = (Instant::now(), now_us());
        let Deal { caller, operation, names } = deal;
        let deed = |result| Deed {
            caller,
            operation,
            target: names.primary(),
            result,
            at_us: began_us,
            took: began.elapsed(),
        };
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
            self.certificates.settle(&installed, lack.as_ref(), &deed(DONE))?;
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
                let noted = self.store.write::<_, StoreError>(|record| record.note(&deed(&error)));
                if noted.is_err() {
                    tracing::error!(caller = %caller.name, operation, what = names.primary(), error, "not in the audit");
                }
                Outcome::Failed { error }
            }
        };
        self.metrics.count_certificate(done.is_ok());
        let told = Told { certificate: names.primary(), by: &caller.name, outcome };
        self.events.tell(Topic::Certificates, &told, now_us());
        done
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
        match replace_certificates(&self.sockets, &replacements) {
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
    Failed { error: String },
    Expires { end: String, days: u32 },
}

/// As 2024-12-31T23:59:59, in UTC.
pub(super) fn time(at_s: u64) -> String {
    // No later time has four digits of the year.
    let at_s = at_s.min(253_402_300_799);
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at_s)).to_string();
    text.trim_end_matches('Z').to_owned()
}
