//! What workers tell that have all rules of a revision.

use std::collections::VecDeque;
use std::sync::Arc;

use edge_journal::Mark;
use parking_lot::Mutex;

use crate::store::{Store, StoreError};

/// Revisions that are remembered: a worker that is asked is not further behind those who change rules meanwhile.
const MAX_MARKS: usize = 1024;

/// The marks of the last revisions.
#[derive(Debug)]
pub struct Marks {
    last: Mutex<VecDeque<Mark>>,
    /// Another process may have changed rules since, whose mark the record has.
    store: Arc<Store>,
}

impl Marks {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { last: Mutex::default(), store }
    }

    pub(super) fn extend(&self, marks: impl IntoIterator<Item = Mark>) {
        let mut last = self.last.lock();
        for mark in marks {
            if last.len() == MAX_MARKS {
                last.pop_front();
            }
            last.push_back(mark);
        }
    }

    /// The mark of this revision; `None` where it is not known.
    pub fn at(&self, revision: u64) -> Option<Mark> {
        let known = self.last.lock().iter().rev().find(|mark| mark.revision == revision).copied();
        known.or_else(|| self.now().filter(|mark| mark.revision == revision))
    }

    /// The mark that the record has, which the state directory has or gets.
    fn now(&self) -> Option<Mark> {
        self.store.read::<_, StoreError>(|view| view.mark()).ok().flatten()
    }
}
