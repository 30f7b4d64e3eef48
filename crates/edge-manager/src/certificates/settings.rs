//! What is set for certificates.

use std::path::PathBuf;
use std::time::Duration;

use instant_acme::LetsEncrypt;

use super::{DnsSettings, ExternalAccount, KeyKinds, Proof};

/// Where certificates are kept, and whom they are got from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the certificates.
    pub dir: PathBuf,
    /// The URL of the ACME server's directory (RFC 8555, section 7.1.1).
    pub directory_url: String,
    /// PEM of the authority that the server's own certificate is signed by; those of the system without it.
    pub ca_file: Option<PathBuf>,
    /// Whom the server may write to.
    pub email: Option<String>,
    /// The account that the server knows us by already.
    pub external_account: Option<ExternalAccount>,
    /// What keys certificates get unless they are asked for with others.
    pub keys: KeyKinds,
    /// How control of names is proven; of names with an asterisk always by DNS.
    pub proof: Proof,
    /// Who puts proofs into DNS.
    pub dns: DnsSettings,
    /// Between two looks for what is to be renewed.
    pub check_every: Duration,
}

impl Settings {
    /// Let's Encrypt, with ECDSA keys and proofs by HTTP.
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            directory_url: LetsEncrypt::Production.url().to_owned(),
            ca_file: None,
            email: None,
            external_account: None,
            keys: KeyKinds::default(),
            proof: Proof::Http,
            dns: DnsSettings::default(),
            check_every: Duration::from_secs(60),
        }
    }
}
