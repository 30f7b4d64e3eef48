//! The companion of Edge Filter.
#![forbid(unsafe_code)]
