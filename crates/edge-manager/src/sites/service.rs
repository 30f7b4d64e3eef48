//! One change at a time.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::wish::{Wish, shown};
use super::{Defaults, MergedSite, NewDomain, SiteRecord, SitesError, try_merge};
use crate::access::Caller;
use crate::caps::Caps;
use crate::certificates::Files;
use crate::clock::seconds;
use crate::configuration::{Configuration, Lack, Published};
use crate::site::{BackendInput, DomainInput, GlobalInput, Site, SiteInput, Text};
use crate::store::{Changes, DONE, Store, StoreError};
use crate::validation::Validation;

/// What haproxy.cfg is made of, and how it is changed.
///
/// A change is published, which HAProxy may refuse, and only then recorded. A process that is killed in between, or a record
/// that cannot be written, leaves HAProxy with more than the record has: the next start, or this one at once, publishes what
/// the record says. So nothing that was acknowledged is lost, and nothing that was refused stays.
#[derive(Debug)]
pub struct Sites {
    pub(super) store: Arc<Store>,
    pub(super) configuration: Configuration,
    pub(super) defaults: Defaults,
    /// Where the manager keeps certificates, if it does.
    certificates: Option<Files>,
    /// Where this program answers ACME validation.
    pub(super) validation: OnceLock<Arc<Validation>>,
    /// Held from reading the record to writing it.
    pub(super) changing: Mutex<()>,
}

/// A change that was made.
#[derive(Debug)]
pub struct Changed<T> {
    /// What it came to.
    pub value: T,
    /// How it was published.
    pub published: Published,
}

impl<T> AsRef<Published> for Changed<T> {
    fn as_ref(&self) -> &Published {
        &self.published
    }
}

impl<T> AsMut<Published> for Changed<T> {
    fn as_mut(&mut self) -> &mut Published {
        &mut self.published
    }
}

impl Sites {
    /// Of this record, published by this configuration.
    pub fn new(store: Arc<Store>, configuration: Configuration, defaults: Defaults) -> Self {
        let (validation, changing) = (OnceLock::new(), Mutex::default());
        Self { store, configuration, defaults, certificates: None, validation, changing }
    }

    /// With stand-ins for certificates that a change names and that are not among these files.
    #[must_use]
    pub fn standing_in(self, certificates: Files) -> Self {
        Self { certificates: Some(certificates), ..self }
    }

    /// How it is published.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Whether a change is being published at the moment.
    pub fn is_changing(&self) -> bool {
        self.changing.is_locked()
    }

