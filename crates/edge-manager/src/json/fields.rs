//! Objects whose errors name the field.
//!
//! The derived implementations of serde tell what is wrong with a value, not where. In ten thousand rules that is of no use.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// A text, borrowed where it has no escapes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;

        impl<'de> Visitor<'de> for Of {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Of)
    }
}

/// An object of fields, each there once at most; null is as good as absent.
pub(super) trait Fields<'de>: Default {
    /// What it is, for errors.
    const NAME: &'static str;

    /// Reads the value of the field of this name. False: there is no such field.
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads a value into its place.
pub(super) fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    place: &mut Option<T>,
    name: &str,
    map: &mut A,
) -> Result<bool, A::Error> {
    let value =
        map.next_value::<Option<T>>().map_err(|error| A::Error::custom(format_args!("{name}: {error}")))?;
    if place.is_some() {
        return Err(A::Error::custom(format_args!("{name}: given twice")));
    }
    *place = value;
    Ok(true)
}

pub(super) fn object<'de, T: Fields<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Of<T>(PhantomData<T>);

    impl<'de, T: Fields<'de>> Visitor<'de> for Of<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::NAME)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut fields = T::default();
            while let Some(Text(name)) = map.next_key()? {
                if !fields.read(&name, &mut map)? {
                    let shown = &name[..name.floor_char_boundary(MAX_NAME_BYTES)];
                    return Err(A::Error::custom(format_args!("{shown:?}: no field of {}", T::NAME)));
                }
            }
            Ok(fields)
        }
    }
    deserializer.deserialize_map(Of(PhantomData))
}

/// How much of the name of a field is repeated, bytes.
const MAX_NAME_BYTES: usize = 80;

/// What is wrong with a JSON text, without the place in it where that is told otherwise.
pub(super) fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.is_data() => what.to_owned(),
        _ => text,
    }
}
