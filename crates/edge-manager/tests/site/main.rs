//! Domains, backends and the configuration over HTTP, checked by the HAProxy of this machine, which does not run.

mod access;
mod configuration;
mod domains;
mod hostile;
mod manager;
mod restart;
mod whole;
