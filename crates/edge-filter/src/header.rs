//! The grammar of `X-Edge-Resource`.

use sfv::{BareItem, Item, List, Parser};

use crate::{Match, Status};

/// What a value of `X-Edge-Resource` asks for: a Structured Field Item (RFC 9651 section 3.3) whose value is a
/// boolean, or the token `true` or `false`, and whose parameters are the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The value of the item.
    pub change: Change,
    /// `ttl=N`, seconds, at least 1; saturated at `u32::MAX`.
    pub ttl_s: Option<u32>,
    /// `match=exact|prefix`; exact by default.
    pub matching: Match,
    /// `path="/x"`, as written.
    pub path: Option<String>,
    /// `method`: which methods are meant.
    pub method: Methods,
    /// `query`: only requests with this one's query.
    pub query: bool,
    /// `anon`: only requests without a session.
    pub anonymous: bool,
    /// `src`: only requests of this one's client.
    pub client: bool,
    /// `param="name"`: only requests that give this parameter this one's value.
    pub parameter: Option<String>,
    /// `scope=resource|client`; resource by default.
    pub scope: Scope,
    /// `status=N`.
    pub status: Option<Status>,
    /// `action=deny|tarpit|drop|observe`; deny by default.
    pub action: ActionName,
    /// `reason="..."`: visible ASCII and spaces.
    pub reason: Option<String>,
    /// `confirm=N`, 1 to [`MAX_CONFIRM`]: how many client networks have to be answered so.
    pub confirm: Option<u8>,
}

/// Whether a rule is made or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `false` or `?0`: the resource is not there, block it.
    Block,
    /// `true` or `?1`: take the block back.
    TakeBack,
}

/// Which methods a rule is meant for. What a method may teach at most is another matter: see [`crate::learn()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// `method` is absent or `?0`: all of them for a GET, else that of the request alone.
    Default,
    /// `method` or `method=?1`: that of the request alone.
    Own,
    /// `method=any`: all of them.
    Any,
}

/// Most client networks that `confirm` may ask for.
pub const MAX_CONFIRM: u8 = 16;

/// What is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Requests for a resource.
    Resource,
    /// The address of the client.
    Client,
}

/// The action by name; the status that goes with `deny` is found later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionName {
    /// [`crate::Action::Deny`]
    Deny,
    /// [`crate::Action::Tarpit`]
    Tarpit,
    /// [`crate::Action::Drop`]
    Drop,
    /// [`crate::Action::Observe`]
    Observe,
}

/// Why a value of `X-Edge-Resource` is not understood. Such a value changes nothing. The texts in it are made
/// of the characters of a parameter's name (RFC 9651 section 3.1.2), so they are safe in a log line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Longer than this, bytes.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// Several headers, several values, or a list.
    #[error("more than one value")]
    SeveralValues,
    /// No structured field at all.
    #[error("not a structured field")]
    Malformed,
    /// The value is neither a boolean nor `true` or `false`.
    #[error("the value is neither true nor false")]
    UnknownValue,
    /// A parameter of this name is not known; cut to 32 bytes.
    #[error("unknown parameter {0}")]
    UnknownParameter(String),
    /// The parameter has a value of another type than it should.
    #[error("{parameter} must be {expected}")]
    WrongType {
        /// Its name.
        parameter: &'static str,
        /// The type it should have.
        expected: &'static str,
    },
    /// The parameter is none of the words it may be.
    #[error("{parameter} must be {expected}")]
    UnknownWord {
        /// Its name.
        parameter: &'static str,
        /// The words.
        expected: &'static str,
    },
    /// Zero, negative, or not a whole number.
    #[error("ttl must be a whole number of seconds, at least 1")]
    InvalidTtl,
    /// Outside 400 to 599.
    #[error("status must be from 400 to 599")]
    InvalidStatus,
    /// Only `deny` answers with a status.
    #[error("status goes with action=deny only")]
    StatusWithoutDeny,
    /// Outside 1 to [`MAX_CONFIRM`].
    #[error("confirm must be from 1 to {MAX_CONFIRM}")]
    InvalidConfirm,
    /// This parameter says something about a resource.
    #[error("{0} does not go with scope=client")]
    NotOfClient(&'static str),
}

