//! Certificates from a real ACME server, Debian's pebble, whose challenges go through the installed HAProxy to
//! `edge-manager serve`.

mod authority;
mod browser;
mod dns;
mod download;
mod home;
mod issue;
mod keys;
mod killed;
mod pebble;
mod renewal;
mod troubles;
mod upload;
