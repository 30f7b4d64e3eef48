//! The configuration that HAProxy runs: put in its place as a whole, or not at all.
//!
//! [`Configuration::publish`] renders a site into a new set of files, has HAProxy check them, leads the link `current` to the
//! set, makes HAProxy reload, sees that its new worker runs the set, and goes back to the last good one where it does not.

mod answers;
mod complaints;
mod directives;
mod error;
mod lack;
mod manifest;
mod overrides;
mod preflight;
mod server_state;
mod service;
mod sets;
mod settings;
mod transaction;

pub use answers::{Past, Preview, Published};
pub use error::{PublishError, Serving};
pub use lack::Lack;
pub use manifest::Manifest;
pub use overrides::OperatorTemplate;
pub use service::{Configuration, render};
pub use sets::{MAX_SETS, Set};
pub use settings::{Patience, Settings};
