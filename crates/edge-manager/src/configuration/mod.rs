//! The configuration that HAProxy runs: put in its place as a whole, or not at all.
//!
//! [`Configuration::publish`] renders a site into a new set of files, has HAProxy check them, leads the link `current` to the
//! set, makes HAProxy reload, sees that its new worker runs the set, and goes back to the last good one where it does not.

mod complaints;
mod directives;
mod error;
mod lack;
mod manifest;
mod preflight;
mod service;
mod sets;

pub use error::{PublishError, Serving};
pub use lack::Lack;
pub use manifest::Manifest;
pub use service::{Configuration, Past, Patience, Preview, Published, Settings, render};
pub use sets::{MAX_SETS, Set};
