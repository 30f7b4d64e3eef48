//! Rules, tables, snapshot and header grammar of Edge Filter for HAProxy.
//!
//! This crate decides and does nothing else: no I/O, no clock, no `unsafe`, no Lua. Time is an argument
//! everywhere: whole seconds since the Unix epoch (`_s`), or milliseconds (`_ms`) where a TTL begins.
#![forbid(unsafe_code)]

mod address;
mod authority;
mod hash;
mod header;
mod learn;
mod limits;
pub mod list;
mod operation;
mod resource;
mod rule;
mod text;
mod trie;
mod verdict;

pub use address::*;
pub use authority::*;
pub use header::*;
pub use learn::*;
pub use limits::*;
pub use operation::*;
pub use resource::*;
pub use rule::*;
pub use verdict::*;
