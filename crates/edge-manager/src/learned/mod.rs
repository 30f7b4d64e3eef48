//! What backends teach HAProxy: followed in the state directory, kept with its provenance, taken back, and made to stay.

mod error;
mod follower;
mod hits;
mod journals;
mod lesson;
mod page;
mod service;
#[cfg(test)]
mod tests;

pub use error::LearnedError;
pub use follower::Round;
pub use hits::{Hits, Seen};
pub use lesson::{Lesson, Over};
pub use page::{InvalidId, Item, ResourceId, ResourceSelection, page};
pub use service::{Learned, PINNED};
