//! What can be wrong with a file.

use std::io;

use crate::codec::FORMAT_VERSION;
use crate::{FileKind, FileName, Invalid};

/// Why a file, or the rest of it, was not read. One line, which names the file and the place.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file, or no state directory.
    #[error("{file}: not found")]
    NotFound {
        /// The file.
        file: FileName,
    },
    /// Something else altogether.
    #[error("{file}: not a file of Edge Filter")]
    Foreign {
        /// The file.
        file: FileName,
    },
    /// Written by a later version of this software.
    #[error("{file}: format {version} is newer than {FORMAT_VERSION}, the newest that this version reads")]
    Newer {
        /// The file.
        file: FileName,
        /// The version of its format.
        version: u16,
    },
    /// What comes before `offset` holds; what comes after cannot be trusted.
    #[error("{file}: damaged at byte {offset}: {damage}")]
    Damaged {
        /// The file.
        file: FileName,
        /// Where the first bad record begins, bytes.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The system did not give it.
    #[error("{file}: {error}")]
    Io {
        /// The file.
        file: FileName,
        /// What it said.
        error: io::Error,
    },
}

impl ReadError {
    pub(crate) fn io(file: &FileName, error: io::Error) -> Self {
        let file = file.clone();
        if error.kind() == io::ErrorKind::NotFound {
            Self::NotFound { file }
        } else {
            Self::Io { file, error }
        }
    }
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The bits of the preamble.
    #[error("the preamble's checksum is wrong")]
    Preamble,
    /// The file was renamed.
    #[error("a {found} under the name of a {expected}")]
    Kind {
        /// What the preamble says.
        found: FileKind,
        /// What the name says.
        expected: FileKind,
    },
    /// No record has this length.
    #[error("a record of {0} bytes")]
    Length(u32),
    /// The bits of a record.
    #[error("the checksum of a record is wrong")]
    Checksum,
    /// The checksum is right, but the bytes mean nothing.
    #[error("a record that means nothing: {0}")]
    Payload(String),
    /// The record is well formed and has a content that none may have.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A record that does not belong here.
    #[error("{0}")]
    Order(String),
    /// Each record is whole, but they are not the ones that were sealed, in their order.
    #[error("the records before the seal are not those that were written")]
    Content,
    /// A snapshot or list file without its last record.
    #[error("the file ends before its last record")]
    Unfinished,
}
