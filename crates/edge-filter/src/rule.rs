//! A rule: what it matches, what it does, how long, and where it came from.

use std::fmt;
use std::sync::Arc;

use crate::{Action, ClientNet, Conditions, Resource};

/// Which of the two address lists a rule belongs to. An allowed address is never blocked, whatever the
/// prefix lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// Exempt from the block list.
    Allow,
    /// Refused unless allowed.
    Block,
}

/// What a rule matches. Two rules with the same target are the same rule: the later one replaces the earlier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Clients of one network.
    Client(List, ClientNet),
    /// Requests for one resource under conditions.
    Resource(Resource, Conditions),
}

/// Where a rule came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A named list, such as a file: replaced as a whole by a [`crate::Replacement`].
    List(Arc<str>),
    /// A response that carried `X-Edge-Resource`.
    Learned(Arc<Provenance>),
}

/// The response that taught a rule. Every text is capped by the constructor's caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// HAProxy's name of the backend.
    pub backend: String,
    /// HAProxy's name of the server.
    pub server: String,
    /// HAProxy's unique-id of the request, empty where none is configured.
    pub unique_id: String,
    /// Method, host and path of the request that caused it.
    pub request: String,
    /// The stamp of the lesson, microseconds since the Unix epoch: it orders the lessons of all processes.
    pub learned_at_us: u64,
    /// The network of the client whose request caused it: the half-open request of the rule comes from another one.
    /// `None` where that is not known.
    pub client_network: Option<ClientNet>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(name) => f.write_str(name),
            Self::Learned(from) => {
                let Provenance { backend, server, unique_id, request, learned_at_us: _, client_network: _ } =
                    &**from;
                write!(f, "learned from {backend}/{server} by {request}")?;
                if unique_id.is_empty() { Ok(()) } else { write!(f, " id={unique_id}") }
            }
        }
    }
}

/// A rule of the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it matches.
    pub target: Target,
    /// What it does.
    pub action: Action,
    /// When it ends, seconds since the Unix epoch; [`crate::NEVER`] for no end.
    pub expires_at_s: u32,
    /// Where it came from.
    pub origin: Origin,
    /// Why, in the words of whoever made it; empty for none.
    pub reason: Arc<str>,
}

/// A rule of a list for clients of one network: what a bulk change has many of, without the texts that they have in
/// common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRule {
    /// Which of the two address lists it belongs to.
    pub list: List,
    /// The clients.
    pub net: ClientNet,
    /// What it does.
    pub action: Action,
    /// When it ends, seconds since the Unix epoch; [`crate::NEVER`] for no end.
    pub expires_at_s: u32,
}

impl AddressRule {
    /// What is left of this rule without its texts; `None` if it is one of a resource.
    pub const fn of(rule: &Rule) -> Option<Self> {
        let Rule { target, action, expires_at_s, origin: _, reason: _ } = rule;
        match *target {
            Target::Client(list, net) => {
                Some(Self { list, net, action: *action, expires_at_s: *expires_at_s })
            }
            Target::Resource(..) => None,
        }
    }

    /// What it matches.
    pub const fn target(&self) -> Target {
        Target::Client(self.list, self.net)
    }
}

/// The texts of a rule that has any of its own.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) reason: Arc<str>,
    /// Of a learned rule.
    pub(crate) provenance: Option<Arc<Provenance>>,
}
