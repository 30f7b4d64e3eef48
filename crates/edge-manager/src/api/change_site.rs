//! Changing what HAProxy runs, and telling of it.

use serde::Serialize;

use super::App;
use crate::access::Caller;
use crate::clock::now_us;
use crate::configuration::Published;
use crate::events::Topic;
use crate::json::Enforced;
use crate::sites::{Preview, Sites, SitesError};

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
    pub fn change_site<T: AsRef<Published>>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&Sites) -> Result<T, SitesError>,
    ) -> Result<T, SitesError> {
        let done = work(&self.sites);
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
