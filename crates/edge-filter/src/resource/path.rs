//! Paths in canonical form.

/// Whether `;params` of a path segment (RFC 3986 section 3.3) belong to the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ParameterSegments {
    /// `/a;x=1` and `/a` are two resources.
    #[default]
    Keep,
    /// `;` and what follows it in a segment are dropped, on both sides.
    Drop,
}

/// A path in canonical form; always begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalPath(Box<str>);

impl CanonicalPath {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
