//! What publishing a configuration does to a running HAProxy: the installed one, and those of other series that
//! `scripts/haproxy-root.sh` has fetched.

mod adopted;
mod attached;
mod broken;
mod cli;
mod client;
mod failing;
mod home;
mod killed;
mod programs;
mod sets;
mod supervised;
