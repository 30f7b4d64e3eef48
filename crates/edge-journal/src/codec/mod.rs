//! The format of the files: the one place that knows bincode.
//!
//! A file is a preamble of 16 bytes ([`preamble`]) and frames ([`frame`]); the payload of a frame is one record as
//! serde and bincode write the types of [`wire`], which belong to this format alone and are converted from and
//! to the filter's own with all their bounds checked ([`rule`], [`operation`]). Files in `golden/` pin it.

mod addresses;
mod bounds;
mod frame;
mod operation;
mod payload;
mod preamble;
mod rule;
mod seal;
mod wire;

pub use bounds::{
    Invalid, MAX_LIST_NAME_BYTES, MAX_LISTS, MAX_OPERATIONS, MAX_PATH_BYTES, MAX_REASON_BYTES,
    MAX_RULES_PER_CHUNK, MAX_STAMP_US,
};
pub use frame::MAX_FRAME_BYTES;
pub(crate) use frame::{FRAME_HEAD_BYTES, Frame, fingerprint, split};
pub use payload::{EncodeError, encode_file};
pub(crate) use payload::{addresses, change, decode, end, head, next, replace, rules, seal};
pub use preamble::FORMAT_VERSION;
pub(crate) use preamble::{BadPreamble, PREAMBLE_BYTES, check_preamble, could_be_preamble, preamble};
