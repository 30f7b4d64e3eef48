//! Client addresses: networks and the longest-prefix table over them.

mod arrivals;
mod hosts;
mod net;
mod packed;
mod presence;
mod remains;
mod renewal;
mod table;

pub(crate) use arrivals::Arrivals;
pub use net::{ClientNet, InvalidNet};
pub(crate) use packed::{Ruling, Tenure};
pub(crate) use remains::Remains as AddressRemains;
pub(crate) use renewal::{AddressRenewal, Pass};
pub use table::{AddressEntry, AddressTable};
