//! Changing what HAProxy runs, and telling of it.

use std::time::Duration;

use serde::Serialize;

use super::App;
use crate::access::Caller;
use crate::clock::now_us;
use crate::configuration::Published;
use crate::events::Topic;
use crate::haproxy::Enforcement;
use crate::json::Enforced;
use crate::sites::{Preview, Sites, SitesError};

/// Between two looks whether HAProxy is back that did not answer when a configuration was stored, and after one that it did not
/// take.
const UPHOLD_EVERY: Duration = Duration::from_secs(1);
const UPHOLD_AGAIN: Duration = Duration::from_secs(60);

impl App {
    /// Makes a change that was looked at. As [`App::change_site`].
    ///
    /// # Errors
    /// Those of the change.
    pub fn make(&self, caller: &Caller, change: Preview) -> Result<Published, SitesError> {
        let now_us = now_us();
        Ok(match change {
            Preview::Domain(domain) => {
                self.change_site(caller, |sites| sites.put_domain(caller, domain, now_us))?.published
            }
            Preview::Backend(backend) => {
                self.change_site(caller, |sites| sites.put_backend(caller, *backend, now_us))?.published
            }
            Preview::Site(site) => {
                self.change_site(caller, |sites| sites.put_site(caller, *site, now_us))?.published
            }
            Preview::Global(global) => {
                self.change_site(caller, |sites| sites.put_global(caller, *global, now_us))?.published
            }
        })
    }

    /// Publishes by `work`, counts it, and lets whoever listens to events hear of it. What was refused before HAProxy was
    /// asked, such as a value that cannot be taken, is no publication. For [`App::publishing`].
    ///
    /// # Errors
    /// Those of `work`.
    pub fn change_site<T: AsRef<Published> + AsMut<Published>>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&Sites) -> Result<T, SitesError>,
    ) -> Result<T, SitesError> {
        let mut done = work(&self.sites);
        if let Ok(published) = &mut done {
            self.hold_to_rules(published.as_mut());
        }
        let outcome = match &done {
            Ok(published) => {
                let Published { set, is_changed, enforcement, .. } = published.as_ref();
                Outcome::Done { set: *set, is_changed: *is_changed, enforcement: enforcement.into() }
            }
            Err(error @ (SitesError::Publication(_) | SitesError::Record(_))) => {
                Outcome::Failed { error: error.to_string() }
            }
            Err(_) => return done,
        };
        self.metrics.count_reload(done.is_ok());
        self.events.tell(Topic::Configuration, &Told { by: &caller.name, outcome }, now_us());
        done
    }
}

impl App {
    /// A new worker has read all rules from the files: that it runs the configuration does not say that it has them.
    fn hold_to_rules(&self, published: &mut Published) {
        if published.enforcement != Enforcement::InForce || !published.has_filter {
            return;
        }
        // Of what it has read.
        if let Some(damage) = self.rules.inspect(true, now_us()) {
            tracing::error!(
                damage,
                "the state directory is not what was written: all rules are written anew"
            );
            match self.rules.rewrite(now_us()) {
                Ok(_) => self.metrics.count_repair(),
                Err(error) => tracing::error!(%error, "all rules cannot be written anew"),
            }
        }
        let enforcement = match self.rules.mark() {
            Some(mark) => self.enforce_revision(mark.revision),
            None => Enforcement::StoredNotEnforced { reason: "the state directory is damaged".to_owned() },
        };
        if let Enforcement::StoredNotEnforced { reason } = enforcement {
            let reason = format!("HAProxy runs the configuration, and has not all rules yet: {reason}");
            published.enforcement = Enforcement::StoredNotEnforced { reason };
        }
    }

    /// Has HAProxy run the configuration in force, where it did not answer when that was stored, and does now. What becomes of it
    /// is in the log. How long to wait until the next look.
    pub fn uphold_when_there(&self) -> Duration {
        if !self.sites.configuration().waits_for_haproxy() || !self.watch.is_running() {
            return UPHOLD_EVERY;
        }
        match self.change_site(&Caller::manager(), |sites| sites.uphold()) {
            Ok(Published { set, enforcement: Enforcement::InForce, .. }) => {
                tracing::info!(set, "HAProxy answers again, and runs it")
            }
            Ok(Published { set, enforcement: Enforcement::StoredNotEnforced { reason }, .. }) => {
                tracing::warn!(set, %reason, "HAProxy does not run it yet");
            }
            Err(error) => {
                tracing::error!(%error, "the configuration that was stored is not in force; it is tried again in a minute");
                self.sites.configuration().wait_for_haproxy();
                return UPHOLD_AGAIN;
            }
        }
        UPHOLD_EVERY
    }
}

/// What listeners hear.
#[derive(Serialize)]
struct Told<'a> {
    by: &'a str,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
enum Outcome {
    Done {
        set: u64,
        /// Whether its files differ from those before.
        is_changed: bool,
        enforcement: Enforced,
    },
    Failed {
        error: String,
    },
}
