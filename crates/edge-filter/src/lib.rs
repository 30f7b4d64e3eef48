//! Rules, tables, snapshot and header grammar of Edge Filter for HAProxy.
//!
//! This crate decides and does nothing else: no I/O, no clock, no `unsafe`, no Lua. Time is an argument
//! everywhere: whole seconds since the Unix epoch (`_s`), or microseconds (`_us`) where a TTL begins.
//!
//! The way in is [`Filter`], which holds the rules and takes [`Operation`]s, and [`Reader`], which looks
//! things up in the snapshot that the filter published last.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod address;
mod authority;
mod cells;
mod edit;
mod expiry;
mod explain;
mod filter;
mod hand_off;
mod hash;
mod header;
mod learn;
mod limits;
pub mod list;
mod operation;
mod reader;
mod resource;
mod retired;
mod rule;
mod rules;
mod slots;
mod snapshot;
mod tally;
mod text;
mod trie;
mod verdict;

pub use address::*;
pub use authority::*;
pub use edit::*;
pub use explain::*;
pub use filter::*;
pub use header::*;
pub use learn::*;
pub use limits::*;
pub use operation::*;
pub use reader::*;
pub use resource::*;
pub use rule::*;
pub use rules::{ChangeCounts, Lists, Replacement};
pub use snapshot::*;
pub use tally::VerdictCounts;
pub use verdict::*;
