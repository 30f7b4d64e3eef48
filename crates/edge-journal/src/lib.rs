//! The state directory of Edge Filter for HAProxy: what outlives reload, restart and kill -9.
//!
//! | file | written by | holds |
//! |---|---|---|
//! | `rules.snapshot` | the manager | all its rules at one revision; replaced by rename |
//! | `rules.list.<revision>` | the manager | the rules of one list, complete before a journal names it |
//! | `rules.journal.<revision>` | the manager | what changed after that revision, appended; its last record names the next one |
//! | `rules.lock` | the manager | nothing; whoever writes `rules.*` holds its lock |
//! | `learned/<worker>.journal` | one HAProxy worker | what it learned, appended; locked while the worker lives |
//!
//! Each file is a preamble and frames with checksums ([`FORMAT_VERSION`]); [`Records`] reads all of them.
//! Nothing here starts a thread or asks for the time, and no content of a file makes it panic.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

// The model of the tests in tests/ names this crate.
#[cfg(test)]
extern crate self as edge_journal;
#[cfg(test)]
#[path = "../tests/journal/model.rs"]
mod model;

mod appender;
mod codec;
mod dir;
mod error;
mod file_name;
mod learned;
mod lessons;
mod mark;
mod record;
mod records;
mod rules_writer;
mod sequence;
mod stamps;
mod taken_back;

pub use codec::{
    EncodeError, FORMAT_VERSION, Invalid, MAX_FRAME_BYTES, MAX_LIST_NAME_BYTES, MAX_LISTS, MAX_OPERATIONS,
    MAX_PATH_BYTES, MAX_REASON_BYTES, MAX_RULES_PER_CHUNK, MAX_STAMP_US, encode_file,
};
pub use dir::{Identity, Listing, MAX_LEARNED_JOURNALS, StateDir};
pub use error::{Damage, ReadError};
pub use file_name::{FileKind, FileName, Worker};
pub use learned::{LearnedJournal, remove_learned, set_learned_aside};
pub use lessons::{Lessons, Ruling, learned_at_us, shortened};
pub use mark::{Digest, Mark, Seal};
pub use record::{Head, Record};
pub use records::{Next, Records, Source};
pub use rules_writer::{RulesWriter, Staged, WriteError};
pub use stamps::Stamps;
pub use taken_back::{MAX_TAKEN_BACK, Taken, TakenBack};
