//! The companion of Edge Filter for HAProxy: the record of its rules, and how HAProxy gets them.
//!
//! `rules` is what everything is about; `store`, `publish` and `haproxy` are its ways to SQLite, to the state directory and to
//! a running HAProxy, and do not know each other; `access` is who may use them; `api` and `web`, with `serve`, and `cli` put them together.
#![forbid(unsafe_code)]

pub mod access;
pub mod api;
pub mod caps;
pub mod cause;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod configuration;
pub mod events;
pub mod haproxy;
pub mod import;
pub mod journal;
pub mod json;
pub mod learned;
pub mod metrics;
pub mod publish;
pub mod render;
pub mod rules;
pub mod serve;
pub mod site;
pub mod sites;
mod socket_file;
pub mod store;
pub mod traffic;
pub mod validation;
pub mod watch;
pub mod web;
