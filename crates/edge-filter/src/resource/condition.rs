//! What a resource rule may ask of a request beyond its host and path.

use std::net::IpAddr;
use std::str::FromStr;

use super::escape::{canonical_escapes, is_canonical};
use super::query::Query;

/// Longest query, parameter name or parameter value of a condition, bytes in canonical form.
pub const MAX_CONDITION_BYTES: usize = 1024;

/// Longest method of a condition, bytes: twice the longest one registered with IANA.
const MAX_METHOD_BYTES: usize = 32;

/// The request that a rule is held against. Texts are as HAProxy gives them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The `Host` header.
    pub host: &'a [u8],
    /// The path, raw.
    pub path: &'a [u8],
    /// What follows `?`, without it.
    pub query: &'a [u8],
    /// The method, as sent.
    pub method: &'a [u8],
    /// No session cookie and no `Authorization`.
    pub anonymous: bool,
    /// The client; `None` where HAProxy has no address for it.
    pub client: Option<IpAddr>,
}

/// All of these must hold; none set: every request for the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conditions {
    /// This method.
    pub method: Option<Box<str>>,
    /// This query string, its escapes in canonical form.
    pub query: Option<Box<str>>,
    /// The query parameter of this name has this value, escapes in canonical form.
    pub parameter: Option<(Box<str>, Box<str>)>,
    /// Only requests without a session.
    pub anonymous: bool,
    /// Only this client.
    pub client: Option<IpAddr>,
}

/// Why conditions cannot be those of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCondition {
    /// Not a token, or longer than any method.
    #[error("a method is a token of at most {MAX_METHOD_BYTES} bytes")]
    Method,
    /// Longer than [`MAX_CONDITION_BYTES`].
    #[error("a query, parameter name or value has at most {MAX_CONDITION_BYTES} bytes")]
    TooLong,
    /// No request could equal it.
    #[error("a query, parameter name or value has its escapes in canonical form")]
    NotCanonical,
    /// No parameter could have it.
    #[error("a parameter's name holds neither & nor =, its value no &")]
    Parameter,
    /// Of a text: a word that is no condition, or one that is there twice.
    #[error("conditions are method=, query=, param:NAME=VALUE, anon and src=ADDRESS, each once at most")]
    Word,
}

impl Conditions {
    /// Whether these are conditions that a request can meet, as every constructor in this crate makes them: for
    /// those that come from elsewhere.
    ///
    /// # Errors
    /// The first that cannot be met.
    pub fn check(&self) -> Result<(), InvalidCondition> {
        if self.method.as_ref().is_some_and(|text| method(text.as_bytes()).is_none()) {
            return Err(InvalidCondition::Method);
        }
        let (name, value) = self.parameter.as_ref().map(|(name, value)| (&**name, &**value)).unzip();
        for text in [self.query.as_deref(), name, value].into_iter().flatten() {
            if text.len() > MAX_CONDITION_BYTES {
                return Err(InvalidCondition::TooLong);
            }
            if !is_canonical(text.as_bytes()) {
                return Err(InvalidCondition::NotCanonical);
            }
        }
        if name.is_some_and(|name| name.contains(['&', '=']))
            || value.is_some_and(|value| value.contains('&'))
        {
            return Err(InvalidCondition::Parameter);
        }
        Ok(())
    }

    /// Whether every request for the resource is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all of them hold for this request, of which `query` is the query. `None` where only the query could tell and
    /// it is too long to be read: then it must not be a way around the rule. A parameter given more than once holds if any
    /// of its values does, so adding another does not evade the rule.
    ///
    /// O(log n) in the number of parameters for a rule that does not hold; allocates nothing.
    pub fn hold(&self, request: &Request<'_>, query: &Query<'_>) -> Option<bool> {
        let canonical = |client: IpAddr| client.to_canonical();
        let others_hold = self.method.as_ref().is_none_or(|method| method.as_bytes() == request.method)
            && (!self.anonymous || request.anonymous)
            && self.client.is_none_or(|client| request.client.map(canonical) == Some(canonical(client)));
        if !others_hold || (self.query.is_none() && self.parameter.is_none()) {
            return Some(others_hold);
        }
        let text = query.text?;
        let of_parameter =
            |(name, value): &(Box<str>, Box<str>)| query.has(name.as_bytes(), value.as_bytes());
        Some(
            self.query.as_ref().is_none_or(|expected| text == expected.as_bytes())
                && self.parameter.as_ref().is_none_or(of_parameter),
        )
    }

    /// The same conditions with their escapes in canonical form, as far as that makes no text longer: for those that an
    /// older version or an operator wrote.
    #[must_use]
    pub fn in_canonical_form(mut self) -> Self {
        let canonical = |text: &mut Box<str>| {
            let mut buffer = vec![0; text.len()];
            match canonical_escapes(text.as_bytes(), &mut buffer).map(str::from_utf8) {
                Ok(Ok(canonical)) if canonical != &**text => *text = canonical.into(),
                _ => {}
            }
        };
        self.query.as_mut().into_iter().for_each(canonical);
        let parameter = self.parameter.as_mut();
        parameter.into_iter().flat_map(|(name, value)| [name, value]).for_each(canonical);
        self
    }
}