impl HeaderError {
    /// A short stable name for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "header_too_long",
            Self::SeveralValues => "several_values",
            Self::Malformed => "malformed",
            Self::UnknownValue => "unknown_value",
            Self::UnknownParameter(_) => "unknown_parameter",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownWord { .. } => "unknown_word",
            Self::InvalidTtl => "invalid_ttl",
            Self::InvalidStatus => "invalid_status",
            Self::StatusWithoutDeny => "status_without_deny",
            Self::InvalidConfirm => "invalid_confirm",
            Self::NotOfClient(_) => "not_of_client",
        }
    }
}

/// Longest name of an unknown parameter that an error repeats, bytes.
const MAX_SHOWN_NAME_BYTES: usize = 32;

impl Directive {
    /// Reads one value of at most `max_bytes`. Strict: whatever is not understood is an error, because a
    /// condition that is overlooked would block too much. Of a parameter given twice the last one counts (RFC
    /// 9651 section 4.2.3.2). A boolean parameter that is `?0` is the same as absent.
    ///
    /// # Errors
    /// See [`HeaderError`]; the first one found.
    pub fn parse(value: &[u8], max_bytes: usize) -> Result<Self, HeaderError> {
        if value.len() > max_bytes {
            return Err(HeaderError::TooLong(max_bytes));
        }
        let item: Item = Parser::new(value).parse().map_err(|_| why_no_item(value))?;
        let mut directive = Self::of_value(&item.bare_item)?;
        for (name, value) in &item.params {
            directive.set(name.as_str(), value)?;
        }
        directive.check()
    }

    fn of_value(value: &BareItem) -> Result<Self, HeaderError> {
        let change = match (value.as_boolean(), value.as_token().map(|token| token.as_str())) {
            (Some(false), _) | (_, Some("false")) => Change::Block,
            (Some(true), _) | (_, Some("true")) => Change::TakeBack,
            _ => return Err(HeaderError::UnknownValue),
        };
        Ok(Self {
            change,
            ttl_s: None,
            matching: Match::Exact,
            path: None,
            method: Methods::Default,
            query: false,
            anonymous: false,
            client: false,
            parameter: None,
            scope: Scope::Resource,
            status: None,
            action: ActionName::Deny,
            reason: None,
            confirm: None,
        })
    }

    fn set(&mut self, name: &str, value: &BareItem) -> Result<(), HeaderError> {
        match name {
            "ttl" => self.ttl_s = Some(ttl(value)?),
            "match" => {
                self.matching = word("match", value, "exact or prefix", |word| match word {
                    "exact" => Some(Match::Exact),
                    "prefix" => Some(Match::Prefix),
                    _ => None,
                })?;
            }
            "path" => self.path = Some(text("path", value)?),
            "method" => self.method = methods(value)?,
            "query" => self.query = flag("query", value)?,
            "anon" => self.anonymous = flag("anon", value)?,
            "src" => self.client = flag("src", value)?,
            "param" => self.parameter = Some(text("param", value)?),
            "scope" => {
                self.scope = word("scope", value, "resource or client", |word| match word {
                    "resource" => Some(Scope::Resource),
                    "client" => Some(Scope::Client),
                    _ => None,
                })?;
            }
            "status" => self.status = Some(status(value)?),
            "action" => {
                self.action = word("action", value, "deny, tarpit, drop or observe", |word| match word {
                    "deny" => Some(ActionName::Deny),
                    "tarpit" => Some(ActionName::Tarpit),
                    "drop" => Some(ActionName::Drop),
                    "observe" => Some(ActionName::Observe),
                    _ => None,
                })?;
            }
            "reason" => self.reason = Some(text("reason", value)?),
            "confirm" => self.confirm = Some(confirm(value)?),
            // A name is ASCII, so it can be cut anywhere.
            _ => {
                let shown = &name[..name.len().min(MAX_SHOWN_NAME_BYTES)];
                return Err(HeaderError::UnknownParameter(shown.to_owned()));
            }
        }
        Ok(())
    }

