//! Adding many entries in one pass over the table.

use std::array;
use std::sync::Arc;

use super::bucket::{Bucket, ROOM};
use super::{DEGREE, DEGREE_BITS, HashTable, Hashed, Node, change, place, places};

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
        let is_new = matches!(&self.root, Node::Leaf(buckets) if buckets.len() == 1);
        if self.len > 0 || !is_new || count <= ROOM {
            return;
        }
        // Where buckets are filled so far on the average, next to none is too full.
        let buckets = count.div_ceil(ROOM * 5 / 6).next_power_of_two();
        let bits = u8::try_from(buckets.ilog2()).unwrap_or(0);
        self.root = of_empty(0, bits, &Bucket::of_bits(bits));
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
    fn fill<E: Hashed, T>(&mut self, node: &mut Node<E>, depth: u8, sorted: &[Coming<T>])
    where
        S: Fn(&T, &E) -> bool,
        M: FnMut(&T, Option<&E>) -> Option<E>,
    {
        let mut rest = sorted;
        while let Some(&(hash, _)) = rest.first() {
            match node {
                Node::Directory(nodes) => {
                    let at = place(hash, depth, DEGREE);
                    let Some(below) = Arc::make_mut(nodes).get_mut(at) else { return };
                    let here = first(rest, |hash| place(hash, depth, DEGREE) > at);
                    self.fill(below, depth + DEGREE_BITS, &rest[..here]);
                    rest = &rest[here..];
                    continue;
                }
                Node::Leaf(buckets) => {
                    let len = buckets.len();
                    let at = place(hash, depth, len);
                    let Some(bucket) = buckets.get(at) else { return };
                    let places = places(at, depth, len, bucket.bits());
                    let here = first(rest, |hash| place(hash, depth, len) >= places.end);
                    let coming = &rest[..here];
                    let is_new =
                        |(hash, what): &Coming<T>| bucket.find(*hash, |e| (self.same)(what, e)).is_none();
                    // What is the same lies side by side and takes one place, however often it comes.
                    let distinct = || coming.chunk_by(|one, next| one.0 == next.0);
                    let new = || distinct().filter(|same| same.iter().any(is_new)).take(ROOM + 1).count();
                    if bucket.has_room_for(here) || bucket.has_room_for(new()) {
                        let insert =
                            |bucket: &mut Bucket<E>| bucket.insert_many(coming, &self.same, &mut self.make);
                        self.added += change(buckets, places, insert).unwrap_or(0);
                        rest = &rest[here..];
                        continue;
                    }
                }
            }
            node.grow(depth, hash, self.keys);
        }
    }
}

/// What is below `depth` bits of a table in which this empty bucket has every place that its bits tell apart.
fn of_empty<E: Clone>(depth: u8, bits: u8, bucket: &Bucket<E>) -> Node<E> {
    if bits - depth > DEGREE_BITS {
        Node::Directory(Arc::new(array::from_fn(|_| of_empty(depth + DEGREE_BITS, bits, bucket))))
    } else {
        Node::Leaf(vec![bucket.clone(); 1 << (bits - depth)].into())
    }
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
