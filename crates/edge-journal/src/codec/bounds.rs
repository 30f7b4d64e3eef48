//! The bounds of everything that a record holds, the same for what is written and what is read.

use edge_filter::{InvalidCondition, MAX_CONDITION_BYTES};

/// Lists that one snapshot names; the filter knows 255 sources.
pub const MAX_LISTS: usize = 250;

/// Rules of one record.
pub const MAX_RULES_PER_CHUNK: usize = 4096;

/// Operations of one batch.
pub const MAX_OPERATIONS: usize = 4096;

/// Longest path of a rule, bytes: the largest that `EDGE_MAX_PATH_BYTES` takes.
pub const MAX_PATH_BYTES: usize = 16_384;

/// Longest reason of a rule, bytes: the largest that `EDGE_MAX_REASON_BYTES` takes.
pub const MAX_REASON_BYTES: usize = 1024;

/// Longest name of a list, bytes.
pub const MAX_LIST_NAME_BYTES: usize = 1024;

/// The latest stamp, microseconds since the Unix epoch: the end of the year 2199. A later one would be handed on for
/// ever, since every stamp given is later than those read.
pub const MAX_STAMP_US: u64 = 7_258_118_400_000_000;

/// Longest text of a provenance, bytes; those of the filter are shorter.
const MAX_PROVENANCE_BYTES: usize = MAX_CONDITION_BYTES;

/// A content that no record may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not in canonical form.
    #[error("not a host in canonical form")]
    Host,
    /// Not in canonical form, or longer than [`MAX_PATH_BYTES`].
    #[error("not a path in canonical form of at most {MAX_PATH_BYTES} bytes")]
    Path,
    /// Not in canonical form.
    #[error("not a network in canonical form")]
    Net,
    /// No request could meet it.
    #[error("{0}")]
    Condition(InvalidCondition),
    /// No action has this number.
    #[error("no action has the number {0}")]
    Action(u16),
    /// Too long, or with control characters, which could fake a line of a log.
    #[error("a {what} has at most {max_bytes} bytes and no control characters")]
    Text {
        /// Which text.
        what: &'static str,
        /// Its bound, bytes.
        max_bytes: usize,
    },
    /// Too many of something.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Later than [`MAX_STAMP_US`].
    #[error("a stamp after the year 2199")]
    Stamp,
    /// A batch is a flat list.
    #[error("a batch within a batch")]
    Nested,
    /// Packed addresses of a length or with a list that they cannot have.
    #[error("packed addresses that mean nothing")]
    Packed,
    /// Not what a seal consists of.
    #[error("a seal that means nothing")]
    Seal,
    /// A rule refers to terms that its chunk does not hold.
    #[error("a rule without its terms")]
    Terms,
}

impl From<InvalidCondition> for Invalid {
    fn from(error: InvalidCondition) -> Self {
        Self::Condition(error)
    }
}

pub(super) fn at_most(count: usize, max: usize, what: &'static str) -> Result<(), Invalid> {
    if count <= max { Ok(()) } else { Err(Invalid::TooMany { what, max }) }
}

pub(super) fn stamp(stamp_us: u64) -> Result<u64, Invalid> {
    if stamp_us <= MAX_STAMP_US { Ok(stamp_us) } else { Err(Invalid::Stamp) }
}

pub(super) fn reason(text: &str) -> Result<&str, Invalid> {
    bounded(text, MAX_REASON_BYTES, "reason")
}

pub(super) fn list_name(text: &str) -> Result<&str, Invalid> {
    bounded(text, MAX_LIST_NAME_BYTES, "list's name")
}

pub(super) fn provenance(text: &str) -> Result<&str, Invalid> {
    bounded(text, MAX_PROVENANCE_BYTES, "text of a provenance")
}

fn bounded<'a>(text: &'a str, max_bytes: usize, what: &'static str) -> Result<&'a str, Invalid> {
    if text.len() <= max_bytes && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(Invalid::Text { what, max_bytes })
    }
}
