//! Who changes what.

use std::time::Instant;

use crate::access::Caller;
use crate::site::Text;
use crate::store::Deed;

/// Who wants what, for the audit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) caller: &'a Caller,
    pub(super) operation: &'static str,
    pub(super) target: &'a str,
    pub(super) now_us: u64,
    began: Instant,
}

impl<'a> Wish<'a> {
    pub(super) fn new(caller: &'a Caller, operation: &'static str, target: &'a str, now_us: u64) -> Self {
        Self { caller, operation, target, now_us, began: Instant::now() }
    }

    /// What became of it, for the audit.
    pub(super) fn deed(&self, result: &'a str) -> Deed<'a> {
        let Self { caller, operation, target, now_us, began } = *self;
        Deed { caller, operation, target, result, at_us: now_us, took: began.elapsed() }
    }
}

/// A value for the audit, on one line.
pub(super) fn shown(text: &Text) -> String {
    text.as_str().chars().take(300).flat_map(char::escape_debug).collect()
}
