//! The companion of Edge Filter for HAProxy: what its command line does, apart from reading the arguments.
#![forbid(unsafe_code)]

pub mod cli;
pub mod journal;
pub mod render;
pub mod site;
