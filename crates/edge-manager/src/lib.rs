//! The companion of Edge Filter for HAProxy: the record of its rules, and how HAProxy gets them.
//!
//! `rules` is what everything is about; `store`, `publish` and `haproxy` are its ways to SQLite, to the state directory and to
//! a running HAProxy, and do not know each other; `cli` puts them together.
#![forbid(unsafe_code)]

pub mod cli;
pub mod haproxy;
pub mod journal;
pub mod learned;
pub mod publish;
pub mod render;
pub mod rules;
pub mod site;
pub mod store;
