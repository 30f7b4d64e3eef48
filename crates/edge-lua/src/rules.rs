//! The rules as text, a slice at a time: `show edge rules` may print a million of them.

use std::fmt::Write;

use edge_filter::{Filter, Kind, Rule};
use mlua::prelude::*;

use crate::{clock, guard};

/// Most rules of one slice, so that its making stays below 2 ms.
const MAX_SLICE_RULES: usize = 1024;

/// Rules still to be shown, with their hits.
pub(crate) struct RuleCursor(Box<dyn Iterator<Item = (Rule, u64)>>);

impl RuleCursor {
    /// `ip`, `resource`, or both for the empty text; `None` for anything else.
    pub(crate) fn new(kind: &[u8], filter: &'static Filter) -> Option<Self> {
        Some(match kind {
            b"" => Self(Box::new(filter.rules(Kind::Client).chain(filter.rules(Kind::Resource)))),
            b"ip" => Self(Box::new(filter.rules(Kind::Client))),
            b"resource" => Self(Box::new(filter.rules(Kind::Resource))),
            _ => return None,
        })
    }

    /// The next rules, one a line; `None` at the end.
    fn next_slice(&mut self, max_rules: usize) -> Option<String> {
        let now_s = clock::now_s();
        let mut text = String::new();
        for (rule, hits) in self.0.by_ref().take(max_rules.clamp(1, MAX_SLICE_RULES)) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}, {hits} hits", rule.line(now_s));
        }
        (!text.is_empty()).then_some(text)
    }
}

impl LuaUserData for RuleCursor {
    fn add_methods<M: LuaUserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("next", |_, cursor, max_rules: usize| {
            Ok(guard::catch(|| cursor.next_slice(max_rules)))
        });
    }
}
