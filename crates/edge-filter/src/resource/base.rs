//! HAProxy's `base`: the `Host` header followed by the path without its query (`smp_fetch_base` in src/http_fetch.c).

use super::blocks::{certainly_canonical, find, has_capital};
use super::canonical_host;
use super::reading::{PathReadings, UnreadablePath, readings_behind};
use crate::Settings;

/// Host and path of a `base`, which is split at its first slash. Of `OPTIONS *` the base has no path: it is empty here,
/// which a lookup takes for `/` and which teaches nothing.
#[inline]
pub fn split_base(base: &[u8]) -> (&[u8], &[u8]) {
    base.split_at(find(b'/', base).unwrap_or(base.len()))
}

/// A `base` with its host in canonical form.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) host: &'a [u8],
    /// As it was sent.
    path: &'a [u8],
    /// So many bytes of the path are canonical, whatever comes behind them, and hold no escape.
    known: usize,
}

impl<'a> Base<'a> {
    /// Most are canonical throughout, which one scan recognises.
    #[inline]
    pub(crate) fn read(base: &'a [u8], host_out: &'a mut [u8]) -> Self {
        let (mut host, path) = split_base(base);
        // What may stand in a path may stand in a host, but for the slash, which this one has not, and capitals.
        let known = certainly_canonical(base);
        if known < host.len() || has_capital(host) || host.last() == Some(&b'.') {
            host = canonical_host(host, host_out);
        }
        Self { host, path, known: known.saturating_sub(base.len() - path.len()) }
    }

    /// The path, if it was seen to be canonical and to have no other reading.
    #[inline]
    pub(crate) fn plain_path(&self) -> Option<&'a [u8]> {
        (self.known == self.path.len() && self.known > 0).then_some(self.path)
    }

    /// The [`super::path_readings`] of the path.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn readings(
        &self,
        settings: &Settings,
        first_out: &'a mut [u8],
        second_out: &'a mut [u8],
    ) -> Result<PathReadings<'a>, UnreadablePath> {
        readings_behind(self.path, self.known, settings, first_out, second_out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ParameterSegments, path_readings};

    #[test]
    fn base_is_split_at_its_first_slash() {
        assert_eq!(split_base(b"shop.example:80/a/b"), (&b"shop.example:80"[..], &b"/a/b"[..]));
        assert_eq!(split_base(b"/a"), (&b""[..], &b"/a"[..]));
        assert_eq!(split_base(b"shop.example"), (&b"shop.example"[..], &b""[..]));
    }

    proptest! {
        #[test]
        fn host_and_path_are_what_they_are_apart(
            host in "[a-z0-9._-]{0,20}|[A-Za-z0-9.:_\\[-]{0,8}",
            path in "(/[a-z0-9.]{0,12}){0,4}|/[A-Za-z0-9/.%;?~ -]{0,24}|\\*",
            parameters in prop_oneof![Just(ParameterSegments::Keep), Just(ParameterSegments::Drop)],
        ) {
            let settings = Settings { parameter_segments: parameters, ..Settings::default() };
            let base = [host.as_bytes(), path.as_bytes()].concat();
            let mut buffers = [[0; 512]; 6];
            let [host_apart, first_apart, second_apart, host_out, first, second] = &mut buffers;
            let (host, path) = split_base(&base);
            let host = canonical_host(host, host_apart);
            let apart = path_readings(path, &settings, first_apart, second_apart).unwrap();
            let read = Base::read(&base, host_out);
            prop_assert_eq!((read.host, read.readings(&settings, first, second)), (host, Ok(apart)));
            if let Some(plain) = read.plain_path() {
                prop_assert_eq!(apart, PathReadings { first: plain, second: None });
            }
        }
    }
}
