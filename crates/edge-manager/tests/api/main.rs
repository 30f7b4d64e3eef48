//! The API over TCP, with a record and a state directory of its own, and something that answers as HAProxy's stats socket does.

mod access;
mod blocked_ips;
mod harness;
mod process;
mod refusals;
mod resources;
mod security;
