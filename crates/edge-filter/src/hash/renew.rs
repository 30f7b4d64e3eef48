//! Renewing a table a bucket at a time: what comes and what goes, in one pass over both in the order of their hashes.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::bucket::{Bucket, ROOM};
use super::many::{Coming, first};
use super::{HashTable, Hashed, Node, place, places};

/// What becomes of the entries of a table that is renewed.
pub(crate) trait Renewal<E> {
    /// Whether two entries have the same key.
    fn is_same(one: &E, other: &E) -> bool;

    /// Whether an entry stays if no same one comes.
    fn stays(&self, entry: &E) -> bool;

    /// What is held of an entry that comes, in place of the same one that is there already. `None` leaves everything as it
    /// is. Of those that come and are the same it takes one at most.
    fn takes(&mut self, coming: &E, other: Option<&E>) -> Option<E>;

    /// An entry goes, neither staying nor replaced.
    fn goes(&mut self, entry: &E);
}

impl<E: Hashed> HashTable<E> {
    /// Renew the bucket where `span` begins, as far as that reaches. `sorted` is what comes in `span`, in the order of
    /// hashes. Answers how many of these have come, and what is left of `span`. O(1): a bucket, seldom one more for each
    /// time that it is split.
    pub(crate) fn renew_bucket<R: Renewal<E>>(
        &mut self,
        span: RangeInclusive<u64>,
        sorted: &[Coming<E>],
        renewal: &mut R,
    ) -> (usize, Option<RangeInclusive<u64>>) {
        let (from, to) = span.into_inner();
        loop {
            let Some(bucket) = self.bucket(from) else { return (0, None) };
            let below = u64::MAX >> bucket.bits();
            let until = to.min(from | below);
            let rest = if until < to { Some(until + 1..=to) } else { None };
            let here = first(sorted, |hash| hash > until);
            let coming = sorted.get(..here).unwrap_or_default();
            let is_whole = from & below == 0 && until & below == below;
            let is_here = |entry: &E| is_whole || (from..=until).contains(&entry.hash(&self.keys));
            let stays = |renewal: &R, entry: &E| renewal.stays(entry) || !is_here(entry);
            let staying = bucket.entries().iter().flatten().filter(|entry| stays(renewal, entry)).count();
            // Most of a large table may stay as it is: then it is not copied.
            if here == 0 && staying == bucket.entries().len() {
                return (0, rest);
            }
            let takes_place = |(hash, coming): &Coming<E>| {
                let other = bucket.find(*hash, |other| R::is_same(coming, other));
                other.is_none_or(|other| !stays(renewal, other))
            };
            // What is the same lies side by side and takes one place, however often it comes.
            let distinct = || coming.chunk_by(|one, next| one.0 == next.0);
            let new = || distinct().filter(|same| same.iter().any(takes_place)).take(ROOM + 1).count();
            let has_room = |more: usize| staying + more <= ROOM || !bucket.can_split();
            if has_room(here) || has_room(new()) {
                let before = bucket.entries().len();
                let renewed = bucket.renewed(coming, staying + here, renewal, |entry| !is_here(entry));
                self.len = self.len - before + renewed.entries().len();
                self.put(from, renewed);
                return (here, rest);
            }
            let Some((leaf, depth)) = self.root.leaf_mut(from) else { return (0, None) };
            leaf.grow(depth, from, &self.keys);
        }
    }

    /// Put a bucket in the place of the one of this hash that decides the same bits.
    fn put(&mut self, hash: u64, bucket: Bucket<E>) {
        let Some((Node::Leaf(buckets), depth)) = self.root.leaf_mut(hash) else { return };
        let len = buckets.len();
        let places = places(place(hash, depth, len), depth, len, bucket.bits());
        if let Some(here) = Arc::make_mut(buckets).get_mut(places) {
            here.fill(bucket);
        }
    }
}
