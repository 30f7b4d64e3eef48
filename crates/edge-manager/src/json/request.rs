//! A rule that is to be made.

use std::borrow::Cow;
use std::fmt;

use edge_filter::{List, Target};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, ObjectBuilder, OneOfBuilder};

use super::fields::{Fields, Text, object, value};
use super::rule::kind_of;
use crate::clock;
use crate::rules::{self, Change, End, IfPresent, Input, NewRule, as_written, behind_scheme};
use crate::store::Kind;

/// A rule that is to be made: exactly one of `target`, `ip` and `url`, and what else there is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NewRule)]
#[serde(deny_unknown_fields)]
pub struct NewRuleJson<'a> {
    /// By default what the target is: block or resource. To allow clients, it must be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Kind>,
    /// An address, a CIDR, `/path` or `host/path`, with `/*` behind for all below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "192.0.2.0/24")]
    pub(super) target: Option<Text<'a>>,
    /// An address or a CIDR, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) ip: Option<Text<'a>>,
    /// As `target`, of a resource; `http://` or `https://` before it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) url: Option<Text<'a>>,
    /// Of a resource: what a request must meet too, as `method=POST query=id=7 param:id=7 anon src=192.0.2.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) conditions: Option<Text<'a>>,
    /// What is done; `deny` is `deny 403`, and what is done by default. Not of an entry that allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(deny( [45][0-9]{2})?|tarpit|drop|observe)$")]
    pub(super) action: Option<Text<'a>>,
    /// How long it holds, seconds. Without this and `expires_at` it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_000_000_000)]
    pub(super) ttl: Option<u64>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = time_schema)]
    pub(super) expires_at: Option<Time>,
    /// The list that it belongs to; by default `manual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 64, pattern = "^[a-z0-9._-]*$")]
    pub(super) list: Option<Text<'a>>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 1024, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub(super) reason: Option<Text<'a>>,
    /// Who makes it; by default whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub(super) by: Option<Text<'a>>,
    /// Where there is a rule with this target, give it this action, end, list and reason, in place of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replace: Option<bool>,
}

impl<'de> Fields<'de> for NewRuleJson<'de> {
    const NAME: &'static str = "a rule that is to be made";

    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "kind" => value(&mut self.kind, name, map),
            "target" => value(&mut self.target, name, map),
            "ip" => value(&mut self.ip, name, map),
            "url" => value(&mut self.url, name, map),
            "conditions" => value(&mut self.conditions, name, map),
            "action" => value(&mut self.action, name, map),
            "ttl" => value(&mut self.ttl, name, map),
            "expires_at" => value(&mut self.expires_at, name, map),
            "list" => value(&mut self.list, name, map),
            "reason" => value(&mut self.reason, name, map),
            "by" => value(&mut self.by, name, map),
            "replace" => value(&mut self.replace, name, map),
            _ => Ok(false),
        }
    }
}

impl<'de> Deserialize<'de> for NewRuleJson<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl<'a> NewRuleJson<'a> {
    /// The change that is meant. Who makes the rule is `by` unless it says otherwise.
    ///
    /// # Errors
    /// One line that names the field and its value.
    pub fn change(&self, by: &str, now_us: u64) -> Result<Change, String> {
        fn text<'t>(text: &'t Option<Text<'_>>) -> &'t str {
            text.as_ref().map_or("", |Text(text)| text)
        }
        let subject = Subject { kind: self.kind, target: &self.target, ip: &self.ip, url: &self.url };
        let (field, target) = subject.text()?;
        let allows = self.kind == Some(Kind::Allow);
        for (field, is_given) in
            [("action", self.action.is_some()), ("conditions", self.conditions.is_some())]
        {
            if allows && is_given {
                return Err(format!("{field}: an entry that allows has none"));
            }
        }
        let end = match (self.ttl, self.expires_at) {
            (None, None) => End::Never,
            (Some(ttl_s), None) => End::Ttl(ttl_s),
            (None, Some(Time(at_s))) => End::At(at_s),
            (Some(_), Some(_)) => return Err("ttl: not together with expires_at".to_owned()),
        };
        let input = Input {
            allows,
            target: &target,
            conditions: text(&self.conditions),
            action: text(&self.action),
            end,
            reason: text(&self.reason),
            list: text(&self.list),
            by: self.by.as_ref().map_or(by, |Text(by)| by),
        };
        let new = input.parse(now_us).map_err(|error| named(error, field))?;
        subject.check(&new.rule.target)?;
        let if_present = if self.replace == Some(true) { IfPresent::Replace } else { IfPresent::Refuse };
        Ok(Change::Put(new, if_present))
    }

