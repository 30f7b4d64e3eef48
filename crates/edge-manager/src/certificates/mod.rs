//! Certificates: got from an ACME server (RFC 8555) or brought by an operator, kept in files, renewed in time.
//!
//! [`Certificates`] keeps the files and the record, and gets what is missing; who calls it has HAProxy use what it got. An order is
//! a sequence of steps, each of them recorded before the next: a process that was killed goes on where it was.

mod asking;
mod authority;
mod bundle;
mod challenge;
mod error;
mod files;
mod key;
mod names;
mod order;
mod ordering;
mod removal;
mod renewal;
mod service;
mod settings;
mod stand_in;
mod upkeep;
mod wish;

pub use authority::{Authority, ExternalAccount};
pub use bundle::{Bundle, BundleError, Leaf};
pub use challenge::{Answers, DnsSettings, DnsUpdate, Proof, Record};
pub use error::CertificateError;
pub use files::Files;
pub use key::{KeyKind, KeyKinds, PrivateKey};
pub use names::Names;
pub use order::Step;
pub use renewal::WARN_DAYS;
pub use service::{Certificates, Installed};
pub use settings::Settings;
pub use stand_in::{StandIns, stand_in_before_start};
pub use upkeep::Warning;
pub use wish::Wish;
