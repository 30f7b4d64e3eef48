//! haproxy.cfg and the files beside it, from a [`Site`](crate::site::Site) and templates.
//!
//! [`Templates`] are the built-in ones and those of the operator; they read a directory once and do no other I/O.
//! [`Templates::render`] gives a [`Rendered`], which somebody else puts in place.

mod context;
mod error;
mod formatter;
mod lists;
mod output;
mod rendered;
mod templates;
mod tidy;
mod version;

pub use error::TemplateError;
pub use rendered::{Rendered, diff};
pub use templates::{MAX_TEMPLATE_BYTES, MAX_TEMPLATES, Templates, built_in_templates};
pub use version::{UnknownVersion, Version};
