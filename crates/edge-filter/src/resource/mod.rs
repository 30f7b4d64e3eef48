//! Resources: hosts and paths in canonical form, conditions, and the table of resource rules.

mod condition;
mod host;
mod name;
mod path;

pub use condition::{Conditions, Request};
pub use host::Host;
pub use name::{Match, Resource};
pub use path::{CanonicalPath, ParameterSegments};
