//! How a value gets into a file.

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, escape_formatter};

/// Name of the escaping of configuration, which is to refuse. It makes the engine tell what blocks and macros of a template
/// have written from values of the site: only the former may have several lines.
pub(super) const CONFIGURATION: &str = "configuration";

/// Writes one value of the site, or what a block of a template has written.
///
/// The types of the site cannot hold a line break. This is the second line of defence, for values that a template puts
/// together and for whatever is added to the site one day.
pub(super) fn write(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::new(ErrorKind::InvalidOperation, reason));
    match value.kind() {
        ValueKind::Number | ValueKind::String => {}
        // `{{ backend.nme }}`: the engine says it best.
        ValueKind::Undefined => return escape_formatter(out, state, value),
        ValueKind::Bool | ValueKind::None => {
            return refuse(format!("the value here is {value}: test it with an if, or choose what to write"));
        }
        kind => return refuse(format!("the value here is a {kind}: write its parts")),
    }
    if !value.is_safe()
        && let Some(text) = value.as_str()
        && let Some(c) = text.chars().find(|c| c.is_control() || ['\u{2028}', '\u{2029}'].contains(c))
    {
        let shown: String = text.chars().take(40).collect();
        return refuse(format!("the value {shown:?} has the control character U+{:04X}", u32::from(c)));
    }
    match state.auto_escape() {
        AutoEscape::Html => escape_formatter(out, state, value),
        _ => Ok(write!(out, "{value}")?),
    }
}
