//! Who takes what was found elsewhere, and changes the site.

use std::env;
use std::io;
use std::os::unix::net::UnixStream;

use clap::Args;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::control;
use super::failure::Failure;
use super::places::{Hands, Places};
use super::publishing::Publishing;
use crate::access::Caller;
use crate::api::{DiffJson, ImportCheckJson, ImportCheckedJson, ImportJson, ImportedJson};
use crate::clock::now_us;
use crate::configuration::Lack;
use crate::haproxy::{Enforcement, enforce};
use crate::import::{Foreign, ForeignJson, ImportError};
use crate::json::{PublishedJson, StoredJson};
use crate::rules::{Applied, Change, Effect, Rules};
use crate::site::{BackendInput, DomainInput, SiteInput};
use crate::sites::{Merged, MergedSite, SiteRecord, Sites, SitesError, try_merge};
use crate::store::{Readers, StoreError};

/// Rules in one request to `serve`, which takes no more than 32 MiB: each is at most some 4 KiB as JSON.
const MAX_RULES_OF_REQUEST: usize = 5000;

/// Where everything is.
#[derive(Debug, Args)]
pub(super) struct Takes {
    #[command(flatten)]
    pub(super) places: Places,
    #[command(flatten)]
    publishing: Publishing,
}

/// Who changes the record.
pub(super) enum Taking {
    /// `serve`, over its control socket.
    Serve(UnixStream),
    /// This process, which has the record and the state directory.
    Own(Box<(Rules, Sites)>),
}

impl Takes {
    pub(super) fn open(&self) -> Result<Taking, Failure> {
        match self.places.hands()? {
            Hands::Serve(stream) => Ok(Taking::Serve(stream)),
            Hands::Own(store, rules) => {
                let Places { record, state_dir, sockets, .. } = &self.places;
                let files = sockets.iter().chain([&record.database]).cloned();
                let configuration = self.publishing.open()?.keeping_out_of([state_dir.clone()], files);
                let sites = Sites::new(store, configuration, self.publishing.defaults(&self.places));
                Ok(Taking::Own(Box::new((*rules, sites))))
            }
        }
    }
}

impl Takes {
    /// What would change in the files, were this everything that they are made of. Neither record nor state directory is
    /// needed for it.
    pub(super) fn preview(&self, site: &SiteInput) -> Result<String, Failure> {
        if let Some(stream) = control::connect(&self.places.control())? {
            let answer: DiffJson = send(stream, Method::PUT, "/api/site?dry_run=true", site)?;
            return Ok(answer.diff);
        }
        let defaults = self.publishing.defaults(&self.places);
        let parsed = defaults.parse(site, None).map_err(SitesError::from)?;
        // Where the record cannot be read, nothing was named before.
        let before = self.recorded().unwrap_or_default().input;
        defaults.paths.check_change(&before, site).map_err(SitesError::from)?;
        Ok(self.publishing.open()?.check(&parsed)?.diff)
    }

    /// What the record has, if it is there.
    fn recorded(&self) -> Result<SiteRecord, Failure> {
        let database = &self.places.record.database;
        let record = match database.exists() {
            true => Readers::open(database)?.read::<_, StoreError>(|view| view.site())?,
            false => None,
        };
        Ok(record.unwrap_or_default())
    }

    /// Makes this everything that the files are made of.
    pub(super) fn put_site(&self, site: SiteInput) -> Result<PublishedJson, Failure> {
        match self.open()? {
            Taking::Serve(stream) => send(stream, Method::PUT, "/api/site", &site),
            Taking::Own(own) => Ok(own.1.put_site(&Caller::command_line(), site, now_us())?.published.into()),
        }
    }

