//! A file with all rules of a list, or of all lists, on its way into the filter: verified first, then taken in slices that
//! readers see at once, when all is there.

use edge_filter::{Lists, Operation, Replacement};
use edge_journal::{Identity, Next, ReadError, Record, Records};

use super::budget::Budget;
use super::merge::Merge;

/// Rules removed between two looks at the time.
const REMOVED_AT_ONCE: usize = 64;

/// A file being taken over.
pub(crate) struct Bulk {
    records: Records,
    replacement: Replacement,
    step: Step,
    stamp_ms: u64,
}

enum Step {
    /// Reads the file to its end: nothing is changed before that.
    Verify,
    RemoveOthers,
    Put,
}

impl Bulk {
    /// Of a file that `records` has not begun to read. `lists` are what its rules replace.
    pub(crate) fn new(records: Records, lists: Lists, stamp_ms: u64) -> Self {
        Self { records, replacement: Replacement::new(lists), step: Step::Verify, stamp_ms }
    }

    /// Which file it is.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.records.identity().ok()
    }

    /// Works on; whether all of it is in force when the edit ends.
    ///
    /// # Errors
    /// The file cannot be trusted, and nothing was changed.
    pub(crate) fn work(&mut self, merge: &mut Merge<'_>, budget: Budget) -> Result<bool, ReadError> {
        while !budget.is_spent() {
            match self.step {
                Step::Verify => match self.records.next()? {
                    Next::Record(Record::Rules(rules)) => self.replacement.keep(&mut merge.edit, &rules),
                    Next::Record(Record::Addresses { rules, .. }) => {
                        self.replacement.keep_addresses(&mut merge.edit, &rules);
                    }
                    Next::Record(_) => {}
                    Next::End { .. } => self.step = Step::RemoveOthers,
                },
                Step::RemoveOthers => {
                    if self.replacement.remove_others(&mut merge.edit, REMOVED_AT_ONCE) {
                        self.records.rewind();
                        self.step = Step::Put;
                    }
                }
                Step::Put => match self.records.next()? {
                    Next::Record(Record::Rules(rules)) => {
                        for rule in rules {
                            merge.change(self.stamp_ms, Operation::Put(rule), true);
                        }
                    }
                    Next::Record(Record::Addresses { list, reason, rules }) => {
                        merge.edit.draft_addresses(&list, &reason, &rules);
                    }
                    Next::Record(_) => {}
                    Next::End { .. } => {
                        merge.edit.publish_draft();
                        return Ok(true);
                    }
                },
            }
        }
        Ok(false)
    }
}
