//! Client addresses: networks and the longest-prefix table over them.

mod hosts;
mod net;
mod packed;
mod presence;
mod table;

pub use net::{ClientNet, InvalidNet};
pub use table::{AddressEntry, AddressTable};
