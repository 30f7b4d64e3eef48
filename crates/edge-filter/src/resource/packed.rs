//! What the table keeps of a resource.

use smallvec::SmallVec;

use super::{CanonicalPath, Host, Match, Resource};

/// Host and path that fit, together with a rule, what the allocator gives out for 136 bytes.
const TEXT_BYTES: usize = 64;

/// A [`Resource`] in one piece of memory, except for long ones: each piece is a cache miss in a large table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackedResource {
    /// Host and path, one behind the other.
    text: SmallVec<[u8; TEXT_BYTES]>,
    /// `None`: every host. A host has 253 bytes at most.
    host_bytes: Option<u8>,
    matching: Match,
}

impl PackedResource {
    pub(super) fn new(resource: &Resource) -> Self {
        let host = resource.host.as_ref().map(Host::as_str);
        let texts = [host.unwrap_or_default(), resource.path.as_str()];
        let mut text = SmallVec::with_capacity(texts.iter().map(|text| text.len()).sum());
        texts.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
        Self { text, host_bytes: host.map(|host| host.len() as u8), matching: resource.matching }
    }

    /// Whether it is the resource with this canonical host and path.
    #[inline]
    pub(super) fn is(&self, matching: Match, host: Option<&[u8]>, path: &[u8]) -> bool {
        let host_bytes = self.host_bytes.map(usize::from);
        self.matching == matching
            && host_bytes == host.map(<[u8]>::len)
            && self.text.len() == host_bytes.unwrap_or(0) + path.len()
            && self.text.starts_with(host.unwrap_or_default())
            && self.text.ends_with(path)
    }

    pub(super) fn unpack(&self) -> Resource {
        let (host, path) = self.text.split_at(usize::from(self.host_bytes.unwrap_or(0)).min(self.text.len()));
        // It is made of such texts.
        let text = |bytes| str::from_utf8(bytes).unwrap_or_default();
        Resource {
            host: self.host_bytes.map(|_| Host::again(text(host))),
            matching: self.matching,
            path: CanonicalPath::again(text(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParameterSegments;

    fn resource(host: Option<&str>, path: &str) -> Resource {
        let path = CanonicalPath::parse(path, ParameterSegments::Keep, 999).unwrap();
        Resource::exact(host.map(|host| Host::parse(host).unwrap()), path)
    }

    #[test]
    fn what_is_packed_comes_out_the_same_however_long_it_is() {
        for bytes in [1, TEXT_BYTES - 9, TEXT_BYTES - 8, 500] {
            let path = format!("/{}", "x".repeat(bytes - 1));
            for host in [None, Some("a.example"), Some(&*"h".repeat(253))] {
                let resource = resource(host, &path);
                let packed = PackedResource::new(&resource);
                assert_eq!(packed.unpack(), resource);
                assert!(packed.is(Match::Exact, host.map(str::as_bytes), path.as_bytes()));
            }
        }
    }

    #[test]
    fn the_end_of_the_host_counts() {
        let packed = PackedResource::new(&resource(Some("ab"), "/c"));
        assert!(packed.is(Match::Exact, Some(b"ab"), b"/c"));
        for (matching, host, path) in [
            (Match::Prefix, Some(&b"ab"[..]), &b"/c"[..]),
            (Match::Exact, None, b"/c"),
            (Match::Exact, Some(b"ac"), b"/c"),
            (Match::Exact, Some(b"a"), b"b/c"),
            (Match::Exact, Some(b"ab/"), b"c"),
            (Match::Exact, Some(b"ab"), b"/d"),
            (Match::Exact, Some(b"ab"), b"/c/c"),
        ] {
            assert!(!packed.is(matching, host, path), "{host:?} {path:?}");
        }
        let of_every_host = PackedResource::new(&resource(None, "/c"));
        assert!(
            of_every_host.is(Match::Exact, None, b"/c") && !of_every_host.is(Match::Exact, Some(b""), b"/c")
        );
    }
}
