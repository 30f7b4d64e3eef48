//! What the status and the metrics tell of the state directory.

use serde::Serialize;

use super::compaction::Copied;

/// How things are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub(crate) path: String,
    pub(crate) present: bool,
    /// The manager's revision in force.
    pub(crate) revision: u64,
    /// Rules and changes of the manager that came to that revision.
    pub(crate) taken: u64,
    /// What they were, as the manager has it too; none where the snapshot does not say.
    pub(crate) hash: Option<String>,
    /// Rules of that revision are missing, because the snapshot could not be read at the start.
    pub(crate) incomplete: bool,
    /// Nothing is followed before the manager has mended its files.
    pub(crate) stopped: bool,
    /// Why, in the words of the log.
    pub(crate) rules_problem: Option<String>,
    /// The file of the manager that is read at the moment.
    pub(crate) follows: Option<String>,
    /// This worker's own journal.
    pub(crate) journal: Option<Journal>,
    /// Journals of other workers.
    pub(crate) other_journals: Vec<String>,
    /// What was taken back and is remembered.
    pub(crate) taken_back: usize,
    pub(crate) last_compaction: Option<Copied>,
    /// What does not work, in the words of the log.
    pub(crate) problems: Vec<String>,
    /// Problems that began since the process started.
    pub(crate) problems_total: u64,
}

/// A journal of this worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Journal {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}
