//! Resources: hosts and paths in canonical form, conditions, and the table of resource rules.

mod blocks;
mod condition;
mod escape;
mod host;
mod name;
mod packed;
mod path;
mod query;
mod remains;
mod scratch;
mod table;

pub(crate) use condition::method;
pub use condition::{Conditions, InvalidCondition, MAX_CONDITION_BYTES, Request};
pub use escape::TooLong;
pub(crate) use escape::canonical_escapes;
pub use host::{Host, InvalidHost, canonical_host, split_base};
pub use name::{InvalidResource, Match, Resource};
pub use path::{CanonicalPath, InvalidPath, ParameterSegments, canonical_path};
pub use query::{Query, canonical_query, parameter_values};
pub(crate) use remains::Remains as ResourceRemains;
pub use scratch::Scratch;
pub(crate) use table::{Found, Known, ResourceRule, ResourceRules, ResourceTable};
