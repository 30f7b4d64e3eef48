//! `get edge <ip or url>`.

use std::net::IpAddr;

use crate::{clock, engine};

/// What the edge would do with a client (an address), or with a request (a URL, `host/path` or `/path`), and why.
pub(crate) fn explain(what: &[u8]) -> String {
    let what = what.trim_ascii();
    if what.is_empty() {
        return "say: get edge <ip or url>".to_owned();
    }
    let addr: Option<IpAddr> = std::str::from_utf8(what).ok().and_then(|text| text.parse().ok());
    let explanation = engine::with_reader(|reader| match addr {
        Some(addr) => reader.explain_address(addr, clock::now_s()).to_string(),
        None => reader.explain_resource(what, clock::now_s()).to_string(),
    });
    let explanation = explanation.map(|text| text.trim_end().to_owned());
    explanation.unwrap_or_else(|| "no answer: this thread is in a lookup".to_owned())
}
