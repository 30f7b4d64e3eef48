//! The files to inspect.

use std::io;

use edge_journal::{FileName, Next, ReadError, Record, Records, StateDir};

/// The verdict on a directory, in the order of gravity; its number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Soundness {
    /// Everything is as it was written.
    Sound = 0,
    /// A part is lost.
    Damaged = 1,
    /// Something could not be read at all.
    Unreadable = 2,
}

impl Soundness {
    pub(super) fn of(error: &ReadError) -> Self {
        match error {
            // It was there when the directory was listed: its writer has removed it since.
            ReadError::NotFound { .. } => Self::Sound,
            ReadError::Damaged { .. } => Self::Damaged,
            ReadError::Foreign { .. } | ReadError::Newer { .. } | ReadError::Io { .. } => Self::Unreadable,
        }
    }
}

/// All files of the directory, those of the manager first, and whether there are more than are listed.
///
/// # Errors
/// The directory cannot be listed, or has none: it is hardly the one that was meant.
pub(super) fn files(dir: &StateDir) -> io::Result<(Vec<FileName>, bool)> {
    let (rules, learned) = (dir.rules_files()?, dir.journals()?);
    let (names, is_cut) = ([rules.files, learned.files].concat(), rules.is_cut || learned.is_cut);
    if names.is_empty() && !is_cut {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no files of a state directory"));
    }
    Ok((names, is_cut))
}

/// How the reading of a file ended.
pub(super) enum Ending {
    /// At its end, with so many bytes of an unfinished record.
    Whole { torn_bytes: u64 },
    /// Not at its end.
    Bad(ReadError),
    /// Because whoever got the records wanted no more.
    Refused(io::Error),
}

/// Gives every record of a file to `take`, with the place where it begins.
pub(super) fn each_record(
    records: &mut Records,
    mut take: impl FnMut(u64, Record) -> io::Result<()>,
) -> Ending {
    loop {
        let offset = records.offset();
        match records.next() {
            Ok(Next::Record(record)) => {
                if let Err(error) = take(offset, record) {
                    return Ending::Refused(error);
                }
            }
            Ok(Next::End { torn_bytes }) => return Ending::Whole { torn_bytes },
            Err(error) => return Ending::Bad(error),
        }
    }
}
