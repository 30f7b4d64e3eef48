//! A rule that is to be removed.

use edge_filter::Target;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess};
use std::borrow::Cow;
use utoipa::ToSchema;

use super::fields::{Fields, Text, object, value};
use super::request::Subject;
use super::rule::kind_of;
use crate::rules::{Change, as_written};
use crate::store::Kind;

/// A rule that is to be removed: its `id`, or exactly one of `target`, `ip` and `url` as it was made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Removal)]
#[serde(deny_unknown_fields)]
pub struct RemovalJson<'a> {
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(super) id: Option<i64>,
    /// To remove an entry that allows, it must be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Kind>,
    /// An address, a CIDR, `/path` or `host/path`, with `/*` behind for all below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) target: Option<Text<'a>>,
    /// An address or a CIDR, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) ip: Option<Text<'a>>,
    /// As `target`, of a resource; `http://` or `https://` before it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) url: Option<Text<'a>>,
    /// The conditions of the rule, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) conditions: Option<Text<'a>>,
}

impl<'de> Fields<'de> for RemovalJson<'de> {
    const NAME: &'static str = "a rule that is to be removed";

    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "id" => value(&mut self.id, name, map),
            "kind" => value(&mut self.kind, name, map),
            "target" => value(&mut self.target, name, map),
            "ip" => value(&mut self.ip, name, map),
            "url" => value(&mut self.url, name, map),
            "conditions" => value(&mut self.conditions, name, map),
            _ => Ok(false),
        }
    }
}

impl<'de> Deserialize<'de> for RemovalJson<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl RemovalJson<'_> {
    /// The change that is meant.
    ///
    /// # Errors
    /// One line that names the field and its value.
    pub fn change(&self) -> Result<Change, String> {
        let Self { id, kind, target, ip, url, conditions } = self;
        let Some(id) = id else {
            let conditions = conditions.as_ref().map_or("", |Text(text)| text);
            return Ok(Change::Remove(Subject { kind: *kind, target, ip, url }.target(conditions)?));
        };
        let is_alone = kind.is_none() && [target, ip, url, conditions].into_iter().all(Option::is_none);
        if is_alone {
            Ok(Change::RemoveNumber(*id))
        } else {
            Err("id: not together with other fields".to_owned())
        }
    }

    /// The request for the removal of the rule with this target.
    pub(super) fn of(target: &Target) -> RemovalJson<'static> {
        let text = |text: String| Some(Text(Cow::Owned(text))).filter(|Text(text)| !text.is_empty());
        let (name, conditions) = as_written(target);
        let kind = Some(kind_of(target));
        RemovalJson { kind, target: text(name), conditions: text(conditions), ..RemovalJson::default() }
    }

    /// The request for the removal of the rule of this number.
    pub(super) fn of_number(id: i64) -> RemovalJson<'static> {
        RemovalJson { id: Some(id), ..RemovalJson::default() }
    }
}
