//! What certificate is wanted.

use super::{KeyKinds, Names, Proof};

/// What certificate is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its names.
    pub names: Names,
    /// Its keys.
    pub keys: KeyKinds,
    /// How control of the names is proven.
    pub proof: Proof,
}
