//! Making hosts and paths canonical.

use std::hint::black_box;

use edge_filter::{ParameterSegments, canonical_host, canonical_path};

use crate::counter::Counter;

/// Times that each text is asked for: no table is looked into, so all of them count the same.
const TIMES: usize = 64;

pub(super) fn count(counter: &Counter) {
    let long = format!("/{}", "segment/".repeat(127));
    let long_escaped = format!("/{}", "%73egment/".repeat(102));
    let mut out = vec![0; 4096];
    for (case, path) in [
        ("path of 24 bytes", "/shop/basket/items/12345"),
        ("path with an escape", "/shop/basket/caf%C3%A9/1"),
        ("path with a doubled slash", "/shop//basket/items/1234"),
        ("path with an escaped letter", "/shop/%62asket/items/123"),
        ("path with dot segments", "/shop/./x/../basket/item"),
        ("path of 1 KiB", &long),
        ("path of 1 KiB with escapes", &long_escaped),
    ] {
        counter.count(case, &vec![path.to_owned(); TIMES], |path| {
            _ = black_box(
                canonical_path(path.as_bytes(), ParameterSegments::Keep, &mut out).map(<[u8]>::len),
            );
        });
    }
    for (case, host) in [
        ("host", "www.shop.example"),
        ("host with a port", "www.shop.example:8443"),
        ("host with capitals", "WWW.Shop.Example"),
    ] {
        counter.count(case, &vec![host.to_owned(); TIMES], |host| {
            _ = black_box(canonical_host(host.as_bytes(), &mut out).len());
        });
    }
}
