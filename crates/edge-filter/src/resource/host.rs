//! Hosts in canonical form.

use std::net::Ipv6Addr;

use super::blocks::is_all_name_bytes;

/// Longest host name, bytes (RFC 1035 section 2.3.4, without the trailing dot).
const MAX_HOST_BYTES: usize = 253;

/// A host in canonical form: lower case, no port, no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Box<str>);

/// A text that is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or a bracketed IPv6 address")]
pub struct InvalidHost;

impl Host {
    /// The host of a rule: a name, an IPv4 address, or an IPv6 address in brackets; a numeric port is dropped.
    ///
    /// # Errors
    /// Anything else than 1 to 253 bytes of `[a-z0-9._-]` or a bracketed IPv6 address in canonical form, and a
    /// port that is no number: `fe80::1` without brackets is a mistake, not a host called `fe80`.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let (_, port) = split_port(text.as_bytes());
        if !port.iter().all(u8::is_ascii_digit) {
            return Err(InvalidHost);
        }
        let mut buffer = [0; MAX_HOST_BYTES + 1];
        Self::from_canonical(canonical_host(text.as_bytes(), &mut buffer))
    }

    /// The host of a request, as [`canonical_host`] gave it.
    pub(crate) fn from_canonical(host: &[u8]) -> Result<Self, InvalidHost> {
        let host = str::from_utf8(host).map_err(|_| InvalidHost)?;
        if is_name(host) || is_ipv6_literal(host) { Ok(Self(host.into())) } else { Err(InvalidHost) }
    }

    /// The host that had this text.
    pub(super) fn again(text: &str) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(host: &str) -> bool {
    (1..=MAX_HOST_BYTES).contains(&host.len()) && is_all_name_bytes(host.as_bytes())
}

fn is_ipv6_literal(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    address
        .is_some_and(|text| text.parse::<Ipv6Addr>().is_ok() && !text.bytes().any(|b| b.is_ascii_uppercase()))
}

/// The canonical form of a `Host` header: lower case, no port, one trailing dot dropped, IPv6 addresses kept
/// in their brackets. Borrowed from `raw` where that is canonical already. Idempotent, O(n), never fails: a
/// host too long for `out` keeps its case, since no rule can have it.
///
/// Everything behind the first colon is taken for the port, digits or not, as nginx does
/// (`ngx_http_validate_host`): a client must not escape a rule by writing `Host: shop.example:x`.
pub fn canonical_host<'a>(raw: &'a [u8], out: &'a mut [u8]) -> &'a [u8] {
    // Most are canonical, and `blocks` recognises them.
    if is_all_name_bytes(raw) && raw.last() != Some(&b'.') {
        return raw;
    }
    let (name, _) = split_port(raw);
    let name = match name {
        // Dropping one of several dots would leave a text that is not canonical either.
        [.., b'.', b'.'] => name,
        [rest @ .., b'.'] => rest,
        _ => name,
    };
    if !name.iter().any(u8::is_ascii_uppercase) {
        return name;
    }
    let Some(lower) = out.get_mut(..name.len()) else { return name };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    lower
}

/// The host, and what follows its colon.
fn split_port(raw: &[u8]) -> (&[u8], &[u8]) {
    let name_bytes = match raw {
        [b'[', ..] => raw.iter().position(|&b| b == b']').map_or(raw.len(), |at| at + 1),
        _ => raw.iter().position(|&b| b == b':').unwrap_or(raw.len()),
    };
    let (name, port) = raw.split_at(name_bytes);
    (name, port.strip_prefix(b":").unwrap_or(port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(raw: &str) -> String {
        let mut out = [0; 512];
        String::from_utf8(canonical_host(raw.as_bytes(), &mut out).to_vec()).unwrap()
    }

    #[test]
    fn case_port_and_one_trailing_dot_do_not_matter() {
        for (raw, expected) in [
            ("shop.example", "shop.example"),
            ("Shop.Example:8080", "shop.example"),
            ("shop.example.:80", "shop.example"),
            ("shop.example:", "shop.example"),
            ("shop.example:x", "shop.example"),
            ("shop.example:1:2", "shop.example"),
            ("[::1]:80", "[::1]"),
            ("[FE80::A]", "[fe80::a]"),
            ("[::1", "[::1"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("a..", "a.."),
            (".", ""),
            ("", ""),
        ] {
            assert_eq!(canonical(raw), expected, "{raw}");
        }
    }

    #[test]
    fn canonical_hosts_are_borrowed_and_overlong_ones_returned_as_they_are() {
        let raw = b"shop.example:80";
        let mut out = [0; 512];
        assert_eq!(canonical_host(raw, &mut out).as_ptr(), raw.as_ptr());
        let long = [b'A'; 600];
        assert_eq!(canonical_host(&long, &mut out), long);
    }

    #[test]
    fn rules_have_valid_hosts_only() {
        for (text, expected) in
            [("Shop.Example:80", "shop.example"), ("[::1]:80", "[::1]"), ("a_b-c.1", "a_b-c.1")]
        {
            assert_eq!(Host::parse(text).map(|host| host.as_str().to_owned()), Ok(expected.to_owned()));
        }
        let long = "a".repeat(254);
        for text in [
            "",
            ":80",
            "a/b",
            "a b",
            "a\nb",
            "é.example",
            "fe80::1",
            "[::1",
            "[x]",
            "[::1]x",
            "a:b",
            "*",
            &long,
        ] {
            assert_eq!(Host::parse(text), Err(InvalidHost), "{text:?}");
        }
        assert!(Host::parse(&long[1..]).is_ok());
    }

    proptest! {
        #[test]
        fn canonical_host_is_idempotent(raw in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'.'), Just(b':'), Just(b'['), Just(b']'), Just(b'A')], 0..40)) {
            let (mut once, mut twice) = ([0; 512], [0; 512]);
            let host = canonical_host(&raw, &mut once);
            prop_assert_eq!(canonical_host(host, &mut twice), host);
        }

        #[test]
        fn a_valid_host_is_found_however_it_is_written(name in "[a-z0-9_-][a-z0-9._-]{0,20}[a-z0-9_-]") {
            let host = Host::parse(&name).unwrap();
            let sent = format!("{}.:443", name.to_ascii_uppercase());
            prop_assert_eq!(canonical(&sent), host.as_str());
        }
    }
}
