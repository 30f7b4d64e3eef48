//! What the edge does with a request, as an integer that haproxy.cfg can test.

use std::fmt;
use std::str::FromStr;

/// An HTTP status that the edge may answer with: 400 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// The answer when neither the rule nor the backend named one.
    pub const FORBIDDEN: Self = Self(403);

    /// The answer to a path with two readings where those are refused.
    pub(crate) const BAD_REQUEST: Self = Self(400);

    /// The answer to a path or a query that is too long to be held against the rules.
    pub(crate) const URI_TOO_LONG: Self = Self(414);

    /// `None` outside 400 to 599.
    pub const fn new(code: u16) -> Option<Self> {
        if 400 <= code && code <= 599 { Some(Self(code)) } else { None }
    }

    /// The number, 400 to 599.
    pub const fn code(self) -> u16 {
        self.0
    }
}

/// What a rule does to a request that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Answer with this status.
    Deny(Status),
    /// Hold the connection for HAProxy's `timeout tarpit`, then refuse.
    Tarpit,
    /// Close without a word to the client (`silent-drop`).
    Drop,
    /// Let it pass and count it.
    Observe,
}

impl Action {
    /// Whether a request that it meets never reaches a backend.
    pub const fn refuses(self) -> bool {
        !matches!(self, Self::Observe)
    }

    /// The action of this verdict's code; every code that no action has is a plain 403.
    pub(crate) const fn from_code(code: i16) -> Self {
        match code {
            1 => Self::Observe,
            2 => Self::Tarpit,
            3 => Self::Drop,
            400..=599 => Self::Deny(Status(code.cast_unsigned())),
            _ => Self::Deny(Status::FORBIDDEN),
        }
    }

    /// The verdict on a request that a rule with this action matches.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Deny(status) => Verdict::Deny(status),
            Self::Tarpit => Verdict::Tarpit,
            Self::Drop => Verdict::Drop,
            Self::Observe => Verdict::Observe,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny(status) => write!(f, "deny {}", status.0),
            Self::Tarpit => f.write_str("tarpit"),
            Self::Drop => f.write_str("drop"),
            Self::Observe => f.write_str("observe"),
        }
    }
}

/// A text that is no [`Action`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an action is deny, deny with a status from 400 to 599, tarpit, drop or observe")]
pub struct InvalidAction;

impl FromStr for Action {
    type Err = InvalidAction;

    /// Reads what is printed of it: `deny 404`, `tarpit`, `drop`, `observe`; and `deny`, which is 403.
    fn from_str(text: &str) -> Result<Self, InvalidAction> {
        match text {
            "deny" => Ok(Self::Deny(Status::FORBIDDEN)),
            "tarpit" => Ok(Self::Tarpit),
            "drop" => Ok(Self::Drop),
            "observe" => Ok(Self::Observe),
            _ => {
                let status = text.strip_prefix("deny ").and_then(|status| status.parse().ok());
                status.map(Self::Deny).ok_or(InvalidAction)
            }
        }
    }
}

/// The answer to a lookup. [`Verdict::code`] is the integer that haproxy.cfg tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// 0: nothing speaks against the request.
    Pass,
    /// 1: a rule matched that only observes.
    Observe,
    /// 2
    Tarpit,
    /// 3
    Drop,
    /// 400 to 599: answer with this status.
    Deny(Status),
    /// -1: a rule with conditions that one key cannot decide; `edge_check` can.
    Ask,
}

impl Verdict {
    /// The integer of haproxy.cfg: -1, 0, 1, 2, 3 or 400 to 599.
    pub const fn code(self) -> i16 {
        match self {
            Self::Pass => 0,
            Self::Observe => 1,
            Self::Tarpit => 2,
            Self::Drop => 3,
            Self::Deny(status) => status.0.cast_signed(),
            Self::Ask => -1,
        }
    }

    /// Whether the request never reaches a backend.
    pub const fn refuses(self) -> bool {
        matches!(self, Self::Tarpit | Self::Drop | Self::Deny(_))
    }
}

/// A text that is no [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a status is a number from 400 to 599")]
pub struct InvalidStatus;

impl FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        text.parse().ok().and_then(Self::new).ok_or(InvalidStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_as_it_is_printed() {
        let of = |code| Action::Deny(Status::new(code).unwrap());
        for action in [of(400), of(403), of(599), Action::Tarpit, Action::Drop, Action::Observe] {
            assert_eq!(action.to_string().parse(), Ok(action));
        }
        assert_eq!("deny".parse(), Ok(of(403)));
        for text in ["", "Deny", "deny ", "deny 200", "deny 600", "deny  404", "403", "allow", "drop 403"] {
            assert_eq!(text.parse::<Action>(), Err(InvalidAction), "{text}");
        }
    }
}
