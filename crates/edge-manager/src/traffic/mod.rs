//! What comes of requests: asked from the workers now and then, for whoever looks.

mod series;
mod service;
mod top;

pub use series::{Sample, Series, WINDOW_S};
pub use service::{LOOK_EVERY, Traffic, Worker};
pub use top::{MAX_TOP, Top};