impl FromStr for Conditions {
    type Err = InvalidCondition;

    /// Reads what is printed of them, in any order: `method=POST query=id=7 param:id=7 anon src=192.0.2.1`. Escapes may be
    /// written otherwise than in canonical form.
    fn from_str(text: &str) -> Result<Self, InvalidCondition> {
        let mut conditions = Self::default();
        // No canonical text holds a space.
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let is_repeated = if word == "anon" {
                std::mem::replace(&mut conditions.anonymous, true)
            } else if let Some(parameter) = word.strip_prefix("param:") {
                let (name, value) = parameter.split_once('=').ok_or(InvalidCondition::Word)?;
                conditions.parameter.replace((name.into(), value.into())).is_some()
            } else {
                match word.split_once('=').ok_or(InvalidCondition::Word)? {
                    ("method", method) => conditions.method.replace(method.into()).is_some(),
                    ("query", query) => conditions.query.replace(query.into()).is_some(),
                    ("src", client) => {
                        let client = client.parse().map_err(|_| InvalidCondition::Word)?;
                        conditions.client.replace(client).is_some()
                    }
                    _ => return Err(InvalidCondition::Word),
                }
            };
            if is_repeated {
                return Err(InvalidCondition::Word);
            }
        }
        let conditions = conditions.in_canonical_form();
        conditions.check()?;
        Ok(conditions)
    }
}

/// The method of a condition: a token (RFC 9110 section 5.6.2) of at most 32 bytes.
pub(crate) fn method(text: &[u8]) -> Option<Box<str>> {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    if !(1..=MAX_METHOD_BYTES).contains(&text.len()) || !text.iter().all(is_token) {
        return None;
    }
    str::from_utf8(text).ok().map(Box::from)
}

#[cfg(test)]
mod tests {
    use ahash::RandomState;

    use super::*;

