//! A file with all rules of a list, or of all lists, on its way into the filter: verified first, then taken in slices that
//! readers see at once, when all is there.

use std::sync::Arc;

use edge_filter::{AddressRule, Lists, Operation, Replacement, Rule};
use edge_journal::{Identity, Next, ReadError, Record, Records};

use super::budget::Budget;
use super::merge::Merge;

/// Rules that are kept, removed or put between two looks at the time: some tenths of a millisecond.
const PIECE_RULES: usize = 256;

/// A file being taken over.
pub(crate) struct Bulk {
    records: Records,
    /// What of the last record is still to be worked on.
    chunk: Option<(Chunk, usize)>,
    /// What was read beyond it.
    ahead: Option<Result<Chunk, ReadError>>,
    /// Nobody waits, so addresses are put all at once: the more, the less each costs.
    is_start: bool,
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

/// Rules of one record.
enum Chunk {
    Rules(Vec<Rule>),
    Addresses(Arc<str>, Arc<str>, Vec<AddressRule>),
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Self::Rules(rules) => rules.len(),
            Self::Addresses(_, _, rules) => rules.len(),
        }
    }
}

impl Bulk {
    /// Of a file that `records` has not begun to read. `lists` are what its rules replace.
    pub(crate) fn new(records: Records, lists: Lists, stamp_ms: u64) -> Self {
        Self {
            records,
            chunk: None,
            ahead: None,
            is_start: false,
            replacement: Replacement::new(lists),
            step: Step::Verify,
            stamp_ms,
        }
    }

    /// The same where there are no such rules yet: what can be read of the file is put at once.
    pub(crate) fn at_the_start(records: Records, stamp_ms: u64) -> Self {
        let of_no_list = Self::new(records, Lists::AllBut(Vec::new()), stamp_ms);
        Self { step: Step::Put, is_start: true, ..of_no_list }
    }

    /// Which file it is.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.records.identity().ok()
    }

    /// Whether the draft has a part of it.
    pub(crate) fn has_drafted(&self) -> bool {
        !matches!(self.step, Step::Verify)
    }

    /// Works on; whether all of it is in force when the edit ends.
    ///
    /// # Errors
    /// The file cannot be trusted. While it was verified, nothing was changed.
    pub(crate) fn work(&mut self, merge: &mut Merge<'_>, budget: Budget) -> Result<bool, ReadError> {
        while !merge.is_due(budget) {
            if !matches!(self.step, Step::RemoveOthers) && self.next_chunk()? {
                self.work_on_chunk(merge);
                continue;
            }
            match self.step {
                Step::RemoveOthers => {
                    if self.replacement.remove_others(&mut merge.edit, PIECE_RULES) {
                        self.step = Step::Put;
                    }
                }
                Step::Verify => {
                    self.records.rewind();
                    self.step = Step::RemoveOthers;
                }
                Step::Put => {
                    merge.edit.publish_draft();
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether there are rules to work on.
    fn next_chunk(&mut self) -> Result<bool, ReadError> {
        if self.chunk.is_none() {
            self.chunk = self.read_chunk()?.map(|chunk| (chunk, 0));
        }
        Ok(self.chunk.is_some())
    }

    /// The rules of the next record that has any.
    fn read_chunk(&mut self) -> Result<Option<Chunk>, ReadError> {
        if let Some(ahead) = self.ahead.take() {
            return ahead.map(Some);
        }
        loop {
            return Ok(Some(match self.records.next()? {
                Next::Record(Record::Rules(rules)) => Chunk::Rules(rules),
                Next::Record(Record::Addresses { list, reason, rules }) => {
                    Chunk::Addresses(list, reason, rules)
                }
                Next::Record(_) => continue,
                Next::End { .. } => return Ok(None),
            }));
        }
    }

    /// A piece of it.
    fn work_on_chunk(&mut self, merge: &mut Merge<'_>) {
        if self.is_start
            && let Some((Chunk::Addresses(list, reason, rules), _)) =
                self.chunk.take_if(|(chunk, _)| matches!(chunk, Chunk::Addresses(..)))
        {
            return self.put_at_once(&list, &reason, rules, merge);
        }
        let Some((chunk, done)) = &mut self.chunk else { return };
        let piece = *done..chunk.len().min(*done + PIECE_RULES);
        *done = piece.end;
        let is_verified = matches!(self.step, Step::Put);
        match chunk {
            Chunk::Rules(rules) if is_verified => {
                for rule in rules.get(piece).unwrap_or_default() {
                    merge.change(self.stamp_ms, Operation::Put(rule.clone()), true);
                }
            }
            Chunk::Addresses(list, reason, rules) if is_verified => {
                merge.edit.draft_addresses(list, reason, rules.get(piece).unwrap_or_default());
            }
            Chunk::Rules(rules) => {
                self.replacement.keep(&mut merge.edit, rules.get(piece).unwrap_or_default())
            }
            Chunk::Addresses(_, _, rules) => {
                self.replacement.keep_addresses(&mut merge.edit, rules.get(piece).unwrap_or_default());
            }
        }
        if *done == chunk.len() {
            self.chunk = None;
        }
    }

    /// These rules, and those of all records that follow for the same list and reason.
    fn put_at_once(
        &mut self,
        list: &Arc<str>,
        reason: &Arc<str>,
        rules: Vec<AddressRule>,
        merge: &mut Merge<'_>,
    ) {
        let more = std::iter::from_fn(|| match self.read_chunk() {
            Ok(Some(Chunk::Addresses(of, why, rules))) if of == *list && why == *reason => Some(rules),
            other => {
                self.ahead = other.transpose();
                None
            }
        });
        merge.edit.draft_many_addresses(list, reason, std::iter::once(rules).chain(more));
    }
}
