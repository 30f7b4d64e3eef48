//! DNS-01 (RFC 8555, section 8.4).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::DnsUpdate;
use crate::certificates::CertificateError;

/// How long a hook may take.
const HOOK_PATIENCE: Duration = Duration::from_secs(60);

/// How much of what a hook says is repeated, characters.
const MAX_WORDS: usize = 300;

/// Who puts records into DNS.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// A program that does it: `HOOK set NAME VALUE` and `HOOK remove NAME VALUE`.
    pub hook: Option<PathBuf>,
    /// A server that takes updates (RFC 2136).
    pub update: Option<DnsUpdate>,
    /// How long to wait until all servers of the domain have a record.
    pub wait: Duration,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self { hook: None, update: None, wait: Duration::from_secs(10) }
    }
}

impl DnsSettings {
    /// Whether there is anybody.
    pub fn is_there(&self) -> bool {
        self.hook.is_some() || self.update.is_some()
    }

    /// Sets a record, beside those of its name that are there.
    ///
    /// # Errors
    /// There is nobody to do it, or it was not done.
    pub(in crate::certificates) async fn set(&self, record: &Record) -> Result<(), CertificateError> {
        self.change("set", record).await
    }

    /// Removes a record.
    ///
    /// # Errors
    /// As above.
    pub(in crate::certificates) async fn remove(&self, record: &Record) -> Result<(), CertificateError> {
        self.change("remove", record).await
    }

    async fn change(&self, verb: &str, record: &Record) -> Result<(), CertificateError> {
        let Record { name, value } = record;
        let told = match (&self.hook, &self.update) {
            (Some(hook), _) => run(hook, [verb, name, value]).await,
            (None, Some(update)) => match verb {
                "set" => update.add(name, value).await,
                _ => update.delete(name, value).await,
            },
            (None, None) => {
                Err("dns-01: neither EDGE_ACME_DNS_HOOK nor EDGE_ACME_DNS_SERVER is set".to_owned())
            }
        };
        told.map_err(|why| CertificateError::Proof(format!("dns-01: {verb} {name}: {why}")))
    }
}

/// A TXT record that proves control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `_acme-challenge.` and the name.
    pub name: String,
    /// The digest that the server looks for.
    pub value: String,
}

impl Record {
    /// For a name, `*.` or not: both have the same one.
    pub(in crate::certificates) fn of(name: &str, value: String) -> Self {
        Self { name: format!("_acme-challenge.{}", name.strip_prefix("*.").unwrap_or(name)), value }
    }
}

/// Runs a hook, and says why it failed.
async fn run(hook: &Path, arguments: [&str; 3]) -> Result<(), String> {
    let mut command = Command::new(hook);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    // Ours has keys of the API.
    command.env_clear();
    for name in ["PATH", "HOME", "LANG"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    let done = timeout(HOOK_PATIENCE, command.output()).await;
    let output = done.map_err(|_| format!("the hook was not done in {} s", HOOK_PATIENCE.as_secs()))?;
    let output = output.map_err(|error| format!("{}: {error}", hook.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: String = words.trim().chars().take(MAX_WORDS).flat_map(char::escape_debug).collect();
    Err(format!("the hook ended with {}: {words}", output.status))
}
