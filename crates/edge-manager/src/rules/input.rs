//! Rules from texts that somebody has typed or sent.

use std::sync::Arc;

use edge_filter::{
    Action, ClientNet, List, NEVER, Origin, ParameterSegments, Resource, Rule, Settings, Status, Target,
};
use edge_journal::{MAX_PATH_BYTES, MAX_REASON_BYTES};

use super::NewRule;
use super::text::behind_scheme;

/// Longest name of whoever made a rule, bytes.
const MAX_BY_BYTES: usize = 128;

/// Longest name of a list, bytes.
const MAX_LIST_BYTES: usize = 64;

/// How much of a value is repeated, bytes.
const MAX_SHOWN_BYTES: usize = 80;

/// A value that cannot be taken. One line, which names the field and the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?}: {why}")]
pub struct Invalid {
    /// The field.
    pub field: &'static str,
    /// The value, at most 80 bytes of it.
    pub value: String,
    /// What is wrong.
    pub why: Defect,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, value: &str, why: Defect) -> Self {
        let value = value[..value.floor_char_boundary(MAX_SHOWN_BYTES)].to_owned();
        Self { field, value, why }
    }
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Neither a client nor a resource.
    #[error("not an IPv4 or IPv6 address or CIDR, nor /path or host/path")]
    Target,
    /// A host that is not ASCII has another name for machines (RFC 5891, section 5.4).
    #[error("hosts are written in ASCII: {0}")]
    Unicode(String),
    /// Nothing that can be explained.
    #[error("not one address, nor a URL, host/path or /path")]
    Subject,
    /// No rule has such a path.
    #[error("its path is longer than {MAX_PATH_BYTES} bytes")]
    LongPath,
    /// In the words of the filter.
    #[error("{0}")]
    Filter(String),
    /// Longer than this, bytes.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// It could fake a line of a log.
    #[error("control characters")]
    Control,
    /// Other characters.
    #[error("a list's name is 1 to {MAX_LIST_BYTES} of a-z 0-9 . _ -")]
    List,
    /// Conditions on a client.
    #[error("conditions go with a resource, not with a client")]
    Conditions,
    /// It has come.
    #[error("is in the past")]
    Past,
    /// Beyond the range of times, or none at all.
    #[error("1 s at least, and to the year 2105 at most")]
    Ttl,
}

/// When a rule ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Not by itself.
    #[default]
    Never,
    /// After so many seconds.
    Ttl(u64),
    /// At this time, seconds since the Unix epoch.
    At(u64),
}

/// A rule in the words of whoever wants it; what is empty has its default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input<'a> {
    /// Whether it allows: only clients can be allowed.
    pub allows: bool,
    /// An address, CIDR, `/path` or `host/path`; with `/*` behind, all below it by whole segments.
    pub target: &'a str,
    /// As `method=POST query=id=7 param:id=7 anon src=192.0.2.1`.
    pub conditions: &'a str,
    /// As `deny 404`, `tarpit`, `drop`, `observe`; by default `deny 403`.
    pub action: &'a str,
    /// When it ends.
    pub end: End,
    /// Why, for people.
    pub reason: &'a str,
    /// The list that it belongs to; by default `manual`.
    pub list: &'a str,
    /// Who makes it.
    pub by: &'a str,
}

impl Input<'_> {
    /// The rule that is meant.
    ///
    /// # Errors
    /// The first value that cannot be taken.
    pub fn parse(&self, now_us: u64) -> Result<NewRule, Invalid> {
        let target = if self.allows {
            client(List::Allow, self.target)?
        } else {
            target(self.target, self.conditions)?
        };
        let action = match self.action {
            "" => Action::Deny(Status::FORBIDDEN),
            action => action.parse().map_err(|e| invalid("action", action, e))?,
        };
        let rule = Rule {
            target,
            action,
            expires_at_s: expiry(self.end, now_us)?,
            origin: Origin::List(list(self.list)?),
            reason: text("reason", self.reason, MAX_REASON_BYTES)?.into(),
        };
        Ok(NewRule { rule, by: text("by", self.by, MAX_BY_BYTES)?.to_owned() })
    }
}

