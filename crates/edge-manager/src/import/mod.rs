//! Taking over what other programs and files have: rules, domains and backends.
//!
//! A [`Source`] is read twice: once to find whatever cannot be taken, before anything is changed, and once to take it. It is
//! read as it goes, so that a million lines need no more memory than one change of [`MAX_CHANGES`](crate::rules::MAX_CHANGES).

mod acl_lines;
mod copy;
mod error;
mod flask;
mod foreign;
mod lines;
mod list_file;
mod problem;
mod settings;
mod source;

pub use acl_lines::{MAX_WORDS, SrcAcls};
pub use error::ImportError;
pub use flask::{Flask, FlaskSite};
pub use foreign::{Foreign, ForeignJson, Terms};
pub use list_file::{Form, ListFile};
pub use problem::{Place, Problem};
pub use source::Source;
