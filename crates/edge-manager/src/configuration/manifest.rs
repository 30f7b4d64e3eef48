//! What is known of a set besides its files.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::render::Rendered;

/// Longest name of who made a set, characters.
const MAX_NAME_CHARS: usize = 200;

/// Where a set is from; the file `manifest.json` in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its number: greater than that of all before it, and never given again.
    pub set: u64,
    /// When it was made, seconds since the Unix epoch.
    pub made_at_s: u32,
    /// Who made it, at most 200 characters.
    pub made_by: String,
    /// The earlier set that it repeats, if somebody went back to that.
    pub repeats: Option<u64>,
    /// SHA-256 of all its files with their paths.
    pub sha256: String,
}

impl Manifest {
    /// The file in a set.
    pub(super) const FILE: &str = "manifest.json";

    pub(super) fn new(set: u64, files: &Rendered, by: &str, repeats: Option<u64>, made_at_s: u32) -> Self {
        let made_by = by.chars().take(MAX_NAME_CHARS).collect();
        Self { set, made_at_s, made_by, repeats, sha256: sha256(files) }
    }
}

/// Lengths stand before what they are of: no two different sets are written the same.
pub(super) fn sha256(files: &Rendered) -> String {
    let mut hash = Sha256::new();
    for (path, contents) in files.files() {
        for part in [path, contents] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
