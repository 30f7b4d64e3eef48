//! Paths in canonical form.

use super::blocks::{BLOCK, certainly_canonical};
use super::escape::{
    Class, Component, Output, TooLong, class, escaped_byte, plain_bytes, starts_with_canonical_escape,
};

/// Whether `;params` of a path segment (RFC 3986 section 3.3) belong to the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ParameterSegments {
    /// `/a;x=1` and `/a` are two resources.
    #[default]
    Keep,
    /// `;` and what follows it in a segment are dropped, on both sides.
    Drop,
}

/// A path in canonical form; always begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalPath(Box<str>);

/// A text that is no path of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Nothing, or something else than `/` first.
    #[error("a path begins with /")]
    NoSlash,
    /// A query or a fragment is not part of a path, so a rule with one would never match.
    #[error("a path holds no ? or #")]
    QueryOrFragment,
    /// Most likely a mangled file: a rule that means such a byte can write its escape.
    #[error("a path holds no control characters")]
    Control,
    /// The canonical form is longer than this, bytes.
    #[error("the path is longer than {0} bytes")]
    TooLong(usize),
}

impl CanonicalPath {
    /// The path of a rule, in canonical form at most `max_bytes` long.
    ///
    /// # Errors
    /// See [`InvalidPath`].
    pub fn parse(
        text: impl AsRef<[u8]>,
        parameters: ParameterSegments,
        max_bytes: usize,
    ) -> Result<Self, InvalidPath> {
        let text = text.as_ref();
        if text.first() != Some(&b'/') {
            return Err(InvalidPath::NoSlash);
        }
        if text.iter().any(|b| matches!(b, b'?' | b'#')) {
            return Err(InvalidPath::QueryOrFragment);
        }
        if text.iter().any(u8::is_ascii_control) {
            return Err(InvalidPath::Control);
        }
        // Most rules are written in canonical form: only the others need a buffer.
        if let Some(borrowed) = borrow_canonical(text, 0, parameters) {
            return Self::from_canonical(borrowed.path, max_bytes);
        }
        // Dot segments may make a long text a short path; its unfinished form is still held to a bound.
        let mut buffer = vec![0; text.len().saturating_mul(3).min(max_bytes.saturating_mul(4))];
        let path = canonical_path(text, parameters, &mut buffer);
        Self::from_canonical(path.map_err(|TooLong| InvalidPath::TooLong(max_bytes))?, max_bytes)
    }

    /// The path of a request, as [`canonical_path`] gave it.
    pub(crate) fn from_canonical(path: &[u8], max_bytes: usize) -> Result<Self, InvalidPath> {
        if path.len() > max_bytes {
            return Err(InvalidPath::TooLong(max_bytes));
        }
        match str::from_utf8(path) {
            Ok(text) if text.starts_with('/') => Ok(Self(text.into())),
            _ => Err(InvalidPath::NoSlash),
        }
    }

    /// The path that had this text.
    pub(super) fn again(text: &str) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its trailing slash, `/` alone excepted.
    pub(super) fn without_trailing_slash(self) -> Self {
        match self.0.strip_suffix('/') {
            None | Some("") => self,
            Some(rest) => Self(rest.into()),
        }
    }

    /// Whether `path` is this path or lies below it by whole segments.
    pub(super) fn is_prefix_of(&self, path: &str) -> bool {
        let prefix = self.0.strip_suffix('/').unwrap_or(&self.0);
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The canonical form of a path as HAProxy's `path` gives it, so that each of the ways to write one path is
/// the same text: characters that may stand in a path (RFC 3986 section 3.3, pchar) without escapes, all other escapes
/// in upper case, bytes that RFC 3986 does not allow in a path escaped, a `%` that begins no escape written `%25`,
/// slashes merged, then dot segments removed (RFC 3986 section 5.2.4), `;params` dropped where `parameters` says so, and
/// whatever follows `?` or `#` cut off. Case is kept, and a trailing slash is another path. Where `;params` are dropped,
/// `%3B` stays an escape.
///
/// Escapes are decoded before dot segments are looked for and `%2F` is no slash: [`crate::path_readings`] has the other
/// reading. Slashes are merged before dot segments are removed, so `/a//../b` is `/b`. Empty input is `/`; anything else that does not begin with
/// a slash, such as the `*` of `OPTIONS *`, becomes `*`, which no rule has.
///
/// Input that is canonical already is recognised by one scan and borrowed. Idempotent, O(n), allocates
/// nothing, never panics; the result is pure visible ASCII.
///
/// # Errors
/// The canonical form, or what it was before a dot segment shortened it, does not fit `out`.
pub fn canonical_path<'a>(
    raw: &'a [u8],
    parameters: ParameterSegments,
    out: &'a mut [u8],
) -> Result<&'a [u8], TooLong> {
    if let Some(path) = without_slash(raw) {
        return Ok(path);
    }
    match borrow_canonical(raw, 0, parameters) {
        Some(borrowed) => Ok(borrowed.path),
        None => rewrite_canonical(raw, parameters, out),
    }
}

/// The canonical form of what does not begin with a slash.
#[inline]
pub(super) fn without_slash(raw: &[u8]) -> Option<&'static [u8]> {
    match raw.first() {
        Some(b'/') => None,
        None | Some(b'?' | b'#') => Some(b"/"),
        Some(_) => Some(b"*"),
    }
}

