//! A certificate with its chain and its key.

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;
use x509_parser::x509::X509Name;

use super::names::covers;
use super::{KeyKind, PrivateKey};

/// Longest text of a chain and its key, bytes.
pub(super) const MAX_BUNDLE_BYTES: usize = 128 << 10;

/// Most certificates of a chain.
const MAX_CHAIN: usize = 10;

/// How far ahead of our clock that of an authority may be, seconds.
const MAX_SKEW_S: u64 = 300;

/// Why a text is no certificate that could be used. One line, with nothing of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// More than [`MAX_BUNDLE_BYTES`].
    #[error("it is longer than {MAX_BUNDLE_BYTES} bytes")]
    TooLong,
    /// A block that is no PEM.
    #[error("PEM block {0} cannot be read")]
    Pem(usize),
    /// No certificate in it.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// More than [`MAX_CHAIN`].
    #[error("there are more than {MAX_CHAIN} certificates in it")]
    TooManyCertificates,
    /// One of them.
    #[error("certificate {0} cannot be read")]
    Certificate(usize),
    /// The key: not one, or none that can be read.
    #[error("the private key: {0}")]
    Key(String),
    /// Key and certificate.
    #[error("the private key is not that of the first certificate")]
    KeyMismatch,
    /// The order of the chain.
    #[error(
        "certificate {0} is not signed by the one after it: the server's own comes first, then who signed it"
    )]
    Chain(usize),
    /// A name that it is not for.
    #[error("the certificate is not for {0}")]
    NotCovered(String),
    /// Its end has come.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
}

/// What the first certificate of a chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The names that it is for.
    pub names: Vec<String>,
    /// From when on it is valid, seconds since the Unix epoch.
    pub not_before_s: u64,
    /// Its end, seconds since the Unix epoch.
    pub not_after_s: u64,
    /// Its number, upper-case hexadecimal digits without leading zeros: `show ssl cert` has it so.
    pub serial: String,
    /// Who signed it: the name of the organisation, without one that of the signer, without both nothing.
    pub issuer: String,
    /// Whether it signs itself: nobody trusts it.
    pub is_self_signed: bool,
    /// What ARI asks for it by: the key identifier of who signed it, and its number (RFC 9773, section 4.1).
    pub ari: Option<(Vec<u8>, Vec<u8>)>,
}

/// A certificate with its chain and its key: they belong together, and each signs the one before it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    leaf: Leaf,
    kind: KeyKind,
    chain: String,
    key: String,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leaf, kind, .. } = self;
        f.debug_struct("Bundle").field("leaf", leaf).field("kind", kind).finish_non_exhaustive()
    }
}

impl Leaf {
    /// From a text with certificates, whatever else is in it.
    ///
    /// # Errors
    /// There is no certificate that can be read.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let blocks = blocks(text)?;
        let first = blocks.iter().find(|block| block.is_certificate()).ok_or(BundleError::NoCertificate)?;
        let der = first.contents().ok_or(BundleError::Certificate(1))?;
        let (_, certificate) = parse_x509_certificate(&der).map_err(|_| BundleError::Certificate(1))?;
        Ok(Self::of(&certificate))
    }

    fn of(certificate: &X509Certificate<'_>) -> Self {
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let serial = certificate.raw_serial();
        let digits: String = serial.iter().map(|byte| format!("{byte:02X}")).collect();
        let authority =
            certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(found) => {
                    Some(found.key_identifier.as_ref()?.0.to_vec())
                }
                _ => None,
            });
        Self {
            names: names.collect(),
            not_before_s: seconds(certificate.validity().not_before),
            not_after_s: seconds(certificate.validity().not_after),
            serial: digits.trim_start_matches('0').to_owned(),
            issuer: name_of(certificate.issuer()),
            is_self_signed: certificate.issuer() == certificate.subject()
                && certificate.verify_signature(None).is_ok(),
            ari: authority.map(|authority| (authority, serial.to_vec())),
        }
    }

    /// How long it is valid in all, seconds.
    pub fn life_s(&self) -> u64 {
        self.not_after_s.saturating_sub(self.not_before_s)
    }

    /// Whether it is for this name, and `*.` of one for all below it.
    pub fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| covers(pattern, name))
    }
}

