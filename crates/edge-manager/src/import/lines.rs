//! Files as lines.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::ImportError;

/// Longest file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// How much of a text is repeated in a message, bytes.
const MAX_SHOWN_BYTES: usize = 80;

/// A line of a file, without its end and white space around it.
pub(super) enum Line<'a> {
    Text(&'a [u8]),
    TooLong,
}

/// Opens a file that can be read twice.
pub(super) fn regular(path: &Path, max_bytes: u64) -> Result<(File, Metadata), ImportError> {
    let of_file = |error| ImportError::Io(path.to_owned(), error);
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(of_file)?.is_file() {
        return Err(ImportError::NotRegular(path.to_owned()));
    }
    let file = File::open(path).map_err(of_file)?;
    let metadata = file.metadata().map_err(of_file)?;
    if metadata.len() > max_bytes {
        return Err(ImportError::TooLong(path.to_owned(), max_bytes));
    }
    Ok((file, metadata))
}

/// Gives each line, with its number counted from 1, to `take`. One line of at most `max_bytes` is in memory.
pub(super) fn each_line<E: From<ImportError>>(
    path: &Path,
    max_bytes: u64,
    mut take: impl FnMut(usize, Line<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (file, _) = regular(path, MAX_FILE_BYTES)?;
    let mut reader = BufReader::new(file.take(MAX_FILE_BYTES));
    let mut line = Vec::new();
    let of_file = |error| ImportError::Io(path.to_owned(), error);
    for number in 1.. {
        line.clear();
        let bytes = (&mut reader).take(max_bytes).read_until(b'\n', &mut line).map_err(of_file)?;
        if bytes == 0 {
            break;
        }
        if bytes as u64 == max_bytes && !line.ends_with(b"\n") {
            reader.skip_until(b'\n').map_err(of_file)?;
            take(number, Line::TooLong)?;
            continue;
        }
        // A byte order mark, which editors leave behind.
        let mark: &[u8] = if number == 1 { b"\xef\xbb\xbf" } else { b"" };
        let text = line.strip_prefix(mark).unwrap_or(&line);
        take(number, Line::Text(text.trim_ascii()))?;
    }
    Ok(())
}

/// How much of a text is repeated in a message.
pub(super) fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SHOWN_BYTES)]
}
