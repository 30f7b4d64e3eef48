//! One order (RFC 8555, section 7.4): from any step to a certificate.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeStatus, ChallengeType, Error, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use tokio::time::sleep;

use super::authority::{Authority, identifier, is_passing, kind, shown, text};
use super::challenge::{DnsSettings, Record};
use super::{Answers, Bundle, BundleError, CertificateError, Files, Leaf, Proof};
use crate::clock::now_s;
use crate::store::{OrderRow, Store};

/// How often an order is taken up again where something passing went wrong, and how long is waited for that at most.
const MAX_ATTEMPTS: u32 = 8;
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// How the library begins to say that the answer to an order does not repeat what the order takes the place of.
const NOT_REPEATED: &str = "replaces field mismatch";

/// How the server is asked whether it has looked at the proofs, or signed: RFC 8555, section 7.5.1 wants no haste.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(200))
    .backoff(1.5)
    .timeout(Duration::from_secs(60));

/// How far an order has come. Each step is recorded when it is done, and what it left behind is on the disk then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is to be made.
    Begun,
    /// The server has it, under a URL that is recorded.
    Ordered,
    /// The certificate is in `pending/`.
    Issued,
    /// It is in its place; HAProxy may not have it yet.
    Installed,
}

impl Step {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Ordered => "ordered",
            Self::Issued => "issued",
            Self::Installed => "installed",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Step {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut all = [Self::Begun, Self::Ordered, Self::Issued, Self::Installed].into_iter();
        all.find(|step| step.name() == text).ok_or("no such step")
    }
}

/// An order that is under way, and all that it needs.
pub(super) struct Errand<'a> {
    pub(super) store: &'a Store,
    pub(super) files: &'a Files,
    pub(super) authority: Authority,
    pub(super) answers: &'a Answers,
    pub(super) dns: &'a DnsSettings,
    pub(super) row: OrderRow,
    /// What it takes the place of.
    pub(super) replaced: Option<Leaf>,
    /// Whether a new account was made since the server did not know ours; once is enough.
    pub(super) is_account_new: bool,
}

