//! The record of what haproxy.cfg is made of, and its changes: each is published, and only then recorded.

mod allowed;
mod change;
mod error;
mod merge;
mod paths;
mod preview;
mod record;
mod rolled_back;
mod service;
mod validating;
mod wish;

pub use change::NewDomain;
pub use error::SitesError;
pub use merge::{Merged, MergedSite, try_merge};
pub use paths::NamedPaths;
pub use preview::Preview;
pub use record::{Defaults, SiteRecord};
pub use service::{Changed, Sites};
