//! Client addresses: networks and the longest-prefix table over them.

mod net;

pub use net::{ClientNet, InvalidNet};