impl Errand<'_> {
    /// Gets the certificate.
    pub(super) async fn run(&mut self) -> Result<Bundle, CertificateError> {
        self.patiently(Self::attempt).await
    }

    /// What passes soon is waited for; taking it up again is the same as after a kill.
    async fn patiently<T>(
        &mut self,
        attempt: impl AsyncFn(&mut Self) -> Result<T, CertificateError>,
    ) -> Result<T, CertificateError> {
        let mut attempts = 0;
        loop {
            let error = match attempt(self).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            attempts += 1;
            let pause = pause(&error, attempts, now_s().into()).ok_or(error)?;
            sleep(pause).await;
        }
    }

    /// What somebody has to put into DNS before [`Errand::run`] has any prospect.
    pub(super) async fn records(&mut self) -> Result<Vec<Record>, CertificateError> {
        self.patiently(Self::wanted).await
    }

    async fn wanted(&mut self) -> Result<Vec<Record>, CertificateError> {
        let account = self.authority.account(self.files, false).await?;
        let mut order = self.order(&account).await?;
        let mut records = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.authority.trouble(error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = authorization.identifier().to_string();
            if let Some(challenge) = authorization.challenge(ChallengeType::Dns01) {
                records.push(Record::of(&name, challenge.key_authorization().dns_value()));
            }
        }
        Ok(records)
    }

    async fn attempt(&mut self) -> Result<Bundle, CertificateError> {
        let account = self.authority.account(self.files, false).await?;
        let is_resumed = self.row.url.is_some();
        let mut order = self.order(&account).await?;
        if is_resumed && self.row.proof == Some(Proof::Dns) {
            self.remove_obsolete(&mut order).await?;
        }
        let key = self.files.order_key(self.row.names.primary(), self.row.key)?;
        let chain = loop {
            let done = match order.state().status {
                OrderStatus::Pending => self.prove(&mut order).await.map(|()| None)?,
                OrderStatus::Ready => {
                    let request = key.request(&self.row.names);
                    let request = request.map_err(|error| CertificateError::Invalid(error.to_string()))?;
                    let told = order.finalize_csr(&request).await;
                    told.map(|()| None).map_err(|error| self.authority.trouble(error))?
                }
                OrderStatus::Processing => {
                    let polled = order.poll_certificate(&POLLING).await;
                    polled.map(Some).map_err(|error| self.authority.trouble(error))?
                }
                OrderStatus::Valid => {
                    order.certificate().await.map_err(|error| self.authority.trouble(error))?
                }
                OrderStatus::Invalid => return Err(self.refusal(&mut order).await),
            };
            if let Some(chain) = done {
                break chain;
            }
        };
        match Bundle::parse(&[&*chain, "\n", &key.pem()].concat()) {
            Ok(bundle) => {
                bundle.check(self.row.names.all(), now_s().into())?;
                Ok(bundle)
            }
            // The key that it was ordered with is gone: this order leads nowhere.
            Err(BundleError::KeyMismatch) => {
                self.note(Step::Begun, None)?;
                Err(passing(BundleError::KeyMismatch.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The order at the server: the one that is recorded, or a new one.
    async fn order(&mut self, account: &Account) -> Result<Order, CertificateError> {
        if let Some(url) = self.row.url.clone() {
            match account.order(url).await {
                Ok(mut order) => {
                    if order.state().status != OrderStatus::Invalid {
                        return Ok(order);
                    }
                }
                // The server has forgotten it.
                Err(Error::Api(problem)) if !is_passing(&problem) => {}
                Err(error) => return Err(self.authority.trouble(error)),
            }
            self.note(Step::Begun, None)?;
        }
        let names: Vec<Identifier> = self.row.names.all().iter().cloned().map(Identifier::Dns).collect();
        let replaced = self.replaced.as_ref().and_then(identifier);
        let made = match replaced {
            Some(id) => match account.new_order(&NewOrder::new(&names).replaces(id)).await {
                // Which order it takes the place of is a courtesy (RFC 9773, section 5): a server may not know of it, or not
                // like it.
                Err(Error::Unsupported(_)) => account.new_order(&NewOrder::new(&names)).await,
                Err(Error::Other(error)) if error.to_string().starts_with(NOT_REPEATED) => {
                    account.new_order(&NewOrder::new(&names)).await
                }
                Err(Error::Api(problem))
                    if matches!(kind(&problem), Some("alreadyReplaced" | "malformed")) =>
                {
                    account.new_order(&NewOrder::new(&names)).await
                }
                made => made,
            },
            None => account.new_order(&NewOrder::new(&names)).await,
        };
        match made {
            Ok(order) => {
                self.note(Step::Ordered, Some(order.url().to_owned()))?;
                Ok(order)
            }
            Err(Error::Api(problem))
                if kind(&problem) == Some("accountDoesNotExist") && !self.is_account_new =>
            {
                self.authority.account(self.files, true).await?;
                self.is_account_new = true;
                Err(passing(text(&problem)))
            }
            Err(error) => Err(self.authority.trouble(error)),
        }
    }

    /// Gives the proofs, has the server look at them, and takes them away again.
    async fn prove(&self, order: &mut Order) -> Result<(), CertificateError> {
        let (mut answering, mut records) = (Vec::new(), Vec::new());
        let proven = async {
            let mut authorizations = order.authorizations();
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization.map_err(|error| self.authority.trouble(error))?;
                if authorization.status != AuthorizationStatus::Pending {
                    continue;
                }
                let name = authorization.identifier().to_string();
                let challenge = authorization.challenge(self.challenge());
                let none = || {
                    let proof = self.row.proof.map_or("proof", Proof::name);
                    CertificateError::refused(format!("{name}: the server offers no {proof}"))
                };
                let challenge = challenge.ok_or_else(none)?;
                let answer = challenge.key_authorization();
                match self.row.proof {
                    Some(Proof::Http) => {
                        answering.push(self.answers.give(&challenge.token, answer.as_str()));
                    }
                    Some(Proof::Dns) => {
                        let record = Record::of(&name, answer.dns_value());
                        // Who fails may have set it.
                        records.push(record.clone());
                        self.dns.set(&record).await?;
                    }
                    Some(Proof::Manual) | None => {}
                }
            }
            if !records.is_empty() {
                sleep(self.dns.wait).await;
            }
            let mut authorizations = order.authorizations();
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization.map_err(|error| self.authority.trouble(error))?;
                let is_pending = authorization.status == AuthorizationStatus::Pending;
                if let Some(mut challenge) = authorization.challenge(self.challenge()).filter(|_| is_pending)
                    && challenge.status == ChallengeStatus::Pending
                {
                    challenge.set_ready().await.map_err(|error| self.authority.trouble(error))?;
                }
            }
            Ok::<_, CertificateError>(order.poll_ready(&POLLING).await)
        };
        let proven = proven.await;
        self.remove(&records).await;
        drop(answering);
        match proven? {
            Ok(OrderStatus::Invalid) => Err(self.refusal(order).await),
            Err(Error::Api(problem)) if !is_passing(&problem) => Err(self.refusal(order).await),
            Err(error) => Err(self.authority.trouble(error)),
            Ok(_) => Ok(()),
        }
    }

    /// Removes the records that the server has looked at for a process that was killed before it did.
    async fn remove_obsolete(&self, order: &mut Order) -> Result<(), CertificateError> {
        let mut records = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.authority.trouble(error))?;
            let (name, status) = (authorization.identifier().to_string(), authorization.status);
            if status != AuthorizationStatus::Pending
                && let Some(challenge) = authorization.challenge(ChallengeType::Dns01)
            {
                records.push(Record::of(&name, challenge.key_authorization().dns_value()));
            }
        }
        self.remove(&records).await;
        Ok(())
    }

    async fn remove(&self, records: &[Record]) {
        for record in records {
            if let Err(error) = self.dns.remove(record).await {
                tracing::warn!(%error, "a record that proves control stays in DNS");
            }
        }
    }

    /// Why the server has given the order up, as it says of each name.
    async fn refusal(&self, order: &mut Order) -> CertificateError {
        let mut reasons = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            // What is not known is not told.
            let _ = authorization.refresh().await;
            let name = authorization.identifier().to_string();
            let problems = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            reasons.extend(problems.map(|problem| format!("{name}: {}", text(problem))));
        }
        if reasons.is_empty() {
            let why = order.state().error.as_ref().map(text);
            reasons
                .push(why.unwrap_or_else(|| "the server gave the order up and does not say why".to_owned()));
        }
        CertificateError::refused(shown(&reasons.join("; ")))
    }

    fn challenge(&self) -> ChallengeType {
        match self.row.proof {
            Some(Proof::Http) => ChallengeType::Http01,
            Some(Proof::Dns | Proof::Manual) | None => ChallengeType::Dns01,
        }
    }

    fn note(&mut self, step: Step, url: Option<String>) -> Result<(), CertificateError> {
        (self.row.step, self.row.url) = (step, url);
        self.store.write(|record| record.put_order(&self.row))?;
        Ok(())
    }
}

