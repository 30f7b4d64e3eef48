//! Hosts in canonical form.

/// A host in canonical form: lower case, no port, no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Box<str>);

impl Host {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
