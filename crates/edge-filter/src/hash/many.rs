//! Adding many entries in one pass over the table.

use std::sync::Arc;

use super::{
    Child, DIRECTORY_BITS, Directory, HashTable, Hashed, change, directory, slot, slots, split_bucket,
};

/// Hash of an entry to come, and its number among them.
pub(crate) type Coming = (u64, u32);

/// How entries are made: from their numbers, and the entries that are there already.
struct Making<'k, S, M> {
    keys: &'k ahash::RandomState,
    same: S,
    make: M,
    added: usize,
}

impl<E: Hashed> HashTable<E> {
    /// Add entries in the order of their hashes: what `make` answers for the number of each, and for the entry that
    /// is the `same` already. `None` leaves everything as it is. Each bucket is found, copied and grown once.
    pub(crate) fn insert_many(
        &mut self,
        sorted: &[Coming],
        same: impl Fn(u32, &E) -> bool,
        make: impl FnMut(u32, Option<&E>) -> Option<E>,
    ) {
        let mut making = Making { keys: &self.keys, same, make, added: 0 };
        making.fill(&mut self.root, 0, sorted);
        self.len += making.added;
    }
}

impl<S, M> Making<'_, S, M> {
    fn fill<E: Hashed>(&mut self, directory: &mut Directory<E>, depth: u8, sorted: &[Coming])
    where
        S: Fn(u32, &E) -> bool,
        M: FnMut(u32, Option<&E>) -> Option<E>,
    {
        let mut rest = sorted;
        while let Some(&(hash, _)) = rest.first() {
            let len = directory.len();
            let at = slot(hash, depth, len);
            let children = Arc::make_mut(directory);
            let Some(child) = children.get_mut(at) else { return };
            let bucket = match child {
                Child::Directory(below) => {
                    let here = rest.partition_point(|(hash, _)| slot(*hash, depth, len) <= at);
                    self.fill(below, depth + DIRECTORY_BITS, &rest[..here]);
                    rest = &rest[here..];
                    continue;
                }
                Child::Bucket(bucket) => bucket,
            };
            let slots = slots(hash, depth, len, bucket.bits);
            let here = rest.partition_point(|(hash, _)| slot(*hash, depth, len) < slots.end);
            let coming = &rest[..here];
            let is_new = |&&(hash, number): &&Coming| bucket.find(hash, |e| (self.same)(number, e)).is_none();
            if bucket.has_room_for(here) || bucket.has_room_for(coming.iter().filter(is_new).count()) {
                let added =
                    change(children, slots, |bucket| bucket.insert_many(coming, &self.same, &mut self.make));
                self.added += added.unwrap_or(0);
                rest = &rest[here..];
            } else if slots.len() > 1 {
                split_bucket(children, slots, self.keys);
            } else if len < 1 << DIRECTORY_BITS {
                *directory = directory.iter().flat_map(|child| [child.clone(), child.clone()]).collect();
            } else {
                *child = Child::Directory(self::directory(bucket));
            }
        }
    }
}
