//! Percent-escapes in canonical form (RFC 3986 sections 2.1 to 2.4 and 6.2.2).

use super::ParameterSegments;

/// The canonical form does not fit the buffer it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too long")]
pub struct TooLong;

/// What a byte of a path or a query means to the scan for text that is canonical already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// May stand as it is.
    Plain,
    Slash,
    Semicolon,
    Percent,
    Question,
    Hash,
    /// Not allowed in a URI (RFC 3986 appendix A): a raw `"` can only mean `%22`.
    Illegal,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Illegal; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'/' => Class::Slash,
            b';' => Class::Semicolon,
            b'%' => Class::Percent,
            b'?' => Class::Question,
            b'#' => Class::Hash,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
                Class::Plain
            }
            other if is_unreserved(other) => Class::Plain,
            _ => Class::Illegal,
        };
        byte += 1;
    }
    classes
};

#[inline]
pub(super) fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// How many bytes at the start of `raw` may stand as they are, whatever comes before and after.
#[inline]
pub(super) fn plain_bytes(raw: &[u8]) -> usize {
    raw.iter().position(|&byte| class(byte) != Class::Plain).unwrap_or(raw.len())
}

/// The component of a URI that a text is: which escapes mean the same as their character differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Path(ParameterSegments),
    Query,
}

impl Component {
    /// Whether an escape of this byte is the byte itself.
    #[inline]
    fn decodes(self, byte: u8) -> bool {
        match self {
            // All of pchar (RFC 3986 section 3.3): servers decode each of them before they look for a file or a route.
            Self::Path(ParameterSegments::Keep) => matches!(class(byte), Class::Plain | Class::Semicolon),
            // Tomcat splits `;params` off first and decodes then (CoyoteAdapter.parsePathParameters): `%3B` begins none.
            Self::Path(ParameterSegments::Drop) => class(byte) == Class::Plain,
            // RFC 3986 section 3.4, but for the characters that delimit parameters or stand for a space.
            Self::Query => match class(byte) {
                Class::Plain => !matches!(byte, b'&' | b'=' | b'+'),
                Class::Slash | Class::Semicolon | Class::Question => true,
                Class::Percent | Class::Hash | Class::Illegal => false,
            },
        }
    }
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The byte that these hexadecimal digits stand for.
pub(super) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    Some(hex_value(high)? << 4 | hex_value(low)?)
}

/// The byte that the escape at the start of `raw` stands for.
pub(super) fn escaped_byte(raw: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = raw else { return None };
    hex_byte(high, low)
}

/// Whether `raw` begins with an escape that has to stay as it is.
pub(super) fn starts_with_canonical_escape(raw: &[u8], of: Component) -> bool {
    escaped_byte(raw).is_some_and(|byte| !of.decodes(byte)) && !raw[1..3].iter().any(u8::is_ascii_lowercase)
}

/// A bounded writer of canonical text.
pub(super) struct Output<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn into_written(self) -> &'a [u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(super) fn push(&mut self, byte: u8) -> Result<(), TooLong> {
        *self.bytes.get_mut(self.len).ok_or(TooLong)? = byte;
        self.len += 1;
        Ok(())
    }

    /// Writes the plain bytes at the start of `raw` and returns how many they are.
    pub(super) fn push_plain(&mut self, raw: &[u8]) -> Result<usize, TooLong> {
        let plain = &raw[..plain_bytes(raw)];
        let end = self.len + plain.len();
        self.bytes.get_mut(self.len..end).ok_or(TooLong)?.copy_from_slice(plain);
        self.len = end;
        Ok(plain.len())
    }

    fn push_escape(&mut self, byte: u8) -> Result<(), TooLong> {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.push(b'%')?;
        self.push(DIGITS[usize::from(byte >> 4)])?;
        self.push(DIGITS[usize::from(byte & 15)])
    }

    /// Writes a character of a path that has been decoded.
    pub(super) fn push_decoded(&mut self, byte: u8, of: Component) -> Result<(), TooLong> {
        if of.decodes(byte) { self.push(byte) } else { self.push_escape(byte) }
    }

    /// Writes the first character of a query and returns how many bytes of `raw` it took. A `%` that begins no escape is
    /// a character of its own, `%25`.
    fn push_of_query(&mut self, raw: &[u8]) -> Result<usize, TooLong> {
        if let Some(byte) = escaped_byte(raw) {
            self.push_decoded(byte, Component::Query)?;
            return Ok(3);
        }
        let Some(&byte) = raw.first() else { return Ok(0) };
        match class(byte) {
            Class::Percent | Class::Hash | Class::Illegal => self.push_escape(byte)?,
            Class::Plain | Class::Slash | Class::Semicolon | Class::Question => self.push(byte)?,
        }
        Ok(1)
    }
}

/// A query, or a part of one, with its escapes in canonical form and nothing else changed.
pub(crate) fn canonical_escapes<'a>(raw: &'a [u8], out: &'a mut [u8]) -> Result<&'a [u8], TooLong> {
    if is_canonical(raw) {
        return Ok(raw);
    }
    let mut out = Output::new(out);
    let mut at = 0;
    while at < raw.len() {
        at += out.push_plain(&raw[at..])?;
        at += out.push_of_query(&raw[at..])?;
    }
    Ok(out.into_written())
}

/// Whether [`canonical_escapes`] changes nothing.
pub(super) fn is_canonical(raw: &[u8]) -> bool {
    let mut at = 0;
    loop {
        at += plain_bytes(&raw[at..]);
        let Some(&byte) = raw.get(at) else { return true };
        at += match class(byte) {
            Class::Plain | Class::Slash | Class::Semicolon | Class::Question => 1,
            Class::Percent if starts_with_canonical_escape(&raw[at..], Component::Query) => 3,
            Class::Percent | Class::Hash | Class::Illegal => return false,
        };
    }
}