fn passing(message: String) -> CertificateError {
    CertificateError::Authority { message, retry_at_s: None, is_passing: true }
}

/// How long to wait before the order is taken up again; `None`: not now.
fn pause(error: &CertificateError, attempts: u32, now_s: u64) -> Option<Duration> {
    let CertificateError::Authority { retry_at_s, is_passing: true, .. } = error else { return None };
    let wait = match retry_at_s {
        Some(at_s) => Duration::from_secs(at_s.saturating_sub(now_s)),
        None => Duration::from_millis(100) * attempts,
    };
    (attempts < MAX_ATTEMPTS && wait <= MAX_PAUSE).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_soon_is_waited_for() {
        let error = |retry_at_s, is_passing| CertificateError::Authority {
            message: String::new(),
            retry_at_s,
            is_passing,
        };
        assert_eq!(pause(&error(None, true), 2, 100), Some(Duration::from_millis(200)));
        assert_eq!(pause(&error(Some(103), true), 1, 100), Some(Duration::from_secs(3)));
        assert_eq!(pause(&error(Some(99), true), 1, 100), Some(Duration::ZERO));
        for lasting in [error(Some(121), true), error(None, false), CertificateError::Busy("a".into())] {
            assert_eq!(pause(&lasting, 1, 100), None, "{lasting:?}");
        }
        assert_eq!(pause(&error(None, true), MAX_ATTEMPTS, 100), None);
    }

    #[test]
    fn steps_are_in_their_order_and_have_one_word_each() {
        let all = [Step::Begun, Step::Ordered, Step::Issued, Step::Installed];
        assert!(all.is_sorted());
        for step in all {
            assert_eq!(step.name().parse(), Ok(step));
        }
    }
}
