//! Old snapshots, freed by the writer in pieces.

use std::sync::Arc;

use crate::snapshot::SlotDetails;
use crate::{AddressRemains, ResourceRemains, Snapshot, hash};

/// Snapshots that readers may still hold. What an update has replaced is freed here, by the writer: a reader that let
/// go last would pay for it in the middle of a request. And in pieces: a million rules take 0.1 s.
///
/// A piece takes a microsecond, but glibc's malloc defers two kinds of work to a single `free`, whichever that is, and
/// this one frees most. It joins all small chunks that were freed before (`malloc_consolidate`), 1 to 3.4 ms after a
/// million rules were replaced: the module has it do so once a turn (`join_freed`). And it gives the end of the heap
/// back to the system (`systrim`): seldom, as that waits for twice the largest block that was ever mapped and freed
/// (`M_MMAP_THRESHOLD` of mallopt(3)), 1.2 ms for the 26 MiB after a start with a million rules, 64 MiB at most.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// Each is held by a reader, except those that came since the last look.
    held: Vec<Arc<Snapshot>>,
    allow: AddressRemains,
    block: AddressRemains,
    resources: ResourceRemains,
    details: hash::Remains<SlotDetails>,
}

impl Retired {
    pub(crate) fn add(&mut self, old: Arc<Snapshot>) {
        self.held.push(old);
    }

    /// Free at most `max` pieces, each of some dozen addresses or of eight rules of a resource; how many were, fewer
    /// only where nothing is left. The last resource may be larger than the pieces that are left for it.
    pub(crate) fn free(&mut self, max: usize) -> usize {
        self.take_apart();
        let mut freed = 0;
        while freed < max {
            match self.free_one() {
                0 => return freed,
                pieces => freed += pieces,
            }
        }
        max
    }

    /// Take apart the snapshots that no reader holds any more.
    fn take_apart(&mut self) {
        for snapshot in self.held.extract_if(.., |snapshot| Arc::strong_count(snapshot) == 1) {
            let Some(Snapshot { allow, block, resources, details, .. }) = Arc::into_inner(snapshot) else {
                continue;
            };
            self.allow.add(allow);
            self.block.add(block);
            self.resources.add(resources);
            self.details.add(details);
        }
    }

    /// How many pieces that was.
    fn free_one(&mut self) -> usize {
        if self.block.free_one() || self.allow.free_one() {
            return 1;
        }
        match self.resources.free_one() {
            0 => self.details.free_one(|_| ()).into(),
            pieces => pieces,
        }
    }
}
