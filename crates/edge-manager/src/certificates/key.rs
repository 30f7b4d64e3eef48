//! Private keys.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA256, PKCS_ECDSA_P521_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256,
    SignatureAlgorithm,
};

use super::Names;

/// With every digest that it may be read as.
static ECDSA: [&SignatureAlgorithm; 5] = [
    &PKCS_ECDSA_P256_SHA256,
    &PKCS_ECDSA_P384_SHA384,
    &PKCS_ECDSA_P521_SHA256,
    &PKCS_ECDSA_P521_SHA384,
    &PKCS_ECDSA_P521_SHA512,
];

/// The algorithm of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// On the curve P-256 where it is made here.
    Ecdsa,
    /// Of 2048 bits where it is made here.
    Rsa,
}

impl KeyKind {
    /// The word for it, which ends the names of its files (HAProxy, configuration manual, `ssl-load-extra-files`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        [Self::Ecdsa, Self::Rsa].into_iter().find(|kind| kind.name() == text).ok_or("a key is ecdsa or rsa")
    }
}

/// The keys that a certificate is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKinds {
    /// ECDSA alone.
    #[default]
    Ecdsa,
    /// RSA alone.
    Rsa,
    /// One of each: HAProxy gives each client what it can take.
    Both,
}

impl KeyKinds {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
            Self::Both => "both",
        }
    }

    /// Each of them.
    pub const fn kinds(self) -> &'static [KeyKind] {
        match self {
            Self::Ecdsa => &[KeyKind::Ecdsa],
            Self::Rsa => &[KeyKind::Rsa],
            Self::Both => &[KeyKind::Ecdsa, KeyKind::Rsa],
        }
    }

    /// Those of these kinds; `None` of no kind.
    pub fn of(kinds: &[KeyKind]) -> Option<Self> {
        match (kinds.contains(&KeyKind::Ecdsa), kinds.contains(&KeyKind::Rsa)) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Ecdsa),
            (false, true) => Some(Self::Rsa),
            (false, false) => None,
        }
    }
}

impl FromStr for KeyKinds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut all = [Self::Ecdsa, Self::Rsa, Self::Both].into_iter();
        all.find(|kinds| kinds.name() == text).ok_or("the type of keys is ecdsa, rsa or both")
    }
}

/// A private key. Nothing but [`PrivateKey::pem`] tells it.
pub struct PrivateKey {
    pair: KeyPair,
    kind: KeyKind,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.kind)
    }
}

impl PrivateKey {
    /// A new one. RSA takes about a tenth of a second.
    ///
    /// # Errors
    /// There is no chance to be had.
    pub fn generate(kind: KeyKind) -> Result<Self, rcgen::Error> {
        let algorithm = match kind {
            KeyKind::Ecdsa => &PKCS_ECDSA_P256_SHA256,
            KeyKind::Rsa => &PKCS_RSA_SHA256,
        };
        Ok(Self { pair: KeyPair::generate_for(algorithm)?, kind })
    }

    /// From PEM: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017) or SEC1 (RFC 5915).
    ///
    /// # Errors
    /// It is no key, or of an algorithm that certificates for everybody do not have.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        // What the library says is about the form of the key, and has nothing of it.
        let pair = KeyPair::from_pem(pem).map_err(|_| "it is no private key that can be read".to_owned())?;
        let kind = match pair.algorithm() {
            algorithm if algorithm == &PKCS_RSA_SHA256 => KeyKind::Rsa,
            algorithm if ECDSA.contains(&algorithm) => KeyKind::Ecdsa,
            _ => return Err("it is neither an RSA nor an ECDSA key".to_owned()),
        };
        Ok(Self { pair, kind })
    }

    /// Its algorithm.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key itself, as PKCS#8.
    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The public key as a certificate has it (RFC 5280, `subjectPublicKey`).
    pub fn public_bytes(&self) -> &[u8] {
        self.pair.public_key_raw()
    }

    /// A request for a certificate of these names (RFC 2986), DER.
    ///
    /// # Errors
    /// A name is none that a certificate can have.
    pub fn request(&self, names: &Names) -> Result<Vec<u8>, rcgen::Error> {
        let mut params = CertificateParams::new(names.all().to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.pair)?.der().to_vec())
    }

    /// A certificate that the key signs itself, PEM, for this time in seconds since the Unix epoch.
    ///
    /// # Errors
    /// A name is none that a certificate can have.
    pub fn self_signed(&self, names: &Names, from_s: u64, to_s: u64) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::new(names.all().to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        let at = |at_s| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at_s);
        (params.not_before, params.not_after) = (at(from_s), at(to_s));
        Ok(params.self_signed(&self.pair)?.pem())
    }
}