    /// The request for this change.
    pub(super) fn of(new: &'a NewRule, if_present: IfPresent) -> Self {
        let NewRule { rule, by } = new;
        let owned = |text: String| Some(Text(Cow::Owned(text))).filter(|Text(text)| !text.is_empty());
        let borrowed = |text: &'a str| Some(Text(Cow::Borrowed(text)));
        let (target, conditions) = as_written(&rule.target);
        let kind = kind_of(&rule.target);
        let list = match &rule.origin {
            edge_filter::Origin::List(name) => borrowed(name),
            edge_filter::Origin::Learned(_) => None,
        };
        Self {
            kind: Some(kind),
            target: owned(target),
            conditions: owned(conditions),
            action: owned(rule.action.to_string()).filter(|_| kind != Kind::Allow),
            expires_at: Some(rule.expires_at_s)
                .filter(|end_s| *end_s != edge_filter::NEVER)
                .map(|end_s| Time(end_s.into())),
            list,
            reason: borrowed(&rule.reason),
            by: borrowed(by),
            replace: Some(if_present == IfPresent::Replace),
            ..Self::default()
        }
    }
}

/// What a rule is about, in the words of a request.
pub(super) struct Subject<'a> {
    pub(super) kind: Option<Kind>,
    pub(super) target: &'a Option<Text<'a>>,
    pub(super) ip: &'a Option<Text<'a>>,
    pub(super) url: &'a Option<Text<'a>>,
}

impl<'a> Subject<'a> {
    /// The one field that is given, and what it says as a target.
    pub(super) fn text(&self) -> Result<(&'static str, Cow<'a, str>), String> {
        match (self.target, self.ip, self.url) {
            (Some(Text(target)), None, None) => Ok(("target", Cow::Borrowed(target))),
            (None, Some(Text(ip)), None) => Ok(("ip", Cow::Borrowed(ip))),
            (None, None, Some(Text(url))) => {
                let rest = behind_scheme(url).unwrap_or(url);
                let path = if rest.contains('/') { "" } else { "/" };
                Ok(("url", Cow::Owned(format!("{url}{path}"))))
            }
            _ => Err("target: one of target, ip and url is needed, and only one".to_owned()),
        }
    }

    /// The rule that has this target already.
    pub(super) fn target(&self, conditions: &str) -> Result<Target, String> {
        let (field, text) = self.text()?;
        let target = match self.kind {
            Some(Kind::Allow) if !conditions.is_empty() => {
                return Err("conditions: an entry that allows has none".to_owned());
            }
            Some(Kind::Allow) => rules::client(List::Allow, &text),
            _ => rules::target(&text, conditions),
        };
        let target = target.map_err(|error| named(error, field))?;
        self.check(&target)?;
        Ok(target)
    }

    /// Whether the target is of the kind that was named.
    pub(super) fn check(&self, target: &Target) -> Result<(), String> {
        let is_client = matches!(target, Target::Client(..));
        match (self.kind, self.ip, self.url) {
            (_, Some(Text(ip)), _) if !is_client => {
                Err(format!("ip: {ip:?}: not an IPv4 or IPv6 address or CIDR"))
            }
            (_, _, Some(Text(url))) if is_client => Err(format!("url: {url:?}: a client, not a resource")),
            (Some(kind), ..) if kind != kind_of(target) => {
                let named = format!("{kind:?}").to_lowercase();
                let other = if is_client { "a client" } else { "a resource" };
                Err(format!("kind: \"{named}\": the target is {other}"))
            }
            _ => Ok(()),
        }
    }
}

/// An error about the target names the field that it came in.
fn named(mut error: rules::Invalid, field: &'static str) -> String {
    if error.field == "target" {
        error.field = field;
    }
    error.to_string()
}

/// A point in time, seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Time(pub(super) u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;

        impl Visitor<'_> for Of {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since the Unix epoch, or a time in UTC such as 2026-01-31T08:00:00Z")
            }

            fn visit_u64<E: Error>(self, at_s: u64) -> Result<Time, E> {
                Ok(Time(at_s))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                clock::time_s(text).map(Time).map_err(|error| E::custom(format_args!("{text:?}: {error}")))
            }
        }
        deserializer.deserialize_any(Of)
    }
}

fn time_schema() -> Schema {
    let at_s = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(u32::MAX - 1));
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let null = ObjectBuilder::new().schema_type(Type::Null);
    OneOfBuilder::new()
        .item(at_s)
        .item(text)
        .item(null)
        .description(Some(
            "When it ends: seconds since the Unix epoch, or a time in UTC such as 2026-01-31T08:00:00Z.",
        ))
        .into()
}
