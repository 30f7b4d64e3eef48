//! A file with all rules of a list, or of all lists, on its way into the filter: verified first, then taken in slices that
//! readers see at once, when all is there.

use std::sync::Arc;

use edge_filter::{AddressRule, Lists, Operation, Replacement, Rule};
use edge_journal::{Identity, Next, ReadError, Record, Records};

use super::budget::Budget;
use super::merge::Merge;

/// Rules that are kept, removed or put between two looks at the time: some tenths of a millisecond.
const PIECE_RULES: usize = 256;

/// The same at the start, where nobody waits: the filter takes addresses in the faster the more come at once. Each is 48
/// bytes meanwhile.
const START_PIECE_RULES: usize = 1 << 18;

/// A file being taken over.
pub(crate) struct Bulk {
    records: Records,
    /// What was read, and how much of it was worked on.
    chunk: Option<(Chunk, usize)>,
    /// What was read after it.
    ahead: Option<Chunk>,
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

/// Rules of one record, or of several in a row that are of one list for one reason.
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

    /// Takes another one in, or gives it back.
    fn join(&mut self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Addresses(list, reason, rules), Self::Addresses(its_list, its_reason, more))
                if *list == its_list && *reason == its_reason =>
            {
                rules.extend(more);
                None
            }
            (_, other) => Some(other),
        }
    }
}

impl Bulk {
    /// Of a file that `records` has not begun to read. `lists` are what its rules replace.
    pub(crate) fn new(records: Records, lists: Lists, stamp_ms: u64) -> Self {
        let (chunk, ahead) = (None, None);
        Self { records, chunk, ahead, replacement: Replacement::new(lists), step: Step::Verify, stamp_ms }
    }

    /// The same where there are no such rules yet: what can be read of the file is put at once.
    pub(crate) fn at_the_start(records: Records, stamp_ms: u64) -> Self {
        Self { step: Step::Put, ..Self::new(records, Lists::AllBut(Vec::new()), stamp_ms) }
    }

    /// Which file it is.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.records.identity().ok()
    }

    /// Works on; whether all of it is in force when the edit ends.
    ///
    /// # Errors
    /// The file cannot be trusted. While it was verified, nothing was changed.
    pub(crate) fn work(&mut self, merge: &mut Merge<'_>, budget: Budget) -> Result<bool, ReadError> {
        let piece_rules = if budget.is_unlimited() { START_PIECE_RULES } else { PIECE_RULES };
        while !budget.is_spent() {
            if !matches!(self.step, Step::RemoveOthers) && self.next_chunk(piece_rules)? {
                self.work_on_chunk(merge, piece_rules);
                continue;
            }
            match self.step {
                Step::RemoveOthers => {
                    if self.replacement.remove_others(&mut merge.edit, piece_rules) {
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

    /// Whether there are rules to work on: as many as make a piece, if they can be joined.
    fn next_chunk(&mut self, piece_rules: usize) -> Result<bool, ReadError> {
        while self.chunk.as_ref().is_none_or(|(chunk, done)| *done == 0 && chunk.len() < piece_rules) {
            let next = match self.ahead.take() {
                Some(chunk) => chunk,
                None => match self.records.next() {
                    Ok(Next::Record(Record::Rules(rules))) => Chunk::Rules(rules),
                    Ok(Next::Record(Record::Addresses { list, reason, rules })) => {
                        Chunk::Addresses(list, reason, rules)
                    }
                    Ok(Next::Record(_)) => continue,
                    // What was read before damage holds at the start; asked again, the file says the same.
                    Ok(Next::End { .. }) | Err(_) if self.chunk.is_some() => return Ok(true),
                    Ok(Next::End { .. }) => return Ok(false),
                    Err(e) => return Err(e),
                },
            };
            match &mut self.chunk {
                None => self.chunk = Some((next, 0)),
                Some((chunk, _)) => {
                    self.ahead = chunk.join(next);
                    if self.ahead.is_some() {
                        break;
                    }
                }
            }
        }
        Ok(true)
    }

    /// A piece of it.
    fn work_on_chunk(&mut self, merge: &mut Merge<'_>, piece_rules: usize) {
        let Some((chunk, done)) = &mut self.chunk else { return };
        let piece = *done..chunk.len().min(*done + piece_rules);
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
}