impl Bundle {
    /// From PEM: the certificates in their order, and the key of the first one anywhere between.
    ///
    /// # Errors
    /// See [`BundleError`]; nothing is said of names and times, which [`Bundle::check`] looks at.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let blocks = blocks(text)?;
        let (mut ders, mut chain, mut key) = (Vec::new(), String::new(), None);
        for block in &blocks {
            if block.is_certificate() {
                ders.push(block.contents().ok_or(BundleError::Certificate(ders.len() + 1))?);
                chain.push_str(&block.text);
            } else if block.label.ends_with("ENCRYPTED PRIVATE KEY") || block.text.contains("Proc-Type:") {
                return Err(BundleError::Key(
                    "it is encrypted; HAProxy could not ask for the password".into(),
                ));
            } else if block.label.ends_with("PRIVATE KEY") && key.replace(&block.text).is_some() {
                return Err(BundleError::Key("there are two".into()));
            }
        }
        if ders.is_empty() {
            return Err(BundleError::NoCertificate);
        }
        if ders.len() > MAX_CHAIN {
            return Err(BundleError::TooManyCertificates);
        }
        let certificates: Vec<X509Certificate<'_>> = ders
            .iter()
            .enumerate()
            .map(|(at, der)| match parse_x509_certificate(der) {
                Ok((_, certificate)) => Ok(certificate),
                Err(_) => Err(BundleError::Certificate(at + 1)),
            })
            .collect::<Result<_, _>>()?;
        for (at, pair) in certificates.windows(2).enumerate() {
            let [signed, signer] = pair else { continue };
            let is_signed = signed.issuer() == signer.subject()
                && signed.verify_signature(Some(signer.public_key())).is_ok();
            if !is_signed {
                return Err(BundleError::Chain(at + 1));
            }
        }
        let key = key.ok_or_else(|| BundleError::Key("it is missing".into()))?;
        let private = PrivateKey::from_pem(key).map_err(BundleError::Key)?;
        let first = &certificates[0];
        if private.public_bytes() != &*first.public_key().subject_public_key.data {
            return Err(BundleError::KeyMismatch);
        }
        Ok(Self { leaf: Leaf::of(first), kind: private.kind(), chain, key: key.clone() })
    }

    /// Whether it can be used for these names at this time, seconds since the Unix epoch.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, names: &[String], now_s: u64) -> Result<(), BundleError> {
        if let Some(name) = names.iter().find(|name| !self.leaf.covers(name)) {
            return Err(BundleError::NotCovered(name.clone()));
        }
        if self.leaf.not_after_s <= now_s {
            return Err(BundleError::Expired);
        }
        if self.leaf.not_before_s > now_s + MAX_SKEW_S {
            return Err(BundleError::NotYetValid);
        }
        Ok(())
    }

    /// What its first certificate says.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// The algorithm of its key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The certificates, PEM.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// The private key, PEM.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Everything, as HAProxy reads it. No line is empty: one would end it on a stats socket.
    pub fn pem(&self) -> String {
        [&*self.chain, &*self.key].concat()
    }
}

/// Who is meant, for people.
fn name_of(name: &X509Name<'_>) -> String {
    let found = name.iter_organization().chain(name.iter_common_name());
    found.filter_map(|part| part.as_str().ok()).next().unwrap_or_default().to_owned()
}

/// A PEM block (RFC 7468), its lines trimmed.
struct Block {
    label: String,
    text: String,
}

impl Block {
    fn is_certificate(&self) -> bool {
        self.label == "CERTIFICATE"
    }

    fn contents(&self) -> Option<Vec<u8>> {
        Some(Pem::iter_from_buffer(self.text.as_bytes()).next()?.ok()?.contents)
    }
}

/// The blocks of a text; what stands between them is left out.
fn blocks(text: &str) -> Result<Vec<Block>, BundleError> {
    if text.len() > MAX_BUNDLE_BYTES {
        return Err(BundleError::TooLong);
    }
    let (mut found, mut open) = (Vec::new(), None::<Block>);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match &mut open {
            None => {
                let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
                open = label.map(|label| Block { label: label.to_owned(), text: format!("{line}\n") });
            }
            Some(block) => {
                block.text.push_str(line);
                block.text.push('\n');
                if line.starts_with("-----END ") {
                    found.extend(open.take());
                } else if line.starts_with("-----") {
                    return Err(BundleError::Pem(found.len() + 1));
                }
            }
        }
    }
    if open.is_some() {
        return Err(BundleError::Pem(found.len() + 1));
    }
    Ok(found)
}
