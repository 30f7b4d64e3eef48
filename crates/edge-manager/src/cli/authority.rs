//! Whom certificates are got from, and where they are kept.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use instant_acme::LetsEncrypt;

use super::failure::Failure;
use crate::certificates::{DnsSettings, DnsUpdate, ExternalAccount, KeyKinds, Proof, Settings};

/// The key of an external account, which is no argument: those are seen by every user of the machine.
const EAB_KEY: &str = "EDGE_ACME_EAB_KEY";

#[derive(Debug, Args)]
pub(super) struct Authority {
    /// The directory of the certificates and their keys; by default `certificates` beside the record
    #[arg(long, env = "EDGE_CERT_DIR", value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// The directory of an ACME server; by default that of Let's Encrypt
    #[arg(long, env = "EDGE_ACME_DIRECTORY", value_name = "URL")]
    acme_directory: Option<String>,
    /// Where no directory is named: Let's Encrypt's server for trials, whose certificates nobody trusts
    #[arg(long, env = "EDGE_ACME_STAGING", value_parser = BoolishValueParser::new())]
    acme_staging: bool,
    /// PEM of the authorities that have signed the ACME server's own certificate; by default those of the system
    #[arg(long, env = "EDGE_ACME_CA_FILE", value_name = "FILE")]
    acme_ca_file: Option<PathBuf>,
    /// Whom the ACME server may write to
    #[arg(long, env = "EDGE_ACME_EMAIL", value_name = "ADDRESS")]
    acme_email: Option<String>,
    /// The name of an account that the ACME server knows already; its key is read from EDGE_ACME_EAB_KEY
    #[arg(long, env = "EDGE_ACME_EAB_KID", value_name = "ID")]
    acme_eab_kid: Option<String>,
    /// The keys of certificates: ecdsa, rsa, or both side by side
    #[arg(long, env = "EDGE_ACME_KEY_TYPE", value_name = "TYPE", default_value = "ecdsa")]
    acme_key_type: KeyKinds,
    /// How control of names is proven: http-01, or dns-01, which names with an asterisk always need
    #[arg(long, env = "EDGE_ACME_CHALLENGE", value_name = "CHALLENGE", default_value = "http-01", value_parser = Proof::unattended)]
    acme_challenge: Proof,
    /// A program that puts proofs into DNS: it is called as `HOOK set NAME VALUE` and `HOOK remove NAME VALUE`
    #[arg(long, env = "EDGE_ACME_DNS_HOOK", value_name = "FILE")]
    acme_dns_hook: Option<PathBuf>,
    /// A DNS server that takes updates (RFC 2136), in place of the program
    #[arg(long, env = "EDGE_ACME_DNS_SERVER", value_name = "ADDRESS", conflicts_with = "acme_dns_hook")]
    acme_dns_server: Option<SocketAddr>,
    /// The key that updates are signed with, as tsig-keygen writes it
    #[arg(long, env = "EDGE_ACME_DNS_KEY_FILE", value_name = "FILE", requires = "acme_dns_server")]
    acme_dns_key_file: Option<PathBuf>,
    /// How long to wait until all servers of a domain have a proof
    #[arg(long, env = "EDGE_ACME_DNS_WAIT", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    acme_dns_wait: Duration,
    /// Between two looks for certificates that are to be renewed
    #[arg(long, env = "EDGE_CERT_CHECK_EVERY", value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    cert_check_every: Duration,
}

impl Authority {
    /// With the certificates beside this record, if nothing else is said.
    pub(super) fn settings(self, database: &Path) -> Result<Settings, Failure> {
        let beside = || database.parent().unwrap_or(Path::new("")).join("certificates");
        let directory_url = self.acme_directory.unwrap_or_else(|| {
            let server = if self.acme_staging { LetsEncrypt::Staging } else { LetsEncrypt::Production };
            server.url().to_owned()
        });
        let external_account = self.acme_eab_kid.map(|id| {
            let key = env::var(EAB_KEY).unwrap_or_default();
            if key.is_empty() {
                return Err(Failure::InvalidByServe(format!("{EAB_KEY} is not set, and --acme-eab-kid is")));
            }
            ExternalAccount::new(id, &key).map_err(|why| Failure::InvalidByServe(format!("{EAB_KEY}: {why}")))
        });
        let key_file = self.acme_dns_key_file.as_deref();
        let update = self.acme_dns_server.map(|server| DnsUpdate::new(server, key_file));
        Ok(Settings {
            dir: self.cert_dir.unwrap_or_else(beside),
            directory_url,
            ca_file: self.acme_ca_file,
            email: self.acme_email,
            external_account: external_account.transpose()?,
            keys: self.acme_key_type,
            proof: self.acme_challenge,
            dns: DnsSettings {
                hook: self.acme_dns_hook,
                update: update.transpose().map_err(Failure::InvalidByServe)?,
                wait: self.acme_dns_wait,
            },
            // Without a pause it would do nothing else.
            check_every: self.cert_check_every.max(Duration::from_millis(100)),
        })
    }
}
