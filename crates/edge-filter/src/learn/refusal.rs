//! Why a response teaches nothing.

use crate::{HeaderError, InvalidHost, InvalidPath};

/// A response that taught nothing. Its text is one line for the log, without control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("X-Edge-Resource from backend {backend} for host {host} refused: {cause}")]
pub struct Refusal {
    /// HAProxy's name of the backend, printable, at most 128 bytes.
    pub backend: String,
    /// The host of the request in canonical form, printable, at most 253 bytes.
    pub host: String,
    /// Why.
    pub cause: Cause,
}

/// Why a response teaches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The header is not understood.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The request's host can be no host of a rule.
    #[error("the request has no valid host")]
    Host(#[from] InvalidHost),
    /// The request's path can be no path of a rule.
    #[error("the request has no valid path: {0}")]
    RequestPath(InvalidPath),
    /// `path=` can be no path of a rule.
    #[error("invalid path parameter: {0}")]
    Path(InvalidPath),
    /// A backend speaks about what it was asked for, so the rule must match the request.
    #[error("path does not cover the path of the request")]
    NotCovered,
    /// A prefix of more than 32 segments.
    #[error("the prefix has too many segments")]
    PrefixTooDeep,
    /// See [`crate::Authority::hosts`].
    #[error("the backend may not block this host")]
    HostNotAllowed,
    /// See [`crate::Authority::prefix`].
    #[error("the backend may not block by prefix")]
    PrefixNotAllowed,
    /// See [`crate::Authority::client`].
    #[error("the backend may not block clients")]
    ClientNotAllowed,
    /// See [`crate::Authority::max_ttl_s`].
    #[error("ttl={ttl_s} is above the {max_ttl_s} seconds of the backend")]
    TtlNotAllowed {
        /// What the header asked for.
        ttl_s: u32,
        /// What it may ask for.
        max_ttl_s: u32,
    },
    /// `src` or `scope=client`, but HAProxy knows no address of the client.
    #[error("the request has no client address")]
    NoClient,
    /// `param` names a parameter that the request does not have.
    #[error("the request has no such query parameter")]
    NoParameter,
    /// A client could pair a good value with a bad one to have the good one blocked.
    #[error("the request gives the query parameter several values")]
    AmbiguousParameter,
    /// The query, or the name or value of the parameter, is longer than [`crate::MAX_CONDITION_BYTES`].
    #[error("the query or its parameter is too long for a condition")]
    ConditionTooLong,
    /// The request's method is longer than 32 bytes or no token.
    #[error("the request's method is none that a rule can have")]
    Method,
    /// With capital letters, a trailing dot or the like.
    #[error("the request's host is not in canonical form, so the backend may have answered for another one")]
    NotPlainHost,
    /// See [`crate::has_one_reading`].
    #[error("the request's path is not in canonical form, so the backend may have answered for another one")]
    NotPlainPath,
    /// See [`crate::Lesson::is_partial`].
    #[error(
        "the request asks for a part, has a precondition, names a whole URL or another port, or is a WebSocket handshake"
    )]
    PartialRequest,
    /// An interim response, or one to a range or a precondition.
    #[error("status {0} says nothing of the resource as a whole")]
    PartialResponse(u16),
    /// See [`crate::Authorities::never_block`].
    #[error("the address of the client is one that no backend may block")]
    ProtectedClient,
}

impl Cause {
    /// A short stable name for metrics: one of [`Refusal::LABELS`].
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Header(error) => error.label(),
            Self::Host(_) => "invalid_host",
            Self::RequestPath(_) => "invalid_request_path",
            Self::Path(_) => "invalid_path",
            Self::NotCovered => "not_covered",
            Self::PrefixTooDeep => "prefix_too_deep",
            Self::HostNotAllowed => "host_not_allowed",
            Self::PrefixNotAllowed => "prefix_not_allowed",
            Self::ClientNotAllowed => "client_not_allowed",
            Self::TtlNotAllowed { .. } => "ttl_not_allowed",
            Self::NoClient => "no_client",
            Self::NoParameter => "no_parameter",
            Self::AmbiguousParameter => "ambiguous_parameter",
            Self::ConditionTooLong => "condition_too_long",
            Self::Method => "invalid_method",
            Self::NotPlainHost => "not_plain_host",
            Self::NotPlainPath => "not_plain_path",
            Self::PartialRequest => "partial_request",
            Self::PartialResponse(_) => "partial_response",
            Self::ProtectedClient => "protected_client",
        }
    }
}

impl Refusal {
    /// The labels of all causes, so that a metric is an array of counters.
    pub const LABELS: [&str; 31] = [
        "header_too_long",
        "several_values",
        "malformed",
        "unknown_value",
        "unknown_parameter",
        "wrong_type",
        "unknown_word",
        "invalid_ttl",
        "invalid_status",
        "status_without_deny",
        "invalid_confirm",
        "not_of_client",
        "invalid_host",
        "invalid_request_path",
        "invalid_path",
        "not_covered",
        "prefix_too_deep",
        "host_not_allowed",
        "prefix_not_allowed",
        "client_not_allowed",
        "ttl_not_allowed",
        "no_client",
        "no_parameter",
        "ambiguous_parameter",
        "condition_too_long",
        "invalid_method",
        "not_plain_host",
        "not_plain_path",
        "partial_request",
        "partial_response",
        "protected_client",
    ];

    /// A short stable name of the cause for metrics: one of [`Self::LABELS`].
    pub const fn label(&self) -> &'static str {
        self.cause.label()
    }

    /// The place of [`Self::label`] in [`Self::LABELS`].
    pub fn label_index(&self) -> usize {
        Self::LABELS.iter().position(|label| *label == self.label()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_counter_of_its_own() {
        let text = || HeaderError::WrongType { parameter: "ttl", expected: "an integer" };
        let header = [
            HeaderError::TooLong(1),
            HeaderError::SeveralValues,
            HeaderError::Malformed,
            HeaderError::UnknownValue,
            HeaderError::UnknownParameter(String::new()),
            text(),
            HeaderError::UnknownWord { parameter: "match", expected: "exact or prefix" },
            HeaderError::InvalidTtl,
            HeaderError::InvalidStatus,
            HeaderError::StatusWithoutDeny,
            HeaderError::InvalidConfirm,
            HeaderError::NotOfClient("path"),
        ];
        let causes = header.into_iter().map(Cause::Header).chain([
            Cause::Host(InvalidHost),
            Cause::RequestPath(InvalidPath::NoSlash),
            Cause::Path(InvalidPath::NoSlash),
            Cause::NotCovered,
            Cause::PrefixTooDeep,
            Cause::HostNotAllowed,
            Cause::PrefixNotAllowed,
            Cause::ClientNotAllowed,
            Cause::TtlNotAllowed { ttl_s: 2, max_ttl_s: 1 },
            Cause::NoClient,
            Cause::NoParameter,
            Cause::AmbiguousParameter,
            Cause::ConditionTooLong,
            Cause::Method,
            Cause::NotPlainHost,
            Cause::NotPlainPath,
            Cause::PartialRequest,
            Cause::PartialResponse(206),
            Cause::ProtectedClient,
        ]);
        let refusal = |cause| Refusal { backend: String::new(), host: String::new(), cause };
        let places: Vec<_> = causes.map(|cause| refusal(cause).label_index()).collect();
        assert_eq!(places, (0..Refusal::LABELS.len()).collect::<Vec<_>>());
        let label = refusal(Cause::NotCovered).label();
        assert_eq!(Refusal::LABELS.iter().filter(|other| **other == label).count(), 1);
    }
}
