//! `edge_status` and `show edge status`: the state of the module as JSON.

use std::sync::Arc;

use edge_filter::VerdictCounts;
use serde::Serialize;

use crate::engine::Engine;
use crate::guard;
use crate::lists::ListFile;
use crate::state::{Report, State};

#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    native: bool,
    /// Why the converters are Lua's.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_native_because: Option<String>,
    /// Of the manager's rules in force, 0 for none.
    revision: u64,
    publications_total: u64,
    rules: Rules,
    traffic: Traffic,
    lists: &'a [ListFile],
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Arc<Report>>,
    upkeep_seconds_max: f64,
    upkeep_cpu_seconds_max: f64,
    panics: u64,
}

#[derive(Serialize)]
struct Rules {
    allow: usize,
    block: usize,
    resource: usize,
    /// Those of them that were learned.
    learned: usize,
}

/// What came of requests since the start. A request that several verdicts are asked for counts by each that refuses it.
#[derive(Serialize)]
struct Traffic {
    /// Requests whose client was looked up.
    requests: u64,
    /// Verdicts that refuse.
    refused: u64,
    /// Responses that taught something.
    learned: u64,
}

impl Traffic {
    fn of(engine: &Engine) -> Self {
        let counters = engine.filter.counters();
        let refused = |counts: VerdictCounts| counts.tarpit + counts.drop + counts.deny;
        let learned = engine.school.results().filter(|(result, _)| ["learned", "clipped"].contains(result));
        Self {
            requests: counters.address.lookups,
            refused: refused(counters.address) + refused(counters.resource),
            learned: learned.map(|(_, count)| count).sum(),
        }
    }
}

/// One JSON object, pretty enough to be read.
pub(crate) fn json(engine: &Engine) -> String {
    let snapshot = engine.filter.snapshot();
    let counts = snapshot.counts();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        native: engine.native.is_ok(),
        not_native_because: engine.native.as_ref().err().map(ToString::to_string),
        revision: engine.state.as_ref().map_or(0, State::revision),
        publications_total: snapshot.revision(),
        rules: Rules {
            allow: counts.allow,
            block: counts.block,
            resource: counts.resource,
            learned: counts.learned,
        },
        traffic: Traffic::of(engine),
        lists: &engine.files,
        state: engine.state.as_ref().map(State::report),
        upkeep_seconds_max: engine.upkeep.longest_s(),
        upkeep_cpu_seconds_max: engine.upkeep.longest_cpu_s(),
        panics: guard::panics(),
    };
    serde_json::to_string_pretty(&status).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"))
}
