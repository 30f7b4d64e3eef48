//! Files of rules, as operators keep them. A parser yields one result a line: a bad line is reported and
//! skipped, it never spoils the rest of its file.

mod addresses;
mod lines;
mod resources;

pub use addresses::addresses;
pub use lines::BadLine;
pub use resources::{Listed, resources};
