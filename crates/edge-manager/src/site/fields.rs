//! From input to fields, with the place for the error.

use std::str::FromStr;

use super::input::Text;
use super::refusal::{FieldError, Refusal};

/// The part of the input that is being parsed.
pub(super) struct Place(String);

impl Place {
    pub(super) fn root() -> Self {
        Self(String::new())
    }

    /// A part that has a name of its own.
    pub(super) fn part(&self, name: &str) -> Self {
        Self(self.field(name))
    }

    /// An entry of a list, by its name where that is valid, by its position otherwise.
    pub(super) fn entry<Name: FromStr>(&self, list: &str, position: usize, name: &Text) -> Self {
        match name.as_str().parse::<Name>() {
            Ok(_) => Self(format!("{}[{name}]", self.field(list))),
            Err(_) => Self(format!("{}[{position}]", self.field(list))),
        }
    }

    pub(super) fn field(&self, name: &str) -> String {
        if self.0.is_empty() { name.into() } else { format!("{}.{name}", self.0) }
    }

    pub(super) fn refuse(&self, name: &str, value: &str, reason: impl Into<Refusal>) -> FieldError {
        FieldError::new(self.field(name), value, reason)
    }

    pub(super) fn with<T>(
        &self,
        name: &str,
        text: &Text,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<T, FieldError> {
        parse(text.as_str()).map_err(|reason| self.refuse(name, text.as_str(), reason))
    }

    pub(super) fn required<T: FromStr<Err = Refusal>>(
        &self,
        name: &str,
        text: &Text,
    ) -> Result<T, FieldError> {
        self.with(name, text, str::parse)
    }

    /// Clients send an empty text for what they leave out.
    pub(super) fn optional<T: FromStr<Err = Refusal>>(
        &self,
        name: &str,
        text: &Option<Text>,
    ) -> Result<Option<T>, FieldError> {
        match text {
            Some(text) if !text.as_str().is_empty() => self.required(name, text).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn list<T: FromStr<Err = Refusal>>(
        &self,
        name: &str,
        texts: &[Text],
        max_len: usize,
    ) -> Result<Vec<T>, FieldError> {
        self.check_len(name, texts.len(), max_len)?;
        let entry = |(i, text)| self.required(&format!("{name}[{i}]"), text);
        texts.iter().enumerate().map(entry).collect()
    }

    pub(super) fn check_len(&self, name: &str, len: usize, max_len: usize) -> Result<(), FieldError> {
        if len <= max_len {
            return Ok(());
        }
        Err(self.refuse(name, &format!("{len} entries"), format!("are more than {max_len}")))
    }
}
