//! What is looked at before it is changed, and the operator's templates.

use super::wish::Wish;
use super::{NewDomain, Sites, SitesError};
use crate::access::Caller;
use crate::configuration::Published;
use crate::site::words::TemplateName;
use crate::site::{BackendInput, FieldError, GlobalInput, SiteInput};

/// A change that can be looked at before it is made.
#[derive(Debug)]
pub enum Preview {
    /// A domain, as [`Sites::put_domain`] takes it.
    Domain(NewDomain),
    /// A backend, as [`Sites::put_backend`] takes it.
    Backend(Box<BackendInput>),
    /// What holds for all backends, as [`Sites::put_global`] takes it.
    Global(Box<GlobalInput>),
    /// Everything, as [`Sites::put_site`] takes it.
    Site(Box<SiteInput>),
}

impl Sites {
    /// What a change would publish. Nothing changes.
    ///
    /// # Errors
    /// Those of the change, but for what only a reload shows.
    pub fn preview(&self, caller: &Caller, change: Preview) -> Result<String, SitesError> {
        let before = self.recorded()?;
        let mut record = before.clone();
        match change {
            Preview::Domain(domain) => record.put_domain(domain).map(drop)?,
            Preview::Backend(backend) => drop(record.put_backend(*backend)),
            Preview::Global(global) => record.input.global = *global,
            Preview::Site(site) => record.replace(*site),
        }
        // HAProxy, which checks it, executes what it names.
        let site = self.allowed(caller, &before, &record)?;
        Ok(self.configuration.check(&site)?.diff)
    }

    /// What a template of the operator in the place of the one of its name, or none there, would change. Nothing changes.
    ///
    /// # Errors
    /// It is none, or the site with it is refused.
    pub fn preview_template(&self, name: &str, source: Option<&str>) -> Result<String, SitesError> {
        Ok(self.configuration.check_template(&self.site()?, &template_name(name)?, source)?.diff)
    }

    /// Puts a template of the operator in the place of the one of its name, or takes it away, and publishes the site with it.
    ///
    /// # Errors
    /// It is none, or the site with it is refused; then the template is as it was.
    pub fn put_template(
        &self,
        caller: &Caller,
        name: &str,
        source: Option<&str>,
        now_us: u64,
    ) -> Result<Published, SitesError> {
        let template = template_name(name)?;
        let _changing = self.changing.lock();
        let recorded = self.recorded()?;
        let site = self.parse(&recorded.input)?;
        // First, so that a bad one is never in the directory, from where a start reads it.
        self.configuration.check_template(&site, &template, source)?;
        let operation = if source.is_some() { "template.put" } else { "template.remove" };
        let wish = Wish::new(caller, operation, template.as_str(), now_us);
        let before = self.configuration.write_template(&template, source)?;
        let published = self.configuration.publish(&site, &caller.name);
        if published.is_err() {
            self.configuration.write_template(&template, before.as_deref())?;
        }
        self.note(wish, &published);
        let published = published?;
        self.note_version(&published, &recorded);
        Ok(published)
    }
}

fn template_name(name: &str) -> Result<TemplateName, SitesError> {
    name.parse().map_err(|reason| FieldError::new("template".into(), name, reason).into())
}
