//! Resources: hosts and paths in canonical form, conditions, and the table of resource rules.

mod base;
mod blocks;
mod condition;
mod escape;
mod found;
mod hashes;
mod host;
mod name;
mod packed;
mod path;
mod query;
mod reading;
mod remains;
mod scratch;
mod table;

pub(crate) use base::Base;
pub use base::split_base;
pub(crate) use condition::method;
pub use condition::{Conditions, InvalidCondition, MAX_CONDITION_BYTES, Request};
pub use escape::TooLong;
pub(crate) use escape::canonical_escapes;
pub(crate) use found::{Found, Known};
pub use host::{Host, InvalidHost, canonical_host};
pub use name::{InvalidResource, Match, Resource};
pub use path::{CanonicalPath, InvalidPath, ParameterSegments, canonical_path};
pub use query::{Query, canonical_query, parameter_values};
pub use reading::{PathReadings, UnreadablePath, has_one_reading, path_readings};
pub(crate) use remains::Remains as ResourceRemains;
pub use scratch::Scratch;
pub(crate) use table::{ResourceRule, ResourceRules, ResourceTable};
