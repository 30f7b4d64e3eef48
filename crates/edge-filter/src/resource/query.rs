//! Query strings: escapes in canonical form, and the values of a parameter.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;

use super::escape::{TooLong, canonical_escapes};

/// The canonical form of a query string, without its `?`: cut at `#`, characters that may stand in a query (RFC 3986
/// section 3.4) without escapes but for `&`, `=` and `+`, all other escapes in upper case, and nothing else changed:
/// order, repetition and `+` are the backend's business. Borrowed from `raw` where that is canonical already. Idempotent, O(n), pure ASCII.
///
/// # Errors
/// The canonical form does not fit `out`.
pub fn canonical_query<'a>(raw: &'a [u8], out: &'a mut [u8]) -> Result<&'a [u8], TooLong> {
    let end = raw.iter().position(|&b| b == b'#').unwrap_or(raw.len());
    canonical_escapes(&raw[..end], out)
}

/// The values of every parameter `name` of a query string, in their order; a parameter without `=` has the
/// empty value. Both texts in canonical form, so that `%61=1` is the parameter `a`.
pub fn parameter_values<'a>(query: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    query.split(|&b| b == b'&').filter_map(move |pair| match pair.strip_prefix(name)? {
        [] if !pair.is_empty() => Some(&[][..]),
        [b'=', value @ ..] => Some(value),
        _ => None,
    })
}

/// A query as conditions are held against it.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// In canonical form; `None` where that is too long.
    pub(crate) text: Option<&'a [u8]>,
    /// Hashes of its parameters, sorted: a rule then costs a search and not a scan, however many parameters a
    /// client sends and however many rules a backend makes of them.
    parameters: &'a [u64],
    keys: &'a RandomState,
}

impl<'a> Query<'a> {
    /// Of the query as HAProxy gives it. O(n log n); allocates nothing as long as the buffers have room for the
    /// query and its parameters, else it is too long.
    pub(crate) fn new(
        raw: &'a [u8],
        text: &'a mut [u8],
        parameters: &'a mut Vec<u64>,
        keys: &'a RandomState,
    ) -> Self {
        parameters.clear();
        let text = canonical_query(raw, text).ok().filter(|text| {
            let count = text.iter().filter(|&&b| b == b'&').count() + 1;
            count <= parameters.capacity()
        });
        for pair in text.unwrap_or_default().split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let end = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let value = pair.get(end + 1..).unwrap_or_default();
            parameters.push(parameter_hash(keys, &pair[..end], value));
        }
        parameters.sort_unstable();
        Self { text, parameters, keys }
    }

    /// Whether one of the values of the parameter `name` is `value`. A name with `=` in it is no parameter's.
    pub(crate) fn has(&self, name: &[u8], value: &[u8]) -> bool {
        self.parameters.binary_search(&parameter_hash(self.keys, name, value)).is_ok()
            && parameter_values(self.text.unwrap_or_default(), name).any(|given| given == value)
    }
}

fn parameter_hash(keys: &RandomState, name: &[u8], value: &[u8]) -> u64 {
    let mut hasher = keys.build_hasher();
    hasher.write(name);
    hasher.write_u8(b'=');
    hasher.write(value);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(raw: &str) -> String {
        let mut out = [0; 512];
        String::from_utf8(canonical_query(raw.as_bytes(), &mut out).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn only_escapes_are_normalised() {
        for (raw, expected) in [
            ("", ""),
            ("b=2&a=1", "b=2&a=1"),
            ("%61=%7e+%2f&&", "a=~+/&&"),
            ("%40=%3a%3B%3f%21&%26%3d%2b%23%25", "@=:;?!&%26%3D%2B%23%25"),
            ("q=é \"", "q=%C3%A9%20%22"),
            ("a[]=1", "a%5B%5D=1"),
            ("100%", "100%25"),
            ("a=1#b", "a=1"),
            ("a=/../?;", "a=/../?;"),
        ] {
            assert_eq!(canonical(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_query_that_does_not_fit_is_too_long() {
        assert_eq!(canonical_query(b"\"", &mut [0; 2]), Err(TooLong));
        assert_eq!(canonical_query(b"\"", &mut [0; 3]), Ok(&b"%22"[..]));
        assert_eq!(canonical_query(b"abc", &mut []), Ok(&b"abc"[..]));
    }

    #[test]
    fn every_value_of_a_parameter_is_found() {
        let values = |query: &'static str, name: &str| -> Vec<&[u8]> {
            parameter_values(query.as_bytes(), name.as_bytes()).collect()
        };
        assert_eq!(values("id=1&x=2&id=3", "id"), [b"1", b"3"]);
        assert_eq!(values("idx=1&xid=2", "id"), [b""; 0]);
        assert_eq!(values("debug&a=b=c", "debug"), [b""]);
        assert_eq!(values("debug&a=b=c", "a"), [b"b=c"]);
        assert_eq!(values("", ""), [b""; 0]);
        assert_eq!(values("=x", ""), [b"x"]);
    }

    proptest! {
        #[test]
        fn canonical_query_is_idempotent_ascii(raw in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'%'), Just(b'2'), Just(b'e')], 0..60)) {
            let (mut once, mut twice) = ([0; 512], [0; 512]);
            let query = canonical_query(&raw, &mut once).unwrap();
            prop_assert!(query.iter().all(u8::is_ascii_graphic));
            prop_assert_eq!(canonical_query(query, &mut twice).unwrap().as_ptr(), query.as_ptr());
        }
    }

    proptest! {
        #[test]
        fn a_parameter_is_found_by_search_as_by_scan(
            query in "[ab=&%]{0,20}",
            name in "[ab]{0,2}",
            value in "[ab=]{0,2}",
        ) {
            let (mut text, mut parameters, keys) = ([0; 99], Vec::with_capacity(32), RandomState::new());
            let query = Query::new(query.as_bytes(), &mut text, &mut parameters, &keys);
            let by_scan = parameter_values(query.text.unwrap(), name.as_bytes()).any(|v| v == value.as_bytes());
            prop_assert_eq!(query.has(name.as_bytes(), value.as_bytes()), by_scan);
        }
    }

    #[test]
    fn more_parameters_than_there_is_room_for_are_too_many() {
        let (mut parameters, keys) = (Vec::with_capacity(4), RandomState::new());
        let room = parameters.capacity();
        let fits = "a&".repeat(room - 1) + "b";
        assert!(Query::new(fits.as_bytes(), &mut [], &mut parameters, &keys).has(b"b", b""));
        let too_many = fits + "&c";
        let query = Query::new(too_many.as_bytes(), &mut [], &mut parameters, &keys);
        assert!(query.text.is_none() && !query.has(b"b", b""));
    }
}