/// What is to be refused: a client, or requests for a resource that meet the conditions, if any.
///
/// # Errors
/// It is neither, or there are conditions on a client. An address with a number behind a slash is a CIDR, whether or not it is a good one: taken for a path, a
/// slip would be a rule about something else.
pub fn target(text: &str, conditions: &str) -> Result<Target, Invalid> {
    let (head, rest) = text.split_once('/').unwrap_or((text, ""));
    let is_number = |b: u8| b.is_ascii_digit() || b == b'.';
    let is_client = head.parse::<std::net::IpAddr>().is_ok() && rest.bytes().all(is_number);
    if is_client && !conditions.is_empty() {
        return Err(Invalid::new("conditions", conditions, Defect::Conditions));
    }
    if is_client {
        return client(List::Block, text);
    }
    if !text.contains('/') {
        return Err(Invalid::new("target", text, Defect::Target));
    }
    if let Some(ascii) = in_ascii(text) {
        return Err(Invalid::new("target", text, Defect::Unicode(ascii)));
    }
    // With a path no longer than the filter takes by default.
    let resource = Resource::parse(text, ParameterSegments::Keep, Settings::default().max_path_bytes);
    let resource = resource.map_err(|error| invalid("target", text, error))?;
    let conditions = conditions.parse().map_err(|error| invalid("conditions", conditions, error))?;
    Ok(Target::Resource(resource, conditions))
}

/// The same with its host in ASCII, if that is not.
fn in_ascii(text: &str) -> Option<String> {
    let text = behind_scheme(text).unwrap_or(text);
    let (host, path) = text.split_at(text.find('/')?);
    (!host.is_ascii()).then(|| idna::domain_to_ascii(host).ok()).flatten().map(|host| format!("{host}{path}"))
}

/// Clients on one of the two lists.
///
/// # Errors
/// It is no address or CIDR.
pub fn client(list: List, text: &str) -> Result<Target, Invalid> {
    let net: ClientNet = text.parse().map_err(|error| invalid("target", text, error))?;
    Ok(Target::Client(list, net))
}

/// A TTL is never cut short: the end is a whole second, and the part of one that has begun is not counted.
pub(crate) fn expiry(end: End, now_us: u64) -> Result<u32, Invalid> {
    let (field, number, end_s) = match end {
        End::Never => return Ok(NEVER),
        End::Ttl(ttl_s) => {
            ("ttl", ttl_s, now_us.div_ceil(1_000_000).checked_add(ttl_s).filter(|_| ttl_s > 0))
        }
        End::At(at_s) => ("expires_at", at_s, Some(at_s)),
    };
    if matches!(end, End::At(at_s) if at_s <= now_us / 1_000_000) {
        return Err(Invalid::new(field, &number.to_string(), Defect::Past));
    }
    let end_s = end_s.and_then(|end_s| u32::try_from(end_s).ok()).filter(|end_s| *end_s < NEVER);
    end_s.ok_or_else(|| Invalid::new(field, &number.to_string(), Defect::Ttl))
}

fn list(name: &str) -> Result<Arc<str>, Invalid> {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    match name {
        "" => Ok("manual".into()),
        _ if name.len() <= MAX_LIST_BYTES && name.bytes().all(is_letter) => Ok(name.into()),
        _ => Err(Invalid::new("list", name, Defect::List)),
    }
}

/// What an older client or program says of why a rule is, made fit to be kept.
///
/// It takes log lines over, in which an attacker has a say: that must not keep a block from being made.
pub fn fit_reason(text: &str) -> String {
    fit(text, MAX_REASON_BYTES)
}

/// What an older client or program says of who made a rule, made fit to be kept.
pub fn fit_by(text: &str) -> String {
    fit(text, MAX_BY_BYTES)
}

/// At most so many bytes, with spaces for control characters.
fn fit(text: &str, max_bytes: usize) -> String {
    let cut = &text[..text.floor_char_boundary(max_bytes)];
    cut.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn text<'a>(field: &'static str, text: &'a str, max_bytes: usize) -> Result<&'a str, Invalid> {
    if text.len() > max_bytes {
        return Err(Invalid::new(field, text, Defect::TooLong(max_bytes)));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, text, Defect::Control));
    }
    Ok(text)
}

fn invalid(field: &'static str, value: &str, why: impl ToString) -> Invalid {
    Invalid::new(field, value, Defect::Filter(why.to_string()))
}
