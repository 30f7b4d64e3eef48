//! Which slots are free: numbers for rules, so that cells and texts are found by them.

use std::collections::VecDeque;

/// Slots in one part of a queue: a queue that grows moves none of its parts, however many there are.
const PART: usize = 1024;

/// Slots in the order in which they came. No step takes longer for a longer queue, appending another neither.
#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<VecDeque<u32>>,
}

impl Queue {
    fn push(&mut self, slot: u32) {
        match self.parts.back_mut() {
            Some(part) if part.len() < PART => part.push_back(slot),
            _ => {
                let mut part = VecDeque::with_capacity(PART);
                part.push_back(slot);
                self.parts.push_back(part);
            }
        }
    }

    fn pop(&mut self) -> Option<u32> {
        let part = self.parts.front_mut()?;
        let slot = part.pop_front();
        if part.is_empty() {
            self.parts.pop_front();
        }
        slot
    }
}

/// The slots of all rules.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    count: u32,
    /// The longest free first: late hits of the rule before find nobody there for a while.
    free: Queue,
    /// Free for rules to come, but still read.
    held: Queue,
}

/// A slot for a new rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Nobody had it before.
    Fresh(u32),
    /// Another rule had it.
    Used(u32),
}

impl Slots {
    /// Slots that there are: each is smaller than this.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn take(&mut self) -> Slot {
        self.free.pop().map_or_else(
            || {
                self.count += 1;
                Slot::Fresh(self.count - 1)
            },
            Slot::Used,
        )
    }

    pub(crate) fn free(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Free it at the next [`Slots::release`].
    pub(crate) fn hold(&mut self, slot: u32) {
        self.held.push(slot);
    }

    /// Free all that are held.
    pub(crate) fn release(&mut self) {
        self.free.parts.append(&mut self.held.parts);
    }

    /// Slots that no rule has.
    #[cfg(test)]
    pub(crate) fn unused(&self) -> usize {
        [&self.free, &self.held].into_iter().flat_map(|queue| &queue.parts).map(VecDeque::len).sum()
    }
}