/// [`canonical_path`] of what begins with a slash and is not canonical.
pub(super) fn rewrite_canonical<'a>(
    raw: &[u8],
    parameters: ParameterSegments,
    out: &'a mut [u8],
) -> Result<&'a [u8], TooLong> {
    rewrite(raw, Canonical(parameters), out)
}

/// A text that is canonical as it stands.
pub(super) struct Borrowed<'a> {
    pub(super) path: &'a [u8],
    pub(super) has_escape: bool,
}

/// The path at the start of `raw`, if that is canonical, of which so many bytes are known to be and to hold no escape.
#[inline]
pub(super) fn borrow_canonical(
    raw: &[u8],
    known: usize,
    parameters: ParameterSegments,
) -> Option<Borrowed<'_>> {
    let mut at = known;
    let mut has_escape = false;
    // Where a block was looked at in vain, the next one is not worth a look before its end.
    let mut blocks_from = 0;
    while let Some(&byte) = raw.get(at) {
        at += match class(byte) {
            Class::Plain => plain_bytes(&raw[at..]),
            Class::Slash if !starts_with_removed_segment(&raw[at + 1..]) => {
                let rest = &raw[at + 1..];
                let mut known = 0;
                if at >= blocks_from && rest.len() > BLOCK {
                    known = certainly_canonical(rest);
                    blocks_from = at + known + BLOCK;
                }
                1 + known
            }
            Class::Semicolon if parameters == ParameterSegments::Keep => 1,
            Class::Percent if starts_with_canonical_escape(&raw[at..], Component::Path(parameters)) => {
                has_escape = true;
                3
            }
            Class::Question | Class::Hash => break,
            Class::Slash | Class::Semicolon | Class::Percent | Class::Illegal => return None,
        };
    }
    Some(Borrowed { path: &raw[..at], has_escape })
}

/// Whether the text behind a slash begins with another slash or a dot segment.
fn starts_with_removed_segment(rest: &[u8]) -> bool {
    match rest {
        [b'/', ..] | [b'.'] | [b'.', b'.'] => true,
        [b'.', b'.', end, ..] | [b'.', end, ..] => matches!(end, b'/' | b'?' | b'#'),
        _ => false,
    }
}

/// What a character of a path is.
pub(super) enum Part {
    /// The end of a segment.
    Slash,
    /// The beginning of `;params` that are dropped.
    Parameters,
    /// This byte of a segment.
    Byte(u8),
}

/// A way to read a path.
pub(super) trait Reading: Copy {
    /// What `raw`, which is not empty, begins with, and how many bytes of it that is.
    fn part(self, raw: &[u8]) -> (Part, usize);

    fn parameters(self) -> ParameterSegments;
}

/// As [`canonical_path`] does.
#[derive(Clone, Copy)]
struct Canonical(ParameterSegments);

impl Reading for Canonical {
    #[inline]
    fn part(self, raw: &[u8]) -> (Part, usize) {
        match (escaped_byte(raw), raw[0]) {
            (Some(byte), _) => (Part::Byte(byte), 3),
            (None, b'/') => (Part::Slash, 1),
            (None, b';') if self.0 == ParameterSegments::Drop => (Part::Parameters, 1),
            (None, byte) => (Part::Byte(byte), 1),
        }
    }

    fn parameters(self) -> ParameterSegments {
        self.0
    }
}

/// Writes the path, as it is read so, segment by segment. What is finished always ends with a slash, so an empty
/// segment leaves nothing behind and `..` goes back to the slash before.
pub(super) fn rewrite<'a>(raw: &[u8], reading: impl Reading, out: &'a mut [u8]) -> Result<&'a [u8], TooLong> {
    let of = Component::Path(reading.parameters());
    let mut out = Output::new(out);
    out.push(b'/')?;
    let mut finished = 1;
    let mut in_parameters = false;
    let mut at = 1;
    while let Some(&byte) = raw.get(at) {
        match class(byte) {
            Class::Question | Class::Hash => break,
            Class::Plain if in_parameters => at += 1,
            Class::Plain => at += out.push_plain(&raw[at..])?,
            _ => {
                let (part, bytes) = reading.part(&raw[at..]);
                at += bytes;
                match part {
                    Part::Slash => {
                        finished = remove_dot_segment(&mut out, finished);
                        if out.written().len() > finished {
                            out.push(b'/')?;
                            finished = out.written().len();
                        }
                        in_parameters = false;
                    }
                    Part::Parameters => in_parameters = true,
                    Part::Byte(_) if in_parameters => {}
                    Part::Byte(byte) => out.push_decoded(byte, of)?,
                }
            }
        }
    }
    remove_dot_segment(&mut out, finished);
    Ok(out.into_written())
}

/// Removes the last segment if it is a dot segment, and with `..` the one before. Returns the length of what
/// is finished.
fn remove_dot_segment(out: &mut Output<'_>, finished: usize) -> usize {
    let kept = match &out.written()[finished..] {
        b"." => finished,
        b".." => {
            let parents = &out.written()[..finished - 1];
            parents.iter().rposition(|&b| b == b'/').map_or(1, |slash| slash + 1)
        }
        _ => return finished,
    };
    out.truncate(kept);
    kept
}

#[cfg(test)]
mod tests;
