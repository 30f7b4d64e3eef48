//! Adding many entries in one pass over the table.

use std::sync::Arc;

use super::bucket::{Bucket, ROOM};
use super::{
    Child, DIRECTORY_BITS, Directory, HashTable, Hashed, change, directory, slot, slots, split_bucket,
};

/// Hash of an entry to come, and what it is made from.
pub(crate) type Coming<T> = (u64, T);

/// How entries are made: from what they are made from, and the entries that are there already.
struct Making<'k, S, M> {
    keys: &'k ahash::RandomState,
    same: S,
    make: M,
    added: usize,
}

impl<E: Hashed> HashTable<E> {
    /// Let a table that never held anything begin in the shape that so many entries need, where it would come to it by
    /// splitting buckets again and again.
    pub(crate) fn reserve(&mut self, count: usize) {
        if self.len > 0 || self.root.len() > 2 || count <= ROOM {
            return;
        }
        // Where buckets are filled so far on the average, next to none is too full.
        let buckets = count.div_ceil(ROOM * 5 / 6).next_power_of_two();
        let bits = u8::try_from(buckets.ilog2()).unwrap_or(0);
        self.root = of_empty(0, bits, &Arc::new(Bucket::of_bits(bits)));
    }

    /// Add entries in the order of their hashes: what `make` answers for each, and for the entry that is the `same`
    /// already. `None` leaves everything as it is. Of those that are the same it takes one at most. Each bucket is found,
    /// copied and grown once.
    pub(crate) fn insert_many<T>(
        &mut self,
        sorted: &[Coming<T>],
        same: impl Fn(&T, &E) -> bool,
        make: impl FnMut(&T, Option<&E>) -> Option<E>,
    ) {
        let mut making = Making { keys: &self.keys, same, make, added: 0 };
        making.fill(&mut self.root, 0, sorted);
        self.len += making.added;
    }
}

impl<S, M> Making<'_, S, M> {
    fn fill<E: Hashed, T>(&mut self, directory: &mut Directory<E>, depth: u8, sorted: &[Coming<T>])
    where
        S: Fn(&T, &E) -> bool,
        M: FnMut(&T, Option<&E>) -> Option<E>,
    {
        let mut rest = sorted;
        while let Some(&(hash, _)) = rest.first() {
            let len = directory.len();
            let at = slot(hash, depth, len);
            let children = Arc::make_mut(directory);
            let Some(child) = children.get_mut(at) else { return };
            let bucket = match child {
                Child::Directory(below) => {
                    let here = first(rest, |hash| slot(hash, depth, len) > at);
                    self.fill(below, depth + DIRECTORY_BITS, &rest[..here]);
                    rest = &rest[here..];
                    continue;
                }
                Child::Bucket(bucket) => bucket,
            };
            let slots = slots(hash, depth, len, bucket.bits);
            let here = first(rest, |hash| slot(hash, depth, len) >= slots.end);
            let coming = &rest[..here];
            let is_new = |(hash, what): &Coming<T>| bucket.find(*hash, |e| (self.same)(what, e)).is_none();
            // What is the same lies side by side and takes one place, however often it comes.
            let distinct = || coming.chunk_by(|one, next| one.0 == next.0);
            let new = || distinct().filter(|same| same.iter().any(is_new)).take(ROOM + 1).count();
            if bucket.has_room_for(here) || bucket.has_room_for(new()) {
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

/// The directories below `depth` bits of a table in which this empty bucket has every place that its bits tell apart.
fn of_empty<E>(depth: u8, bits: u8, bucket: &Arc<Bucket<E>>) -> Directory<E> {
    let here = (bits - depth).min(DIRECTORY_BITS);
    let child = |_| {
        if bits - depth > DIRECTORY_BITS {
            Child::Directory(of_empty(depth + DIRECTORY_BITS, bits, bucket))
        } else {
            Child::Bucket(bucket.clone())
        }
    };
    (0..1 << here).map(child).collect()
}

/// How many entries come before the first whose hash is `past`, as are all after it. Steps of growing length, because
/// that is near most often, and what lies between in a million entries is not in the cache.
pub(super) fn first<T>(sorted: &[Coming<T>], past: impl Fn(u64) -> bool) -> usize {
    let mut end = 1;
    while sorted.get(end).is_some_and(|(hash, _)| !past(*hash)) {
        end *= 2;
    }
    let near = sorted.get(end / 2..end.min(sorted.len())).unwrap_or_default();
    end / 2 + near.partition_point(|(hash, _)| !past(*hash))
}
