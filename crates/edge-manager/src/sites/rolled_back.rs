//! Going back to an earlier configuration, and staying there.
//!
//! The record of what was said goes back too: the next change is made to what HAProxy serves, not to what was at fault. That
//! somebody went back is noted before HAProxy is told, and taken back with the next change that is recorded: whoever is killed
//! in between, the next start finds it.

use super::wish::Wish;
use super::{SiteRecord, Sites, SitesError};
use crate::access::Caller;
use crate::configuration::Published;
use crate::store::{DONE, StoreError};

impl Sites {
    /// Publishes an earlier configuration, and lets the record have what that was made from, where it is known.
    ///
    /// # Errors
    /// There is no such configuration, or HAProxy does not take it; the record cannot be written.
    pub fn roll_back(&self, caller: &Caller, set: u64, now_us: u64) -> Result<Published, SitesError> {
        let _changing = self.changing.lock();
        let target = format!("set {set}");
        let wish = Wish::new(caller, "configuration.rollback", &target, now_us);
        let before = self.store.read(|view| view.rolled_back())?;
        self.store.write::<_, StoreError>(|record| record.set_rolled_back(Some(set)))?;
        match self.configuration.roll_back(set, &caller.name) {
            Ok(published) => {
                self.go_back_to(set, &published, Some(wish))?;
                Ok(published)
            }
            Err(error) => {
                self.store.write::<_, StoreError>(|record| record.set_rolled_back(before))?;
                let refused = Err(error);
                self.note(wish, &refused);
                Ok(refused?)
            }
        }
    }

    /// Has HAProxy run what somebody went back to; `None` where nobody did, or HAProxy does not take it any more.
    pub(super) fn start_rolled_back(&self) -> Result<Option<Published>, SitesError> {
        self.listen_as_recorded();
        let (noted, repeats) = (self.store.read(|view| view.rolled_back())?, self.configuration.repeats()?);
        let Some(set) = noted.or(repeats) else { return Ok(None) };
        tracing::warn!(set, "somebody went back to it: it stays until the next change");
        let upheld = if repeats == Some(set) {
            self.configuration.uphold()
        } else {
            // Whoever published another one, or went back, was killed before that was recorded.
            self.configuration.roll_back(set, &Caller::manager().name)
        };
        match upheld {
            Ok(published) => {
                self.go_back_to(set, &published, None)?;
                Ok(Some(published))
            }
            Err(error) => {
                tracing::error!(set, %error, "it cannot stay: what the record says is published");
                Ok(None)
            }
        }
    }

    /// Lets the record have what this configuration was made from, which is in force again.
    fn go_back_to(&self, set: u64, published: &Published, wish: Option<Wish<'_>>) -> Result<(), SitesError> {
        let kept = self.configuration.numbers().unwrap_or_default();
        self.store.write(|record| {
            match record.site_version(set)? {
                Some(site) => {
                    record.set_site(&site)?;
                    record.set_site_version(published.set, &site, &kept)?;
                }
                None => tracing::warn!(
                    set,
                    "what it was made from is not known, since an earlier version made it: the next change is made to what the \
                     record says"
                ),
            }
            record.set_rolled_back(Some(set))?;
            if let Some(wish) = wish {
                record.note(&wish.deed(DONE))?;
            }
            Ok(())
        })
    }

    /// Notes what was published by itself. HAProxy runs it: that it cannot be noted is logged, and no reason to tell anything
    /// else.
    pub(super) fn note_version(&self, published: &Published, site: &SiteRecord) {
        let note = || {
            let kept = self.configuration.numbers()?;
            self.store.write(|record| {
                record.set_site_version(published.set, site, &kept)?;
                Ok::<_, SitesError>(record.set_rolled_back(None)?)
            })
        };
        if let Err(error) = note() {
            tracing::error!(set = published.set, %error, "what the configuration was made from is not noted");
        }
    }
}
