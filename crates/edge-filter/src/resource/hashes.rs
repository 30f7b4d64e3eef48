//! Hashes of resources, by keys that are random and secret.

use std::hash::{BuildHasher, Hasher};

use ahash::{AHasher, RandomState};

use super::Host;

pub(super) fn host_bytes(host: &Host) -> &[u8] {
    host.as_str().as_bytes()
}

/// The hasher of all resources of a host. Every host is hashed like a name without a letter, which no rule has.
#[inline]
fn host_hasher(keys: &RandomState, host: Option<&[u8]>) -> AHasher {
    let mut hasher = keys.build_hasher();
    hasher.write(host.unwrap_or_default());
    hasher
}

/// Hash of an exact resource.
#[inline]
pub(super) fn exact_hash(keys: &RandomState, host: Option<&[u8]>, path: &[u8]) -> u64 {
    let mut hasher = host_hasher(keys, host);
    hasher.write(path);
    hasher.finish()
}

/// Hash of the prefix that is all of a host.
#[inline]
pub(super) fn prefix_start(keys: &RandomState, host: Option<&[u8]>) -> u64 {
    host_hasher(keys, host).finish()
}

/// Hash of a prefix with one segment more.
pub(super) fn prefix_step(keys: &RandomState, hash: u64, segment: &[u8]) -> u64 {
    let mut hasher = keys.build_hasher();
    hasher.write_u64(hash);
    hasher.write(segment);
    hasher.finish()
}

/// The segments of a canonical path: of `/` none, of `/a/` two, the last one empty.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').skip(1).filter(move |_| path.len() > 1)
}
