//! The names of a certificate.

use std::fmt;

use super::CertificateError;
use crate::site::DomainInput;

/// Most names of one certificate: no more are taken by Let's Encrypt.
pub(super) const MAX_NAMES: usize = 100;

/// The names of a certificate, canonical, each once; `*.` before those that stand for the names below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// From what a client sent. The first one is what the certificate is called.
    ///
    /// # Errors
    /// There is none, or too many; one is no name of a host.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, CertificateError> {
        let mut names: Vec<String> = Vec::new();
        for text in texts.iter().map(AsRef::as_ref) {
            let input = DomainInput { domain: text.into(), ..DomainInput::default() };
            let name = input.name().map_err(|refusal| CertificateError::name(text, &refusal))?.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match names.len() {
            0 => Err(CertificateError::Invalid("domain: it is missing".to_owned())),
            1..=MAX_NAMES => Ok(Self(names)),
            count => Err(CertificateError::Invalid(format!("{count} names are more than {MAX_NAMES}"))),
        }
    }

    /// What the certificate is called.
    pub fn primary(&self) -> &str {
        &self.0[0]
    }

    /// All of them, the primary one first.
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// Whether one stands for names below it: only DNS can prove those (RFC 8555, section 7.1.3; CA/Browser Forum 3.2.2.4.19).
    pub fn has_wildcard(&self) -> bool {
        self.0.iter().any(|name| name.starts_with("*."))
    }

    /// These names, and `www.` of each that may have it.
    #[must_use]
    pub fn with_www(&self) -> Self {
        let mut names = self.0.clone();
        for name in self.0.iter().filter(|name| !name.starts_with("*.") && !name.starts_with("www.")) {
            let www = format!("www.{name}");
            if !names.contains(&www) {
                names.push(www);
            }
        }
        Self(names)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Whether a certificate for `pattern` is one for `name` (RFC 6125, section 6.4.3: an asterisk is one whole label).
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    let (Some(parent), Some((label, rest))) = (pattern.strip_prefix("*."), name.split_once('.')) else {
        return false;
    };
    label != "*" && !label.is_empty() && rest.eq_ignore_ascii_case(parent)
}

/// The name of its files without an ending. No host name has a plus sign, so no two names share one.
pub(super) fn file_stem(name: &str) -> String {
    match name.strip_prefix("*.") {
        Some(parent) => format!("wildcard+{parent}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_canonical_and_given_once() {
        let names = Names::parse(&["Shop.Example", "*.shop.example", "shop.example"]).unwrap();
        assert_eq!(names.all(), ["shop.example", "*.shop.example"]);
        assert!(names.has_wildcard());
        assert_eq!(
            names.with_www().all(),
            ["shop.example", "*.shop.example", "www.shop.example"],
            "a wildcard has no www of its own"
        );
        assert!(Names::parse::<&str>(&[]).is_err());
        assert!(Names::parse(&["a/../b"]).is_err());
        let many: Vec<String> = (0..=MAX_NAMES).map(|n| format!("h{n}.example")).collect();
        assert!(Names::parse(&many).is_err());
    }

    #[test]
    fn an_asterisk_is_one_label() {
        assert!(covers("*.example.com", "a.example.com"));
        assert!(covers("*.example.com", "*.example.com"));
        assert!(covers("Example.com", "example.com"));
        for name in ["example.com", "a.b.example.com", ".example.com", "xexample.com"] {
            assert!(!covers("*.example.com", name), "{name}");
        }
        assert!(!covers("a.example.com", "*.example.com"));
    }

    #[test]
    fn files_of_two_names_differ() {
        assert_eq!(file_stem("*.shop.example"), "wildcard+shop.example");
        assert_eq!(file_stem("shop.example"), "shop.example");
        assert!(Names::parse(&["wildcard+shop.example"]).is_err());
    }
}
