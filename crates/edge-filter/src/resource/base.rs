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

/// The [`canonical_host`] and the [`super::path_readings`] of a `base`. Most are canonical throughout, which one scan
/// recognises.
///
/// # Errors
/// Those of [`super::path_readings`].
#[inline]
pub(crate) fn canonical_base<'a>(
    base: &'a [u8],
    settings: &Settings,
    host_out: &'a mut [u8],
    first_out: &'a mut [u8],
    second_out: &'a mut [u8],
) -> Result<(&'a [u8], PathReadings<'a>), UnreadablePath> {
    let (mut host, path) = split_base(base);
    // What may stand in a path may stand in a host, but for the slash, which this one has not, and capitals.
    let known = certainly_canonical(base);
    if known < host.len() || has_capital(host) || host.last() == Some(&b'.') {
        host = canonical_host(host, host_out);
    }
    let known = known.saturating_sub(base.len() - path.len());
    Ok((host, readings_behind(path, known, settings, first_out, second_out)?))
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
            prop_assert_eq!(canonical_base(&base, &settings, host_out, first, second), Ok((host, apart)));
        }
    }
}
