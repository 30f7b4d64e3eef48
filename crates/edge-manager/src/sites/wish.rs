//! What somebody wants, for the audit.

use std::time::Instant;

use super::Sites;
use crate::access::Caller;
use crate::configuration::{PublishError, Published};
use crate::site::Text;
use crate::store::{DONE, Deed};

/// Who wants what, for the audit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) caller: &'a Caller,
    operation: &'static str,
    target: &'a str,
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

impl Sites {
    /// Notes what became of a wish that changes nothing of the record. What HAProxy did is done: that it cannot be noted is
    /// logged, and is no reason to tell anything else.
    pub(super) fn note(&self, wish: Wish<'_>, published: &Result<Published, PublishError>) {
        let result = published.as_ref().map_or_else(ToString::to_string, |_| DONE.to_owned());
        if let Err(error) = self.store.write(|record| record.note(&wish.deed(&result))) {
            let Wish { caller, operation, target, .. } = wish;
            tracing::error!(caller = %caller.name, operation, what = target, result, %error, "not in the audit");
        }
    }
}

/// A value for the audit, on one line.
pub(super) fn shown(text: &Text) -> String {
    text.as_str().chars().take(300).flat_map(char::escape_debug).collect()
}