    const REQUEST: Request<'_> = Request {
        host: b"shop.example",
        path: b"/a",
        query: b"id=1&debug",
        method: b"POST",
        anonymous: true,
        client: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
    };

    fn decision(conditions: &Conditions, request: &Request<'_>, text: &mut [u8]) -> Option<bool> {
        let (mut parameters, keys) = (Vec::with_capacity(8), RandomState::new());
        conditions.hold(request, &Query::new(request.query, text, &mut parameters, &keys))
    }

    fn holds_for(conditions: &Conditions, request: &Request<'_>, text: &mut [u8]) -> bool {
        decision(conditions, request, text).expect("the query is short")
    }

    fn holds(conditions: &Conditions) -> bool {
        holds_for(conditions, &REQUEST, &mut [0; 99])
    }

    #[test]
    fn no_conditions_hold_for_every_request() {
        assert!(Conditions::default().is_empty());
        assert!(holds(&Conditions::default()));
    }

    #[test]
    fn each_condition_must_hold() {
        let none = Conditions::default;
        let parameter = |name: &str, value: &str| Some((name.into(), value.into()));
        for (conditions, expected) in [
            (Conditions { method: Some("POST".into()), ..none() }, true),
            (Conditions { method: Some("post".into()), ..none() }, false),
            (Conditions { query: Some("id=1&debug".into()), ..none() }, true),
            (Conditions { query: Some("id=1".into()), ..none() }, false),
            (Conditions { parameter: parameter("id", "1"), ..none() }, true),
            (Conditions { parameter: parameter("debug", ""), ..none() }, true),
            (Conditions { parameter: parameter("id", "2"), ..none() }, false),
            (Conditions { parameter: parameter("i", "1"), ..none() }, false),
            (Conditions { anonymous: true, ..none() }, true),
            (Conditions { client: "192.0.2.1".parse().ok(), ..none() }, true),
            (Conditions { client: "::ffff:192.0.2.1".parse().ok(), ..none() }, true),
            (Conditions { client: "192.0.2.2".parse().ok(), ..none() }, false),
            (Conditions { method: Some("POST".into()), query: Some("".into()), ..none() }, false),
        ] {
            assert_eq!(holds(&conditions), expected, "{conditions:?}");
            assert!(!conditions.is_empty(), "{conditions:?}");
        }
    }

    #[test]
    fn what_a_request_lacks_is_equal_to_nothing() {
        let request = Request { anonymous: false, client: None, query: b"", ..REQUEST };
        let holds = |conditions: &Conditions| holds_for(conditions, &request, &mut [0; 99]);
        assert!(!holds(&Conditions { anonymous: true, ..Conditions::default() }));
        assert!(!holds(&Conditions { client: "192.0.2.1".parse().ok(), ..Conditions::default() }));
        let empty = Conditions { query: Some("".into()), ..Conditions::default() };
        assert!(holds(&empty));
    }

    #[test]
    fn a_query_that_cannot_be_read_decides_nothing() {
        let too_long = Request { query: b"%zz", ..REQUEST };
        let decision = |conditions: &Conditions| decision(conditions, &too_long, &mut []);
        let query = || Conditions { query: Some("".into()), ..Conditions::default() };
        let parameter = Conditions { parameter: Some(("a".into(), "".into())), ..Conditions::default() };
        assert_eq!([decision(&query()), decision(&parameter)], [None, None]);
        let other_method = Conditions { method: Some("PUT".into()), ..query() };
        assert_eq!(decision(&other_method), Some(false), "the method is enough");
        let this_method = Conditions { method: Some("POST".into()), ..Conditions::default() };
        assert_eq!(decision(&this_method), Some(true));
    }

    #[test]
    fn conditions_of_an_older_version_are_made_those_of_today() {
        let old = Conditions {
            query: Some("u=%40a%2Fb%26".into()),
            parameter: Some(("%21".into(), "%3A%3D".into())),
            ..Conditions::default()
        };
        assert_eq!(old.check(), Err(InvalidCondition::NotCanonical));
        let new = old.in_canonical_form();
        assert_eq!(new.to_string(), " query=u=@a/b%26 param:!=:%3D");
        assert_eq!((new.check(), new.clone().in_canonical_form()), (Ok(()), new));
    }

    #[test]
    fn a_mapped_client_is_its_ipv4_address() {
        let request = Request { client: "::ffff:192.0.2.1".parse().ok(), ..REQUEST };
        let conditions = Conditions { client: "192.0.2.1".parse().ok(), ..Conditions::default() };
        assert!(holds_for(&conditions, &request, &mut [0; 99]));
    }

    #[test]
    fn a_second_value_does_not_evade_a_parameter() {
        let conditions = Conditions { parameter: Some(("id".into(), "1".into())), ..Conditions::default() };
        assert!(holds_for(&conditions, &Request { query: b"id=9&id=1", ..REQUEST }, &mut [0; 99]));
    }

    #[test]
    fn conditions_that_no_request_meets_are_found() {
        let none = Conditions::default;
        let parameter = |name: &str, value: &str| {
            Conditions { parameter: Some((name.into(), value.into())), ..none() }.check()
        };
        let query = |text: &str| Conditions { query: Some(text.into()), ..none() }.check();
        let method = |text: &str| Conditions { method: Some(text.into()), ..none() }.check();
        assert_eq!(none().check(), Ok(()));
        assert_eq!((method("GET"), method("GET ")), (Ok(()), Err(InvalidCondition::Method)));
        assert_eq!((query("a=/%26&b?"), query("")), (Ok(()), Ok(())));
        for text in ["%3d", "%41", "%40", "%2F", "a#b", "a b", "é", "100%"] {
            assert_eq!(query(text), Err(InvalidCondition::NotCanonical), "{text}");
            assert_eq!(parameter(text, ""), Err(InvalidCondition::NotCanonical), "{text}");
            assert_eq!(parameter("", text), Err(InvalidCondition::NotCanonical), "{text}");
        }
        let long = "a".repeat(MAX_CONDITION_BYTES + 1);
        assert_eq!((query(&long[1..]), query(&long)), (Ok(()), Err(InvalidCondition::TooLong)));
        assert_eq!((parameter("a", "b=c"), parameter("", "")), (Ok(()), Ok(())));
        for (name, value) in [("a&", ""), ("a=", ""), ("a", "&")] {
            assert_eq!(parameter(name, value), Err(InvalidCondition::Parameter), "{name} {value}");
        }
    }

    #[test]
    fn a_method_is_a_short_token() {
        assert_eq!(method(b"M-SEARCH").as_deref(), Some("M-SEARCH"));
        for text in [&b""[..], b"GET ", b"GE\nT", b"\xff", &[b'A'; 33]] {
            assert_eq!(method(text), None, "{text:?}");
        }
    }

    #[test]
    fn conditions_are_read_as_they_are_printed() {
        let all = Conditions {
            method: Some("M-SEARCH".into()),
            query: Some("id=7&x=%20?".into()),
            parameter: Some(("id".into(), "7=8".into())),
            anonymous: true,
            client: "2001:db8::1".parse().ok(),
        };
        let odd = Conditions {
            query: Some("".into()),
            parameter: Some(("".into(), "".into())),
            ..Conditions::default()
        };
        for conditions in [all, odd, Conditions::default()] {
            assert_eq!(conditions.to_string().parse(), Ok(conditions));
        }
        assert_eq!("src=192.0.2.1 anon".parse(), " anon src=192.0.2.1".parse::<Conditions>());
        for text in ["anon anon", "method=GET method=PUT", "src=192.0.2.0/24", "GET", "param:id", "host=a"] {
            assert_eq!(text.parse::<Conditions>(), Err(InvalidCondition::Word), "{text}");
        }
        assert_eq!("query=%41=%40".parse::<Conditions>().unwrap().to_string(), " query=A=@");
        assert_eq!("query=100%".parse::<Conditions>(), Err(InvalidCondition::NotCanonical));
        assert_eq!("method=G,T".parse::<Conditions>(), Err(InvalidCondition::Method));
    }
}
