//! `get edge <ip or url>`.

use std::net::IpAddr;

use edge_filter::Reader;

use crate::{clock, engine};

const USAGE: &str = "say: get edge <ip or url>";

/// What the edge would do with a client (an address), or with a request (a URL, `host/path` or `/path`), and why. What is
/// neither is told so: `pass` would be taken for an answer.
pub(crate) fn explain(what: &[u8]) -> String {
    match Question::read(what.trim_ascii()) {
        Question::Unclear => USAGE.to_owned(),
        Question::Network(addr) => format!("ask for one address, such as {addr}"),
        Question::Address(addr) => answer(|reader| reader.explain_address(addr, clock::now_s()).to_string()),
        Question::Resource(url) => answer(|reader| reader.explain_resource(url, clock::now_s()).to_string()),
    }
}

fn answer(explain: impl FnOnce(&mut Reader<'_>) -> String) -> String {
    let explanation = engine::with_reader(explain).map(|text| text.trim_end().to_owned());
    explanation.unwrap_or_else(|| "no answer: this thread is in a lookup".to_owned())
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Question<'a> {
    Address(IpAddr),
    /// Some address of a network.
    Network(IpAddr),
    /// A resource, without its scheme.
    Resource(&'a [u8]),
    Unclear,
}

impl<'a> Question<'a> {
    fn read(what: &'a [u8]) -> Self {
        if let Ok(text) = std::str::from_utf8(what) {
            if let Ok(addr) = text.parse() {
                return Self::Address(addr);
            }
            if let Some(addr) = address_of_network(text) {
                return Self::Network(addr);
            }
        }
        let has_host = |rest: &&[u8]| rest.first().is_some_and(|first| !b"/?#".contains(first));
        match after_scheme(what) {
            Some(rest) => Some(rest).filter(has_host).map_or(Self::Unclear, Self::Resource),
            None if what.contains(&b'/') => Self::Resource(what),
            None => Self::Unclear,
        }
    }
}

fn after_scheme(what: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (head, rest) = what.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn address_of_network(text: &str) -> Option<IpAddr> {
    let (addr, bits) = text.split_once('/')?;
    let addr: IpAddr = addr.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    (bits <= if addr.is_ipv4() { 32 } else { 128 }).then_some(addr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_networks_and_resources_are_told_apart() {
        let addr: IpAddr = "203.0.113.0".parse().unwrap();
        assert_eq!(Question::read(b"203.0.113.0"), Question::Address(addr));
        assert_eq!(Question::read(b"203.0.113.0/24"), Question::Network(addr));
        assert_eq!(Question::read(b"2001:db8::/48"), Question::Network("2001:db8::".parse().unwrap()));
        for resource in ["203.0.113.0/404", "203.0.113.0/24/x", "a.example/", "/yeet", "/to/http://a.example"]
        {
            assert_eq!(Question::read(resource.as_bytes()), Question::Resource(resource.as_bytes()));
        }
        assert_eq!(Question::read(b"HTTPS://a.example/x"), Question::Resource(b"a.example/x"));
        assert_eq!(Question::read(b"http://a.example"), Question::Resource(b"a.example"));
    }

    #[test]
    fn what_is_neither_address_nor_resource_is_unclear() {
        for text in ["", "garbage", "999.1.1.1", ":::", "http://", "http:///yeet", "https://?x", "\u{e9}"] {
            assert_eq!(Question::read(text.as_bytes()), Question::Unclear, "{text}");
        }
    }
}
