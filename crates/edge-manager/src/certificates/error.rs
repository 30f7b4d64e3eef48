//! Why there is no new certificate.

use std::io;
use std::path::{Path, PathBuf};

use super::BundleError;
use crate::store::StoreError;

/// Why there is no new certificate, in one line without any key. The one before is in force still.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// What was asked for cannot be taken.
    #[error("{0}")]
    Invalid(String),
    /// A domain that HAProxy does not serve.
    #[error("{0}: no such domain")]
    UnknownDomain(String),
    /// There is no certificate of this name.
    #[error("{0}: there is no certificate")]
    None(String),
    /// Somebody else gets one for this name now.
    #[error("{0}: a certificate for it is being ordered already")]
    Busy(String),
    /// A domain names what is to be removed.
    #[error("{0}: {1} is served with it")]
    Used(String, String),
    /// The ACME server, or the way to it.
    #[error("{message}")]
    Authority {
        /// What went wrong.
        message: String,
        /// When it says to come back, seconds since the Unix epoch.
        retry_at_s: Option<u64>,
        /// Whether it may go better by itself: a nonce, a connection, a limit.
        is_passing: bool,
    },
    /// The proof of control could not be put in its place.
    #[error("{0}")]
    Proof(String),
    /// What came is no certificate that could be used.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// A file, which the message names.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, io::Error),
    /// The record.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// HAProxy.
    #[error("HAProxy does not use it: {0}")]
    NotInForce(String),
}

impl CertificateError {
    pub(super) fn name(text: &str, refusal: &impl std::fmt::Display) -> Self {
        let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        Self::Invalid(format!("domain: \"{shown}\" {refusal}"))
    }

    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File(path, error)
    }

    /// The server does not want to give it.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::Authority { message: message.into(), retry_at_s: None, is_passing: false }
    }

    /// Whether the same may go better later by itself.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Authority { is_passing, .. } => *is_passing,
            Self::Busy(_) | Self::Proof(_) | Self::File(..) | Self::Record(_) | Self::NotInForce(_) => true,
            Self::Invalid(_) | Self::UnknownDomain(_) | Self::None(_) | Self::Used(..) | Self::Bundle(_) => {
                false
            }
        }
    }

    /// When the server says to come back, seconds since the Unix epoch.
    pub fn retry_at_s(&self) -> Option<u64> {
        match self {
            Self::Authority { retry_at_s, .. } => *retry_at_s,
            _ => None,
        }
    }
}