    /// What no single parameter shows.
    fn check(self) -> Result<Self, HeaderError> {
        if self.status.is_some() && self.action != ActionName::Deny {
            return Err(HeaderError::StatusWithoutDeny);
        }
        let about_resource = [
            ("match", self.matching == Match::Prefix),
            ("path", self.path.is_some()),
            ("method", self.method != Methods::Default),
            ("query", self.query),
            ("anon", self.anonymous),
            ("src", self.client),
            ("param", self.parameter.is_some()),
        ];
        match about_resource.iter().find(|(_, given)| self.scope == Scope::Client && *given) {
            Some((name, _)) => Err(HeaderError::NotOfClient(name)),
            None => Ok(self),
        }
    }
}

/// Two headers reach us joined by a comma (RFC 9110 section 5.3), which makes a List of them.
fn why_no_item(value: &[u8]) -> HeaderError {
    match Parser::new(value).parse::<List>() {
        Ok(list) if !list.is_empty() => HeaderError::SeveralValues,
        _ => HeaderError::Malformed,
    }
}

fn ttl(value: &BareItem) -> Result<u32, HeaderError> {
    match value {
        BareItem::Integer(seconds) => match i64::from(*seconds) {
            ..=0 => Err(HeaderError::InvalidTtl),
            seconds => Ok(u32::try_from(seconds).unwrap_or(u32::MAX)),
        },
        BareItem::Decimal(_) => Err(HeaderError::InvalidTtl),
        _ => Err(HeaderError::WrongType { parameter: "ttl", expected: "an integer" }),
    }
}

fn status(value: &BareItem) -> Result<Status, HeaderError> {
    let wrong_type = HeaderError::WrongType { parameter: "status", expected: "an integer" };
    let code = i64::from(value.as_integer().ok_or(wrong_type)?);
    u16::try_from(code).ok().and_then(Status::new).ok_or(HeaderError::InvalidStatus)
}

fn methods(value: &BareItem) -> Result<Methods, HeaderError> {
    let wrong_type = HeaderError::WrongType { parameter: "method", expected: "a boolean or the token any" };
    match (value.as_boolean(), value.as_token().map(|token| token.as_str())) {
        (Some(true), _) => Ok(Methods::Own),
        (Some(false), _) => Ok(Methods::Default),
        (_, Some("any")) => Ok(Methods::Any),
        (_, Some(_)) => Err(HeaderError::UnknownWord { parameter: "method", expected: "a boolean or any" }),
        _ => Err(wrong_type),
    }
}

fn confirm(value: &BareItem) -> Result<u8, HeaderError> {
    let wrong_type = HeaderError::WrongType { parameter: "confirm", expected: "an integer" };
    let networks = i64::from(value.as_integer().ok_or(wrong_type)?);
    let networks = u8::try_from(networks).ok().filter(|networks| (1..=MAX_CONFIRM).contains(networks));
    networks.ok_or(HeaderError::InvalidConfirm)
}

fn flag(parameter: &'static str, value: &BareItem) -> Result<bool, HeaderError> {
    value.as_boolean().ok_or(HeaderError::WrongType { parameter, expected: "a boolean" })
}

fn text(parameter: &'static str, value: &BareItem) -> Result<String, HeaderError> {
    let text = value.as_string().ok_or(HeaderError::WrongType { parameter, expected: "a quoted string" })?;
    Ok(text.as_str().to_owned())
}

fn word<T>(
    parameter: &'static str,
    value: &BareItem,
    expected: &'static str,
    meaning: impl FnOnce(&str) -> Option<T>,
) -> Result<T, HeaderError> {
    let word = value.as_token().ok_or(HeaderError::WrongType { parameter, expected: "a token" })?;
    meaning(word.as_str()).ok_or(HeaderError::UnknownWord { parameter, expected })
}

#[cfg(test)]
mod tests;
