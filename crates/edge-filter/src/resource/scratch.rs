//! The buffers of one thread.

use ahash::RandomState;

use super::Query;

/// Bytes for a canonical path or query. An escape is three times as long as the byte it stands for, and
/// HAProxy's default `tune.bufsize` is 16384, so no request that HAProxy takes by default is too long.
const PATH_BYTES: usize = 64 * 1024;

/// Bytes for a canonical host: twice what a host name may have (RFC 1035 section 2.3.4).
const HOST_BYTES: usize = 512;

/// Parameters of a query: as many as fit HAProxy's default buffer, one byte and a `&` each, twice over.
const PARAMETERS: usize = 16 * 1024;

/// Buffers that a thread allocates once and lends to every lookup. They never grow. The fields are borrowed
/// one by one, so that host, path and query of one request can be held at the same time.
#[derive(Debug)]
pub struct Scratch {
    /// For [`crate::canonical_host`].
    pub host: Box<[u8]>,
    /// For [`crate::canonical_path`].
    pub path: Box<[u8]>,
    /// For the other reading of a path: see [`crate::path_readings`].
    pub second_path: Box<[u8]>,
    /// For [`crate::canonical_query`].
    pub query: Box<[u8]>,
    /// For the parameters of a query.
    pub(crate) parameters: Vec<u64>,
    pub(crate) keys: RandomState,
}

impl Scratch {
    /// Allocates about 320 KiB.
    pub fn new() -> Self {
        let buffer = |bytes| vec![0; bytes].into_boxed_slice();
        Self {
            host: buffer(HOST_BYTES),
            path: buffer(PATH_BYTES),
            second_path: buffer(PATH_BYTES),
            query: buffer(PATH_BYTES),
            parameters: Vec::with_capacity(PARAMETERS),
            keys: RandomState::new(),
        }
    }

    /// A query, given as HAProxy gives it, for conditions to be held against.
    pub fn query<'a>(&'a mut self, raw: &'a [u8]) -> Query<'a> {
        Query::new(raw, &mut self.query, &mut self.parameters, &self.keys)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}
