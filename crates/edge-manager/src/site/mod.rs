//! What operators want HAProxy to serve: domains, backends, servers and what holds for all of them.
//!
//! A value of these types is valid. What clients send is [`SiteInput`]; [`Site::parse`] is the only way from there.
//! Whatever of it reaches haproxy.cfg is an address, a number, a length of time or one of [`words`]: texts of an allow-list
//! each, which cannot end a line, open a quote, begin a comment or name a variable.

mod address;
mod backend;
mod balance;
mod domain;
mod fields;
mod global;
mod input;
mod options;
mod proxies;
mod refusal;
mod server;
mod time;
mod whole;
pub mod words;

pub use address::{Bind, Endpoint, LogTarget, ServerAddress, ValidationServer};
pub use backend::{Backend, HealthCheck, Hsts, Mode};
pub use balance::Balance;
pub use domain::{Domain, DomainName};
pub use global::{Filter, Global, Limits, Mailers, Member, Page, Peers};
pub use input::*;
pub use options::ServerOptions;
pub use proxies::ProxyGroup;
pub(crate) use proxies::{DeletedHeaders, deleted_headers};
pub use refusal::{FieldError, Refusal};
pub use server::Server;
pub use time::TimeSpan;
pub use whole::{MAX_BACKENDS, MAX_DOMAINS, MAX_SERVERS_PER_BACKEND, Site};
