//! Client addresses: networks and the longest-prefix table over them.

mod hosts;
mod net;
mod packed;
mod presence;
mod remains;
mod table;

pub use net::{ClientNet, InvalidNet};
pub(crate) use remains::Remains as AddressRemains;
pub use table::{AddressEntry, AddressTable};
