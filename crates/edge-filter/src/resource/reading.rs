//! The second reading of a path: backends differ in whether an escaped slash is a slash.

use super::ParameterSegments;
use super::blocks::{certainly_canonical, find};
use super::escape::{TooLong, escaped_byte, hex_byte};
use super::path::{Borrowed, Part, Reading, borrow_canonical, rewrite, rewrite_canonical, without_slash};
use crate::{Settings, Status, Verdict};

/// A path as backends read it, in canonical form: a rule on either reading is a rule on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathReadings<'a> {
    /// [`crate::canonical_path`]: an escaped slash is a character of its segment.
    pub first: &'a [u8],
    /// An escaped slash is a slash, and what else `settings` of [`path_readings`] says. `None` where the path holds
    /// nothing of that.
    pub second: Option<&'a [u8]>,
}

/// A path that is refused as it is, whatever the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadablePath {
    /// A reading, or what it was before a dot segment shortened it, does not fit its buffer: 414.
    #[error("the path is too long to be held against the rules")]
    TooLong,
    /// It has two readings, and [`Settings::strict_paths`] is set: 400.
    #[error("backends may read the path in two ways, and EDGE_STRICT_PATHS is on")]
    TwoReadings,
}

impl From<TooLong> for UnreadablePath {
    fn from(TooLong: TooLong) -> Self {
        Self::TooLong
    }
}

impl UnreadablePath {
    pub(crate) fn verdict(self) -> Verdict {
        Verdict::Deny(match self {
            Self::TooLong => Status::URI_TOO_LONG,
            Self::TwoReadings => Status::BAD_REQUEST,
        })
    }
}

/// The readings of a path as HAProxy's `path` gives it. In the second one an escaped slash is a slash; with
/// [`Settings::path_backslash`] a backslash and its escape too; with [`Settings::path_double_escape`] an escape of an
/// escape is decoded twice; where `;params` are dropped, an escaped semicolon begins some. All of that at once: there are
/// never more than two. O(n), allocates nothing, never panics.
///
/// # Errors
/// See [`UnreadablePath`].
pub fn path_readings<'a>(
    raw: &'a [u8],
    settings: &Settings,
    first_out: &'a mut [u8],
    second_out: &'a mut [u8],
) -> Result<PathReadings<'a>, UnreadablePath> {
    readings_behind(raw, certainly_canonical(raw), settings, first_out, second_out)
}

/// [`path_readings`] of a text of which so many bytes are known to be canonical, whatever comes behind them, and to hold
/// no escape.
#[inline]
pub(super) fn readings_behind<'a>(
    raw: &'a [u8],
    known: usize,
    settings: &Settings,
    first_out: &'a mut [u8],
    second_out: &'a mut [u8],
) -> Result<PathReadings<'a>, UnreadablePath> {
    let one = |first| Ok(PathReadings { first, second: None });
    if let Some(path) = without_slash(raw) {
        return one(path);
    }
    let first = match borrow_canonical(raw, known, settings.parameter_segments) {
        // It is borrowed, and held to the same bound all the same.
        Some(Borrowed { path, .. }) if path.len() > first_out.len() => return Err(UnreadablePath::TooLong),
        // Nothing in it is read in two ways but an escape.
        Some(Borrowed { path, has_escape: false }) => return one(path),
        Some(Borrowed { path, .. }) => path,
        None => rewrite_canonical(raw, settings.parameter_segments, first_out)?,
    };
    if !has_second_reading(raw, settings) {
        return one(first);
    }
    if settings.strict_paths {
        return Err(UnreadablePath::TwoReadings);
    }
    let second = Some(rewrite(raw, Lenient(settings), second_out)?);
    Ok(PathReadings { first, second })
}

/// Whether this path, as HAProxy's `path` gives it, is its own canonical form and has no second reading: every backend
/// takes it for the path that rules are held against.
pub fn has_one_reading(raw_path: &[u8], settings: &Settings) -> bool {
    raw_path.first() == Some(&b'/')
        && borrow_canonical(raw_path, 0, settings.parameter_segments).is_some_and(|borrowed| {
            borrowed.path.len() == raw_path.len()
                && (!borrowed.has_escape || !has_second_reading(raw_path, settings))
        })
}

/// Whether a path that begins with a slash has a character that is read in two ways.
fn has_second_reading(raw: &[u8], settings: &Settings) -> bool {
    let lenient = Lenient(settings);
    let mut at = 0;
    while let Some(before) = lenient.find_suspect(&raw[at..]) {
        at += before;
        let Decoded { byte, bytes, times } = lenient.decode(&raw[at..]);
        if times == 2 || lenient.meaning(byte).is_some() {
            // Behind one of these there is no path.
            return !raw[..at].iter().any(|byte| matches!(byte, b'?' | b'#'));
        }
        at += bytes;
    }
    false
}

/// The second reading.
#[derive(Clone, Copy)]
struct Lenient<'a>(&'a Settings);

/// A character at the start of a text.
struct Decoded {
    byte: u8,
    /// Of the text.
    bytes: usize,
    /// How often it was escaped.
    times: u8,
}

impl Lenient<'_> {
    /// Where the first character is that may be read in two ways.
    fn find_suspect(self, raw: &[u8]) -> Option<usize> {
        if self.0.path_backslash {
            raw.iter().position(|byte| matches!(byte, b'%' | b'\\'))
        } else {
            find(b'%', raw)
        }
    }

    fn decode(self, raw: &[u8]) -> Decoded {
        let once = decode_once(raw);
        if once.byte != b'%' || !self.0.path_double_escape {
            return once;
        }
        let high = decode_once(raw.get(once.bytes..).unwrap_or_default());
        let low = decode_once(raw.get(once.bytes + high.bytes..).unwrap_or_default());
        match hex_byte(high.byte, low.byte) {
            Some(byte) => Decoded { byte, bytes: once.bytes + high.bytes + low.bytes, times: 2 },
            None => once,
        }
    }

    /// What this byte separates, escaped or not.
    fn meaning(self, byte: u8) -> Option<Part> {
        match byte {
            b'/' => Some(Part::Slash),
            b'\\' if self.0.path_backslash => Some(Part::Slash),
            b';' if self.0.parameter_segments == ParameterSegments::Drop => Some(Part::Parameters),
            _ => None,
        }
    }
}

fn decode_once(raw: &[u8]) -> Decoded {
    match (escaped_byte(raw), raw.first()) {
        (Some(byte), _) => Decoded { byte, bytes: 3, times: 1 },
        (None, Some(&byte)) => Decoded { byte, bytes: 1, times: 0 },
        (None, None) => Decoded { byte: 0, bytes: 0, times: 0 },
    }
}

impl Reading for Lenient<'_> {
    fn part(self, raw: &[u8]) -> (Part, usize) {
        let Decoded { byte, bytes, .. } = self.decode(raw);
        (self.meaning(byte).unwrap_or(Part::Byte(byte)), bytes)
    }

    fn parameters(self) -> ParameterSegments {
        self.0.parameter_segments
    }
}

#[cfg(test)]
mod tests;
