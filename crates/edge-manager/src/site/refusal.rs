//! Why a field was refused.

use std::borrow::Cow;
use std::fmt;

/// Characters of a refused value that an error shows; the rest is cut.
const SHOWN_CHARS: usize = 60;

/// What is wrong with a text, in words that follow the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(super) Cow<'static, str>);

impl From<&'static str> for Refusal {
    fn from(reason: &'static str) -> Self {
        Self(reason.into())
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self(reason.into())
    }
}

/// A field that was refused: which one, the value, the reason. It is one line, whatever the value was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// The path of the field, such as `backends[shop].servers[web1].address`. In brackets stands the name of the
    /// part, or its position, counted from 0, where the name is what is wrong or not yet known.
    pub field: String,
    /// The value, its control characters escaped, cut after 60 characters.
    pub value: String,
    /// What is wrong with it.
    pub reason: Refusal,
}

impl FieldError {
    pub(crate) fn new(field: String, value: &str, reason: impl Into<Refusal>) -> Self {
        let mut shown: String = value.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
        if value.chars().nth(SHOWN_CHARS).is_some() {
            shown.push_str("...");
        }
        Self { field, value: shown, reason: reason.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: \"{}\" {}", self.field, self.value, self.reason)
    }
}

/// Takes a text of 1 to `max_bytes` bytes that are all `allowed`; `wanted` lists those.
pub(super) fn all_of(
    text: &str,
    max_bytes: usize,
    allowed: impl Fn(u8) -> bool,
    wanted: &str,
) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.len() > max_bytes {
        return Err(format!("is longer than {max_bytes} bytes").into());
    }
    match text
        .char_indices()
        .find(|&(_, c)| !u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && allowed(byte)))
    {
        Some((at, c)) => Err(format!("has {} at byte {at}; allowed are {wanted}", name_of(c)).into()),
        None => Ok(()),
    }
}

/// Names a character so that whoever reads the error sees it.
pub(super) fn name_of(c: char) -> Cow<'static, str> {
    match c {
        '\n' | '\r' => "a line break".into(),
        ' ' => "a space".into(),
        '\t' => "a tab".into(),
        '"' | '\'' => "a quote".into(),
        '\\' => "a backslash".into(),
        c if c.is_control() => format!("the control character U+{:04X}", u32::from(c)).into(),
        c => format!("'{c}'").into(),
    }
}
