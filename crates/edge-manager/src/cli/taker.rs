//! Who takes what was found elsewhere.

use clap::Args;

use super::failure::Failure;
use super::places::Places;
use super::publishing::Publishing;
use crate::access::Caller;
use crate::clock::now_us;
use crate::configuration::Configuration;
use crate::haproxy::{Enforcement, enforce};
use crate::import::Foreign;
use crate::rules::{Applied, Change, Effect, Rules};
use crate::site::{BackendInput, DomainInput};
use crate::sites::{Merged, MergedSite, Sites};

/// Where it is taken to.
#[derive(Debug, Args)]
pub(super) struct Takes {
    #[command(flatten)]
    pub(super) places: Places,
    #[command(flatten)]
    publishing: Publishing,
}

impl Takes {
    /// The record, its rules and its site, which no other process has meanwhile.
    pub(super) fn open(&self) -> Result<(Rules, Sites), Failure> {
        let (store, rules) = self.places.open_all()?;
        let configuration = Configuration::open(self.publishing.settings())?;
        Ok((rules, Sites::new(store, configuration, self.publishing.defaults(&self.places))))
    }
}

/// Takes what was found elsewhere.
pub(super) struct Taker<'t> {
    takes: &'t Takes,
    rules: Rules,
    sites: Sites,
    revision: Option<u64>,
    lacks: Vec<String>,
}

impl<'t> Taker<'t> {
    pub(super) fn open(takes: &'t Takes) -> Result<Self, Failure> {
        let (rules, sites) = takes.open()?;
        Ok(Self { takes, rules, sites, revision: None, lacks: Vec::new() })
    }

    pub(super) fn merge(
        &mut self,
        domains: Vec<DomainInput>,
        backends: Vec<BackendInput>,
    ) -> Result<MergedSite, Failure> {
        let changed = self.sites.merge(&Caller::command_line(), domains, backends, now_us())?;
        if let Enforcement::StoredNotEnforced { reason } = changed.published.enforcement {
            self.lacks.push(reason);
        }
        Ok(changed.value)
    }

    pub(super) fn adopt(&mut self, rules: Vec<Foreign>) -> Result<Merged, Failure> {
        let changes = rules.into_iter().map(Change::from);
        let Applied { entries, present, effect } = self.rules.apply(&Caller::command_line(), changes, now_us())?;
        match effect {
            Effect::Published(revision) => self.revision = Some(revision),
            Effect::StoredOnly(error) => self.lacks.push(error.to_string()),
        }
        Ok(Merged { added: (entries.len() - present) as u64, present: present as u64 })
    }

    /// Gives everything free, and waits until HAProxy obeys.
    pub(super) fn finish(self) -> Enforcement {
        let Self { takes, rules, sites, revision, mut lacks } = self;
        drop((rules, sites));
        if let Some(revision) = revision
            && let Enforcement::StoredNotEnforced { reason } =
                enforce(&takes.places.sockets, revision, takes.places.wait)
        {
            lacks.push(reason);
        }
        match lacks.is_empty() {
            true => Enforcement::InForce,
            false => Enforcement::StoredNotEnforced { reason: lacks.join("; ") },
        }
    }
}
