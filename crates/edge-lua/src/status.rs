//! `edge_status` and `show edge status`: the state of the module as JSON.

use serde::Serialize;

use crate::engine::Engine;
use crate::guard;
use crate::lists::ListFile;

#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    native: bool,
    /// Why the converters are Lua's.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_native_because: Option<String>,
    revision: u64,
    rules: Rules,
    lists: &'a [ListFile],
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

/// One JSON object, pretty enough to be read.
pub(crate) fn json(engine: &Engine) -> String {
    let snapshot = engine.filter.snapshot();
    let counts = snapshot.counts();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        native: engine.native.is_ok(),
        not_native_because: engine.native.as_ref().err().map(ToString::to_string),
        revision: snapshot.revision(),
        rules: Rules {
            allow: counts.allow,
            block: counts.block,
            resource: counts.resource,
            learned: counts.learned,
        },
        lists: &engine.files,
        panics: guard::panics(),
    };
    serde_json::to_string_pretty(&status).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"))
}
