//! The thread that watches whether HAProxy answers and has all rules, and tells when that changes.

use std::time::Duration;

use serde::Serialize;

use crate::api::App;
use crate::clock::now_us;
use crate::events::Topic;
use crate::watch::Problem;

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Watching {
    told: Vec<Problem>,
}

/// What listeners hear.
#[derive(Serialize)]
struct Told {
    health: &'static str,
    reasons: Vec<String>,
}

impl Watching {
    /// Looks once; how long to wait until the next look.
    pub(super) fn look(&mut self, app: &App) -> Duration {
        let pause = app.look();
        let problems = app.watch.problems();
        if problems == self.told {
            return pause;
        }
        let reasons: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let health = if problems.is_empty() { "healthy" } else { "unhealthy" };
        if problems.is_empty() {
            tracing::info!("HAProxy answers, and has all rules");
        } else {
            tracing::error!(reason = reasons.join("; "), "unhealthy");
        }
        app.events.tell(Topic::Haproxy, &Told { health, reasons }, now_us());
        self.told = problems;
        pause
    }
}
