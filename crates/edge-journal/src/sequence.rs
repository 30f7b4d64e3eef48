//! Which record may follow which: the grammar of a file.

use crate::{Damage, FileKind, Record};

/// Where in its file a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was read.
    Begin,
    /// Of a snapshot or a list: so many rules were read.
    Rules(u64),
    /// Of a journal: the last change made this revision; of a learned one always 0.
    Changes(u64),
    /// The last record was read.
    Done,
}

/// Accepts the records of one file in their order.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    kind: FileKind,
    state: State,
}

impl Sequence {
    pub(crate) fn new(kind: FileKind) -> Self {
        Self { kind, state: State::Begin }
    }

    /// Whether nothing may follow.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the file appears complete or not at all, so that an end before its last record is damage.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self.kind, FileKind::Snapshot | FileKind::List) && !self.is_done()
    }

    /// Takes the next record; an error leaves everything as it was.
    pub(crate) fn accept(&mut self, record: &Record) -> Result<(), Damage> {
        self.state = match (self.state, self.kind, record) {
            (State::Done, ..) => return Err(order("a record behind the last one")),
            (State::Begin, FileKind::Snapshot | FileKind::List, Record::Head(_)) => State::Rules(0),
            (State::Begin, FileKind::Journal, Record::Head(head)) => State::Changes(head.revision),
            (State::Begin, FileKind::Learned, Record::Head(_)) => State::Changes(0),
            (State::Begin, ..) => return Err(order("a file that does not begin with its head")),
            (State::Rules(before), _, Record::Rules(rules)) => more(before, rules.len()),
            (State::Rules(before), _, Record::Addresses { rules, .. }) => more(before, rules.len()),
            (State::Rules(before), _, Record::Seal(_)) => State::Rules(before),
            (State::Rules(before), _, Record::End { rules }) if before == *rules => State::Done,
            (State::Rules(before), _, Record::End { rules }) => {
                return Err(order(&format!("{before} rules where {rules} were written")));
            }
            (State::Changes(_), FileKind::Learned, Record::Change { revision: 0, .. }) => State::Changes(0),
            (
                State::Changes(before),
                FileKind::Journal,
                Record::Change { revision, .. } | Record::Replace { revision, .. },
            ) => match before.checked_add(1) {
                Some(due) if due == *revision => State::Changes(due),
                _ => return Err(order(&format!("revision {revision} after revision {before}"))),
            },
            (State::Changes(before), FileKind::Journal, Record::Next { revision }) if before == *revision => {
                State::Done
            }
            (State::Changes(before), FileKind::Journal, Record::Next { revision }) => {
                return Err(order(&format!(
                    "the next journal begins at {revision}, this one ends at {before}"
                )));
            }
            (_, kind, record) => {
                return Err(order(&format!("a record of kind {} in a {kind}", record.kind_name())));
            }
        };
        Ok(())
    }
}

fn more(before: u64, rules: usize) -> State {
    State::Rules(before.saturating_add(u64::try_from(rules).unwrap_or(u64::MAX)))
}

fn order(text: &str) -> Damage {
    Damage::Order(text.to_owned())
}
