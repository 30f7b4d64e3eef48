//! How long a piece of work may go on.

use std::time::{Duration, Instant};

/// An end that work in small pieces looks at between two of them. HAProxy's thread serves nobody meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(Option<Instant>);

impl Budget {
    /// From now on.
    pub(crate) fn of(length: Duration) -> Self {
        Self(Some(Instant::now() + length))
    }

    /// For the start, where nobody is served yet.
    pub(crate) const UNLIMITED: Self = Self(None);

    /// Half of what is left of it.
    pub(crate) fn share(self) -> Self {
        Self(self.0.map(|end| {
            let now = Instant::now();
            now + end.saturating_duration_since(now) / 2
        }))
    }

    /// Whether the work has to go on another time. Reads a clock: ask between pieces of a microsecond or more.
    pub(crate) fn is_spent(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }
}
