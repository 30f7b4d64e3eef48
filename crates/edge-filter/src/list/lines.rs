//! What the list formats have in common.

use crate::text::printable;

/// Longest part of a bad line that is repeated, bytes.
const MAX_SHOWN_BYTES: usize = 80;

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \"{text}\": {reason}")]
pub struct BadLine {
    /// Its number, counted from 1.
    pub line: usize,
    /// Its text, at most 80 bytes and without control characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BadLine {
    pub(super) fn new(line: usize, text: &[u8], reason: impl ToString) -> Self {
        Self { line, text: printable(text, MAX_SHOWN_BYTES), reason: reason.to_string() }
    }
}

/// The lines that are not blank, with their numbers, without white space around them. A byte order mark at the
/// beginning of the file and carriage returns, which editors leave behind, do not matter.
pub(super) fn lines(contents: &[u8], first_line: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mark: &[u8] = if first_line == 1 { b"\xef\xbb\xbf" } else { b"" };
    let contents = contents.strip_prefix(mark).unwrap_or(contents);
    (first_line..).zip(contents.split(|&b| b == b'\n')).filter_map(|(number, line)| {
        let line = line.trim_ascii();
        (!line.is_empty()).then_some((number, line))
    })
}
