//! The record of what haproxy.cfg is made of, and its changes: each is published, and only then recorded.

mod change;
mod error;
mod merge;
mod record;
mod service;
mod templates;
mod wish;

pub use change::NewDomain;
pub use error::SitesError;
pub use merge::{Merged, MergedSite, try_merge};
pub use record::{Defaults, SiteRecord};
pub use service::{Changed, Sites};
pub use templates::Preview;