    /// What domains lack here, if they were to be merged with what is here; without any lack, all of it could be. Nothing
    /// changes, no record is made.
    pub(super) fn try_merge(
        &self,
        domains: Vec<DomainInput>,
        backends: Vec<BackendInput>,
    ) -> Result<Vec<Lack>, Failure> {
        if let Some(stream) = control::connect(&self.places.control())? {
            let check = ImportCheckJson { domains, backends };
            let checked: ImportCheckedJson = send(stream, Method::POST, "/api/import/check", &check)?;
            return Ok(checked.lacking);
        }
        let record = self.recorded()?;
        let dir = tempfile::tempdir().map_err(|error| ImportError::Io(env::temp_dir(), error))?;
        let configuration = self.publishing.open_in(dir.path())?;
        let defaults = self.publishing.defaults(&self.places);
        Ok(try_merge(record, &defaults, &configuration, domains, backends)?)
    }
}

/// Sends JSON to `serve`, and reads what it answers.
pub(super) fn send<T: DeserializeOwned>(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: &impl Serialize,
) -> Result<T, Failure> {
    let body = serde_json::to_vec(body).map_err(io::Error::from)?;
    control::send(stream, method, path, "application/json", body)
}

/// Takes what was found elsewhere.
pub(super) struct Taker<'t> {
    takes: &'t Takes,
    /// None where `serve` does it.
    own: Option<Box<(Rules, Sites)>>,
    /// Of the rules that this process has taken.
    revision: Option<u64>,
    lacks: Vec<String>,
}

impl<'t> Taker<'t> {
    pub(super) fn open(takes: &'t Takes) -> Result<Self, Failure> {
        let own = match takes.open()? {
            Taking::Serve(_) => None,
            Taking::Own(own) => Some(own),
        };
        Ok(Self { takes, own, revision: None, lacks: Vec::new() })
    }

    /// Domains and backends, as one change.
    pub(super) fn merge(
        &mut self,
        domains: Vec<DomainInput>,
        backends: Vec<BackendInput>,
    ) -> Result<MergedSite, Failure> {
        let Some(own) = &self.own else {
            return Ok(self.request(ImportJson { domains, backends, rules: Vec::new() })?.site);
        };
        let changed = own.1.merge(&Caller::command_line(), domains, backends, now_us())?;
        self.lack(changed.published.enforcement);
        Ok(changed.value)
    }

    /// Rules, as one change where this process makes it.
    pub(super) fn adopt(&mut self, rules: Vec<Foreign>) -> Result<Merged, Failure> {
        let Some(own) = &self.own else {
            let mut merged = Merged::default();
            for rules in rules.chunks(MAX_RULES_OF_REQUEST) {
                let rules = rules.iter().map(ForeignJson::of).collect();
                merged += self.request(ImportJson { rules, ..ImportJson::default() })?.rules;
            }
            return Ok(merged);
        };
        let changes = rules.into_iter().map(Change::from);
        let Applied { entries, present, effect } = own.0.apply(&Caller::command_line(), changes, now_us())?;
        match effect {
            Effect::Published(revision) => self.revision = Some(revision),
            Effect::StoredOnly(error) => self.lacks.push(error.to_string()),
        }
        Ok(Merged { added: (entries.len() - present) as u64, present: present as u64 })
    }

    /// Gives everything free, and waits until HAProxy obeys.
    pub(super) fn finish(mut self) -> StoredJson {
        let marks = self.own.take().map(|own| own.0.marks());
        if let (Some(revision), Some(marks)) = (self.revision, marks) {
            let Places { sockets, wait, .. } = &self.takes.places;
            if let Enforcement::StoredNotEnforced { reason } =
                enforce(sockets, revision, &|revision| marks.at(revision), *wait)
            {
                self.lacks.push(reason);
            }
        }
        self.lacks.dedup();
        StoredJson::unless(&self.lacks)
    }

    fn request(&mut self, import: ImportJson) -> Result<ImportedJson, Failure> {
        let stream = match self.takes.open()? {
            Taking::Serve(stream) => stream,
            Taking::Own(_) => return Err(Failure::NoAnswer(io::ErrorKind::ConnectionReset.into())),
        };
        let imported: ImportedJson = send(stream, Method::POST, "/api/import", &import)?;
        self.lacks.extend(imported.stored.reason().map(str::to_owned));
        Ok(imported)
    }

    fn lack(&mut self, enforcement: Enforcement) {
        if let Enforcement::StoredNotEnforced { reason } = enforcement {
            self.lacks.push(reason);
        }
    }
}
