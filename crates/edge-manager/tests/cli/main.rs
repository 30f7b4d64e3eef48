//! `edge-manager block`, `allow`, `list` and so on, as they are run, without a HAProxy.

mod audit;
mod events;
mod home;
mod rules;
#[path = "../shared/worker.rs"]
mod worker;