    /// What operators said.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn input(&self) -> Result<SiteInput, StoreError> {
        Ok(self.recorded()?.input)
    }

    /// What is published: what operators said, and where they did not, what this program was started with.
    ///
    /// # Errors
    /// The record cannot be read, or has what an earlier version took.
    pub fn site(&self) -> Result<Site, SitesError> {
        self.parse(&self.recorded()?.input)
    }

    /// Publishes what the record says. At the first start, that is `global`, which is recorded then. Where somebody went back to
    /// an earlier set, that stays in force until the record is changed or published by hand, or HAProxy does not take it any more.
    ///
    /// # Errors
    /// As those of every change.
    pub fn start(&self, global: Option<GlobalInput>, now_us: u64) -> Result<Published, SitesError> {
        let is_new = self.store.read(|view| Ok::<_, StoreError>(view.site()?.is_none()))?;
        if is_new {
            let global = global.unwrap_or_default();
            return Ok(self.put_global(&Caller::manager(), global, now_us)?.published);
        }
        let _changing = self.changing.lock();
        // First of all: what follows may fail, and HAProxy has to start with something.
        self.configuration.recover()?;
        if let Some(published) = self.start_rolled_back()? {
            return Ok(published);
        }
        let recorded = self.recorded()?;
        let published = self.publish(&self.parse(&recorded.input)?, &Caller::manager().name)?;
        self.note_version(&published, &recorded);
        Ok(published)
    }

    /// Publishes what the record says once more, with a reload in any case: templates or certificates may have changed.
    ///
    /// # Errors
    /// As those of every change.
    pub fn regenerate(&self, caller: &Caller, now_us: u64) -> Result<Published, SitesError> {
        let _changing = self.changing.lock();
        let wish = Wish::new(caller, "configuration.regenerate", "site", now_us);
        let recorded = self.recorded()?;
        let site = self.parse(&recorded.input)?;
        self.listen(&site);
        let published = self.configuration.publish_anew(&site, &caller.name);
        self.note(wish, &published);
        let published = published?;
        self.note_version(&published, &recorded);
        Ok(published)
    }

    /// Has HAProxy read what is in force again: certificates and lists may have changed.
    ///
    /// # Errors
    /// HAProxy does not take it any more, and runs on with what it has.
    pub fn reload(&self, caller: &Caller, now_us: u64) -> Result<Published, SitesError> {
        let _changing = self.changing.lock();
        let reloaded = self.configuration.reload();
        self.note(Wish::new(caller, "configuration.reload", "haproxy", now_us), &reloaded);
        Ok(reloaded?)
    }

    /// Makes HAProxy run what the record says, or what somebody went back to, unless it does.
    ///
    /// # Errors
    /// As those of every change.
    pub fn uphold(&self) -> Result<Published, SitesError> {
        let _changing = self.changing.lock();
        match self.start_rolled_back()? {
            Some(published) => Ok(published),
            None => Ok(self.configuration.publish(&self.site()?, &Caller::manager().name)?),
        }
    }

    /// Serves a domain, and says its number.
    ///
    /// # Errors
    /// A value is refused, by this program or by HAProxy, or the record cannot be written.
    pub fn put_domain(
        &self,
        caller: &Caller,
        new: NewDomain,
        now_us: u64,
    ) -> Result<Changed<i64>, SitesError> {
        let target = shown(&new.domain);
        let wish = Wish::new(caller, "domain.put", &target, now_us);
        self.change_and(
            wish,
            |record| record.put_domain(new),
            // It was just written.
            |name, record| Ok(record.domain_id(&name)?.unwrap_or_default()),
        )
    }

    /// Serves a domain no longer: this one, or all names below it; where nobody says which, the one that is served.
    ///
    /// # Errors
    /// There is none, or as above.
    pub fn remove_domain(
        &self,
        caller: &Caller,
        domain: &Text,
        is_wildcard: Option<bool>,
        now_us: u64,
    ) -> Result<Changed<()>, SitesError> {
        let target = shown(domain);
        let wish = Wish::new(caller, "domain.remove", &target, now_us);
        self.change(wish, |record| record.remove_domain(domain, is_wildcard))
    }

    /// Whether a domain of one of these names is not served by TLS with the certificate of this path.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn lacks_certificate(&self, names: &[String], path: &Path) -> Result<bool, StoreError> {
        Ok(self.recorded()?.put_certificate(names, &path.display().to_string()))
    }

    /// Serves those of these names that are domains by TLS, with the certificate of this path.
    ///
    /// # Errors
    /// As above.
    pub fn put_certificate(
        &self,
        caller: &Caller,
        names: &[String],
        path: &Path,
        now_us: u64,
    ) -> Result<Changed<bool>, SitesError> {
        let target = shown(&names.join(" ").into());
        let wish = Wish::new(caller, "domain.certificate", &target, now_us);
        self.change(wish, |record| Ok(record.put_certificate(names, &path.display().to_string())))
    }

    /// Makes a backend, or replaces the one of its name. Whether it was made.
    ///
    /// # Errors
    /// As above.
    pub fn put_backend(
        &self,
        caller: &Caller,
        backend: BackendInput,
        now_us: u64,
    ) -> Result<Changed<bool>, SitesError> {
        let target = shown(&backend.name);
        let wish = Wish::new(caller, "backend.put", &target, now_us);
        self.change(wish, |record| Ok(record.put_backend(backend)))
    }

    /// Removes a backend.
    ///
    /// # Errors
    /// There is none, a domain needs it, or as above.
    pub fn remove_backend(
        &self,
        caller: &Caller,
        name: &str,
        now_us: u64,
    ) -> Result<Changed<()>, SitesError> {
        let target = shown(&name.into());
        let wish = Wish::new(caller, "backend.remove", &target, now_us);
        self.change(wish, |record| record.remove_backend(name))
    }

    /// Replaces what holds for all backends.
    ///
    /// # Errors
    /// As above.
    pub fn put_global(
        &self,
        caller: &Caller,
        global: GlobalInput,
        now_us: u64,
    ) -> Result<Changed<()>, SitesError> {
        let wish = Wish::new(caller, "global.put", "global", now_us);
        self.change(wish, |record| {
            record.input.global = global;
            Ok(())
        })
    }

    /// Replaces everything.
    ///
    /// # Errors
    /// As above.
    pub fn put_site(&self, caller: &Caller, site: SiteInput, now_us: u64) -> Result<Changed<()>, SitesError> {
        let wish = Wish::new(caller, "site.put", "site", now_us);
        self.change(wish, |record| {
            record.replace(site);
            Ok(())
        })
    }

    /// Adds the domains and backends that are not there by name.
    ///
    /// # Errors
    /// As above.
    pub fn merge(
        &self,
        caller: &Caller,
        domains: Vec<DomainInput>,
        backends: Vec<BackendInput>,
        now_us: u64,
    ) -> Result<Changed<MergedSite>, SitesError> {
        let target = format!("{} domains, {} backends", domains.len(), backends.len());
        let wish = Wish::new(caller, "site.import", &target, now_us);
        self.change(wish, |record| record.merge(domains, backends))
    }

    /// Whether [`Self::merge`] would take this: see [`try_merge`].
    ///
    /// # Errors
    /// As there.
    pub fn try_merge(
        &self,
        domains: Vec<DomainInput>,
        backends: Vec<BackendInput>,
    ) -> Result<Vec<Lack>, SitesError> {
        try_merge(self.recorded()?, &self.defaults, &self.configuration, domains, backends)
    }

    /// What would be published, were this what the database has. Nothing changes.
    ///
    /// # Errors
    /// A value cannot be taken.
    pub fn parse(&self, input: &SiteInput) -> Result<Site, SitesError> {
        Ok(self.defaults.parse(input, self.validation.get().map(Arc::as_ref))?)
    }

    pub(super) fn recorded(&self) -> Result<SiteRecord, StoreError> {
        self.store.read(|view| Ok(view.site()?.unwrap_or_default()))
    }

    fn change<T>(
        &self,
        wish: Wish<'_>,
        change: impl FnOnce(&mut SiteRecord) -> Result<T, SitesError>,
    ) -> Result<Changed<T>, SitesError> {
        self.change_and(wish, change, |value, _| Ok(value))
    }

    /// Makes a change; `then` finds in the record, in the same transaction, what it came to.
    fn change_and<T, U>(
        &self,
        wish: Wish<'_>,
        change: impl FnOnce(&mut SiteRecord) -> Result<T, SitesError>,
        then: impl FnOnce(T, &Changes<'_>) -> Result<U, SitesError>,
    ) -> Result<Changed<U>, SitesError> {
        let _changing = self.changing.lock();
        let before = self.recorded()?;
        let rolled_back = self.configuration.repeats()?;
        let mut after = before.clone();
        let value = change(&mut after)?;
        let site = self.allowed(wish.caller, &before, &after)?;
        self.check_room(&before, &after, wish.now_us)?;
        after.canonicalize();
        let certificates = self.certificates.as_ref();
        let stand_ins = certificates
            .map(|files| files.stand_in_for(&after.input.domains, seconds(wish.now_us).into()))
            .unwrap_or_default();
        let published = self.publish(&site, &wish.caller.name);
        if published.is_err() {
            // That it was refused is in the log too.
            self.note(wish, &published);
        }
        let published = published?;
        let kept = self.configuration.numbers().unwrap_or_default();
        let recorded = self.store.write(|record| {
            record.set_site(&after)?;
            record.set_site_version(published.set, &after, &kept)?;
            record.set_rolled_back(None)?;
            record.note(&wish.deed(DONE))?;
            then(value, record)
        });
        match recorded {
            Ok(value) => {
                stand_ins.keep();
                Ok(Changed { value, published })
            }
            Err(error) => {
                // What is not recorded must not stay in force. If this fails too, the next start does it.
                let by = &wish.caller.name;
                let _ = match rolled_back {
                    Some(set) => self.configuration.roll_back(set, by).map_err(SitesError::from),
                    None => self.parse(&before.input).and_then(|site| Ok(self.publish(&site, by)?)),
                };
                Err(error)
            }
        }
    }
}

impl Sites {
    /// Whether a filter that takes fewer rules than before takes all that are in force.
    fn check_room(&self, before: &SiteRecord, after: &SiteRecord, now_us: u64) -> Result<(), SitesError> {
        let max_rules = |record: &SiteRecord| Caps::of(record.input.global.filter.as_ref()).max_rules;
        let max = max_rules(after);
        if max >= max_rules(before) {
            return Ok(());
        }
        match self.store.read(|view| view.in_force(seconds(now_us)))? {
            rules if rules > u64::from(max) => Err(SitesError::NoRoom { max, rules }),
            _ => Ok(()),
        }
    }
}
