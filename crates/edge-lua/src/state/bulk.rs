//! A file with all rules of a list, or of all lists, on its way into the filter: read to its end first, then taken in slices
//! that readers see at once, when all is there.

use std::sync::Arc;

use edge_filter::{AddressRule, Lists, Operation, Replacement, Rule};
use edge_journal::{Head, Identity, Next, ReadError, Record, Records, Seal};

use super::budget::Budget;
use super::merge::Merge;

/// Rules that are kept or put between two looks at the time: some hundredths of a millisecond.
pub(crate) const PIECE_RULES: usize = 32;

/// Addresses that are gathered between two looks at the time, and parts of tables that are replaced: as long. A part is some
/// dozens of rules, each of which may have an end and a text to be changed.
const PIECE_GATHERED: usize = 256;
const PIECE_PARTS: usize = 1;

/// A file being taken over.
pub(crate) struct Bulk {
    /// `None` where no rules follow those that go.
    records: Option<Records>,
    /// What of the last record is still to be worked on.
    chunk: Option<(Chunk, usize)>,
    /// What was read beyond it.
    ahead: Option<Result<Chunk, ReadError>>,
    /// Nobody waits, so addresses are put all at once: the more, the less each costs.
    is_start: bool,
    replacement: Replacement,
    step: Step,
    /// The file has rules that the replacement does not put.
    reads_again: bool,
    stamp_us: u64,
    /// The file speaks for all lessons before this stamp; that of a list for none.
    learned_until_us: u64,
    /// What the file says of itself, once all of it was read.
    seal: Option<Seal>,
    /// Rules that were read, since the file was last begun.
    read: u64,
}

enum Step {
    /// Reads the file to its end: nothing is changed before that.
    Gather,
    Replace,
    /// Reads it again for rules that are put one by one.
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
    /// Of the file of a list, which `records` has not begun to read.
    pub(crate) fn of_list(records: Records, list: Arc<str>, stamp_us: u64) -> Self {
        Self::new(Some(records), Replacement::new(Lists::One(list)), stamp_us)
    }

    /// Of the snapshot with this head: it replaces all rules of lists but those of `spared`, and all lessons that it
    /// speaks for.
    pub(crate) fn of_snapshot(records: Records, head: &Head, spared: Vec<Arc<str>>) -> Self {
        let learned_until_us = head.learned_until_us;
        let replacement = Replacement::new(Lists::AllBut(spared)).with_lessons_before(learned_until_us);
        Self { learned_until_us, ..Self::new(Some(records), replacement, head.stamp_us) }
    }

    /// Of no file: all rules of lists but those of `spared` go.
    pub(crate) fn of_nothing(spared: Vec<Arc<str>>) -> Self {
        Self { step: Step::Replace, ..Self::new(None, Replacement::new(Lists::AllBut(spared)), 0) }
    }

    fn new(records: Option<Records>, replacement: Replacement, stamp_us: u64) -> Self {
        Self {
            records,
            chunk: None,
            ahead: None,
            is_start: false,
            replacement,
            step: Step::Gather,
            reads_again: false,
            stamp_us,
            learned_until_us: 0,
            seal: None,
            read: 0,
        }
    }

    /// Of the snapshot where there are no rules yet: what can be read of the file is put at once.
    pub(crate) fn at_the_start(records: Records, head: &Head) -> Self {
        let of_snapshot = Self::of_snapshot(records, head, Vec::new());
        Self { step: Step::Put, is_start: true, ..of_snapshot }
    }

    /// Which file it is.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.records.as_ref()?.identity().ok()
    }

    /// What the file says of itself; nothing before all of it was read, and where an earlier version wrote it.
    pub(crate) fn seal(&self) -> Option<Seal> {
        self.seal
    }

    /// Rules of the file that were read.
    pub(crate) fn rules(&self) -> u64 {
        self.read
    }

    /// Whether the draft has a part of it.
    pub(crate) fn has_drafted(&self) -> bool {
        !matches!(self.step, Step::Gather)
    }

    /// Works on, for one piece at least; whether all of it is in force when the edit ends.
    ///
    /// # Errors
    /// The file cannot be trusted. While it was verified, nothing was changed.
    pub(crate) fn work(&mut self, merge: &mut Merge<'_>, budget: Budget) -> Result<bool, ReadError> {
        while !self.work_on_piece(merge)? {
            if merge.is_due(budget) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether it was the last one.
    fn work_on_piece(&mut self, merge: &mut Merge<'_>) -> Result<bool, ReadError> {
        if !matches!(self.step, Step::Replace) && self.next_chunk()? {
            self.work_on_chunk(merge);
            return Ok(false);
        }
        match self.step {
            Step::Gather => {
                // Before anything is removed: what is read of journals from now on must not bring it back.
                merge.lessons.are_settled_until(self.learned_until_us, merge.stamps);
                self.step = Step::Replace;
            }
            Step::Replace => {
                let mut replaced = Vec::new();
                let is_done = self.replacement.replace(&mut merge.edit, PIECE_PARTS, &mut replaced);
                replaced.into_iter().for_each(|target| merge.overtaken(self.stamp_us, target));
                if !is_done {
                    return Ok(false);
                }
                if self.reads_again || self.replacement.leaves_addresses() {
                    self.records.iter_mut().for_each(Records::rewind);
                    self.read = 0;
                    self.step = Step::Put;
                    return Ok(false);
                }
                merge.edit.publish_draft();
                return Ok(true);
            }
            Step::Put => {
                merge.edit.publish_draft();
                return Ok(true);
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
        let Some(records) = &mut self.records else { return Ok(None) };
        loop {
            let chunk = match records.next()? {
                Next::Record(Record::Rules(rules)) => Chunk::Rules(rules),
                Next::Record(Record::Addresses { list, reason, rules }) => {
                    Chunk::Addresses(list, reason, rules)
                }
                Next::Record(Record::Seal(seal)) => {
                    self.seal = Some(seal);
                    continue;
                }
                Next::Record(_) => continue,
                Next::End { .. } => return Ok(None),
            };
            self.read = self.read.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            return Ok(Some(chunk));
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
        let is_read_again = matches!(self.step, Step::Put);
        let most = match chunk {
            Chunk::Addresses(..) if !is_read_again => PIECE_GATHERED,
            _ => PIECE_RULES,
        };
        let piece = *done..chunk.len().min(*done + most);
        *done = piece.end;
        match chunk {
            Chunk::Rules(rules) if is_read_again => {
                for rule in rules.get(piece).unwrap_or_default() {
                    merge.change(self.stamp_us, Operation::Put(rule.clone()), true);
                }
            }
            Chunk::Rules(rules) => {
                self.replacement.keep(&merge.edit, rules.get(piece).unwrap_or_default());
                self.reads_again = true;
            }
            Chunk::Addresses(list, reason, rules) if !is_read_again => {
                let rules = rules.get(piece).unwrap_or_default();
                self.replacement.gather(&merge.edit, list, reason, rules);
            }
            Chunk::Addresses(list, reason, rules) if self.replacement.leaves_addresses() => {
                let rules = rules.get(piece).unwrap_or_default();
                for target in merge.edit.draft_addresses(list, reason, [rules]) {
                    merge.overtaken(self.stamp_us, target);
                }
            }
            Chunk::Addresses(..) => *done = chunk.len(),
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
        // No lesson is in force yet that they could replace.
        merge.edit.draft_addresses(list, reason, std::iter::once(rules).chain(more));
    }
}
