//! Values that older clients send in more than one form.

use std::borrow::Cow;

use serde_json::Value;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, SchemaType, Type};

use super::ApiError;

/// Whether a flag is set; one that is left out, or left empty, is not.
///
/// # Errors
/// 400: it is none.
pub(super) fn flag(field: &'static str, value: Option<&Value>) -> Result<bool, ApiError> {
    let is_set = match value {
        None => Some(false),
        Some(Value::Bool(is_set)) => Some(*is_set),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Some(Value::String(text)) => match &*text.to_ascii_lowercase() {
            "" | "0" | "false" => Some(false),
            "1" | "true" => Some(true),
            _ => None,
        },
        Some(_) => None,
    };
    let value = value.unwrap_or(&Value::Null);
    let wanted = || ApiError::bad_request(format_args!("{field}: {value}: true, false, 1 or 0 is wanted"));
    is_set.ok_or_else(wanted)
}

/// A text; of another value, how JSON has it. `None` for what is left out.
pub(super) fn text(value: Option<&Value>) -> Option<Cow<'_, str>> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    }
}

/// Of what [`text`] takes.
pub(super) fn text_schema(description: &str) -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description)).into()
}

/// A whole number, as such or as a text of digits.
pub(super) fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        other => other.as_u64(),
    }
}

/// Of what [`flag`] takes.
pub(super) fn flag_schema(description: &str) -> Schema {
    let text =
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["true", "false", "1", "0", ""]));
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(1));
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Boolean))
        .item(number)
        .item(text)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some(description))
        .into()
}

/// Of what [`whole`] takes.
pub(super) fn whole_schema(description: &str, min: u64, max: u64) -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max));
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+$"));
    OneOfBuilder::new()
        .item(number)
        .item(text)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some(description))
        .into()
}
