//! Inspecting a state directory, read-only.

mod dump;
mod files;
mod json;
mod verify;

pub use dump::dump;
pub use files::Soundness;
pub use verify::verify;
