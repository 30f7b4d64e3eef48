//! Proofs of control over names (RFC 8555, section 8).

mod answers;
mod dns;
mod dns_answer;
mod tsig;
mod update;

use std::fmt;
use std::str::FromStr;

pub use answers::Answers;
pub use dns::{DnsSettings, Record};
pub use update::DnsUpdate;

/// How control of names is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// HTTP-01: an answer under `/.well-known/acme-challenge/`.
    Http,
    /// DNS-01: a TXT record under `_acme-challenge.`, which we set.
    Dns,
    /// DNS-01, where somebody else sets the record.
    Manual,
}

impl Proof {
    /// One that needs nobody: `manual` is for requests of its own, each of which somebody makes.
    ///
    /// # Errors
    /// It is none of these.
    pub fn unattended(text: &str) -> Result<Self, &'static str> {
        let all = [Self::Http, Self::Dns].into_iter().find(|proof| proof.name() == text);
        all.ok_or("http-01 or dns-01")
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::Dns => "dns-01",
            Self::Manual => "manual",
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Proof {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut all = [Self::Http, Self::Dns, Self::Manual].into_iter();
        all.find(|proof| proof.name() == text).ok_or("a proof is http-01, dns-01 or manual")
    }
}
