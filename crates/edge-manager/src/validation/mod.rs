//! ACME validation by HTTP (RFC 8555, section 8.3): a listener for HAProxy that answers nothing else.
//!
//! What clients can make HAProxy send there must lead nowhere else, so it shares neither port nor router with the API: it has
//! the answers of running orders and nothing besides. `answer` reads a request, `place` says where HAProxy reaches the
//! listener, `service` listens there.

mod answer;
mod place;
mod service;

pub use place::{Listen, Settings};
pub use service::Validation;
