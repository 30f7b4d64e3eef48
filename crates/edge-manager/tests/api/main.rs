//! The API over TCP, with a record and a state directory of its own, and something that answers as HAProxy's stats socket does.

mod access;
mod audit;
mod blocked_ips;
mod bulk;
mod caps;
mod clients;
mod events;
mod explain;
mod harness;
mod metrics;
mod openapi;
mod pages;
mod process;
mod refusals;
mod resources;
mod rules;
mod security;
#[path = "../shared/worker.rs"]
mod worker;
