//! The caps on everything that a client, a backend or a file can grow, and the defaults of learning.

use crate::{ParameterSegments, Status};

/// Expiry of a rule that never expires.
pub const NEVER: u32 = u32::MAX;

/// Rules on one resource that differ in their conditions: more would make one lookup long.
pub const MAX_RULES_PER_RESOURCE: usize = 64;

/// The caps and defaults that an operator may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Rules in all, addresses and resources.
    pub max_rules: u32,
    /// Learned rules in all.
    pub max_learned: u32,
    /// Learned rules of one host.
    pub max_learned_per_host: u32,
    /// Longest canonical path of a rule, bytes.
    pub max_path_bytes: usize,
    /// Longest reason of a rule, bytes; longer ones are cut at a character.
    pub max_reason_bytes: usize,
    /// Longest `X-Edge-Resource` that is read, bytes.
    pub max_header_bytes: usize,
    /// TTL of a learned rule whose header names none, seconds.
    pub learn_ttl_s: u32,
    /// Longest TTL of a learned rule, seconds; longer ones are clipped.
    pub max_ttl_s: u32,
    /// Status of a learned rule when neither the header nor a 4xx of the backend gives one.
    pub default_status: Status,
    /// Whether `;params` of a path segment belong to the path.
    pub parameter_segments: ParameterSegments,
    /// Whether some backends take a backslash in a path, and its escape, for a slash.
    pub path_backslash: bool,
    /// Whether some backends decode the escapes of a path twice.
    pub path_double_escape: bool,
    /// Whether paths that backends read in two ways are refused.
    pub strict_paths: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_rules: 8_000_000,
            max_learned: 100_000,
            max_learned_per_host: 10_000,
            max_path_bytes: 1024,
            max_reason_bytes: 128,
            max_header_bytes: 1024,
            learn_ttl_s: 300,
            max_ttl_s: 86_400,
            default_status: Status::FORBIDDEN,
            parameter_segments: ParameterSegments::Keep,
            path_backslash: false,
            path_double_escape: false,
            strict_paths: false,
        }
    }
}
