//! Servers.

use serde::Serialize;

use super::address::{ServerAddress, port};
use super::fields::Place;
use super::input::ServerInput;
use super::options::ServerOptions;
use super::refusal::FieldError;
use super::words::Name;

/// A server of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Its name, unique in the backend.
    pub name: Name,
    /// Where it is.
    pub address: ServerAddress,
    /// Its port.
    pub port: u16,
    /// Further words of its line.
    pub options: ServerOptions,
}

impl Server {
    pub(super) fn parse(input: &ServerInput, place: &Place) -> Result<Self, FieldError> {
        Ok(Self {
            name: place.required("name", &input.name)?,
            address: place.required("address", &input.address)?,
            port: place.with("port", &input.port, port)?,
            options: place.optional("options", &input.options)?.unwrap_or_default(),
        })
    }
}
