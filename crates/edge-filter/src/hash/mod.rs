//! A persistent hash table: cloning it is one reference count, and changing a clone copies one leaf and the
//! directories above it.
//!
//! It is extendible hashing (Fagin et al., TODS 1979) at the leaves of a trie of directories. A leaf holds its buckets in
//! place, each of them one cache line of tags, in the manner of SwissTable, over a dense array of entries: a key that is
//! not listed costs that one line, a listed one two. Nothing is ever rehashed as a whole, so no insertion is slow.

mod bucket;
mod many;
mod remains;
mod renew;

use std::ops::Range;
use std::sync::Arc;
use std::{array, iter};

use ahash::RandomState;

use bucket::Bucket;
pub(crate) use many::Coming;
pub(crate) use remains::Remains;
pub(crate) use renew::Renewal;

/// Bits of the hash that one directory decides, and one leaf at most.
const DEGREE_BITS: u8 = 6;
const DEGREE: usize = 1 << DEGREE_BITS;

/// An entry that knows its hash.
pub(crate) trait Hashed: Clone {
    /// The hash of the entry's key under `keys`, random and secret, so that nobody can aim at one bucket.
    fn hash(&self, keys: &RandomState) -> u64;
}

/// A set of entries found by hash and by what the caller says is the same key.
#[derive(Clone, Debug)]
pub(crate) struct HashTable<E> {
    root: Node<E>,
    len: usize,
    keys: RandomState,
}

#[derive(Clone, Debug)]
enum Node<E> {
    /// A power of two of buckets, [`DEGREE`] at most, doubled when a bucket needs one bit more. A bucket that decides
    /// fewer bits than the leaf stands in several places of it.
    Leaf(Arc<[Bucket<E>]>),
    Directory(Arc<[Node<E>; DEGREE]>),
}

// Leaves are many, and so are the nodes that lead to them.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Node<u8>>() == 16);

/// The place of `hash` among `len` below `depth` bits.
#[inline]
fn place(hash: u64, depth: u8, len: usize) -> usize {
    let bits = (hash << depth >> (u64::BITS - u32::from(DEGREE_BITS))) as usize;
    (bits * len) >> DEGREE_BITS
}

/// The places of a bucket that stands at this one of a leaf of `len`, below `depth` bits, and decides `bits`.
fn places(at: usize, depth: u8, len: usize, bits: u8) -> Range<usize> {
    let width = len >> (bits - depth);
    let first = at / width * width;
    first..first + width
}

impl<E: Hashed> HashTable<E> {
    /// An empty table.
    pub(crate) fn new(keys: RandomState) -> Self {
        Self { root: Node::Leaf(Arc::new([Bucket::of_bits(0)])), len: 0, keys }
    }

    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The keys that entries are hashed with.
    #[inline]
    pub(crate) fn keys(&self) -> &RandomState {
        &self.keys
    }

    /// The entry with this hash that is the `same`. Three dependent loads up to some 100,000 entries, four at
    /// a million, of which two miss the cache, one if there is none; allocates nothing and cannot panic.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, same: impl Fn(&E) -> bool) -> Option<&E> {
        self.bucket(hash)?.find(hash, same)
    }

    /// The bucket of this hash.
    #[inline]
    fn bucket(&self, hash: u64) -> Option<&Bucket<E>> {
        let mut node = &self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Leaf(buckets) => return buckets.get(place(hash, depth, buckets.len())),
                Node::Directory(nodes) => node = nodes.get(place(hash, depth, DEGREE))?,
            }
            depth += DEGREE_BITS;
        }
    }

    /// Add an entry; answers with the `same` one that it replaced.
    pub(crate) fn insert(&mut self, entry: E, same: impl Fn(&E) -> bool) -> Option<E> {
        let hash = entry.hash(&self.keys);
        loop {
            let (leaf, depth) = self.root.leaf_mut(hash)?;
            let Node::Leaf(buckets) = &mut *leaf else { return None };
            let len = buckets.len();
            let at = place(hash, depth, len);
            let bucket = buckets.get(at)?;
            if bucket.has_room_for(1) || bucket.find(hash, &same).is_some() {
                let places = places(at, depth, len, bucket.bits());
                let replaced = change(buckets, places, |bucket| bucket.insert(hash, entry, &same))?;
                self.len += usize::from(replaced.is_none());
                return replaced;
            }
            leaf.grow(depth, hash, &self.keys);
        }
    }

    /// Take the `same` entry out. Buckets are not joined again: a table keeps the shape of its largest time.
    pub(crate) fn remove(&mut self, hash: u64, same: impl Fn(&E) -> bool) -> Option<E> {
        // Look before copying: a miss must not copy the path.
        self.find(hash, &same)?;
        let (Node::Leaf(buckets), depth) = self.root.leaf_mut(hash)? else { return None };
        let len = buckets.len();
        let at = place(hash, depth, len);
        let places = places(at, depth, len, buckets.get(at)?.bits());
        let removed = change(buckets, places, |bucket| bucket.remove(hash, &same))?;
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// All entries, in the order of their hashes' first bits. Shares the table as it is now.
    pub(crate) fn entries(&self) -> Entries<E> {
        Entries::of(self.root.clone())
    }
}

/// Change the bucket in these places, whose entries are copied if snapshots share them.
fn change<E: Hashed, T>(
    buckets: &mut Arc<[Bucket<E>]>,
    places: Range<usize>,
    change: impl FnOnce(&mut Bucket<E>) -> T,
) -> Option<T> {
    let (first, others) = Arc::make_mut(buckets).get_mut(places)?.split_first_mut()?;
    // Or they would share the entries with the one that is changed.
    others.fill(Bucket::of_bits(first.bits()));
    let answer = change(first);
    others.fill(first.clone());
    Some(answer)
}

impl<E: Hashed> Node<E> {
    /// The leaf that `hash` leads to, below directories that no other table shares any more, and how many bits are decided
    /// above it.
    fn leaf_mut(&mut self, hash: u64) -> Option<(&mut Self, u8)> {
        let (mut node, mut depth) = (self, 0);
        loop {
            match node {
                Self::Leaf(_) => return Some((node, depth)),
                Self::Directory(nodes) => node = Arc::make_mut(nodes).get_mut(place(hash, depth, DEGREE))?,
            }
            depth += DEGREE_BITS;
        }
    }

    /// Make a step towards room for more in the bucket of `hash`, in a leaf below `depth` bits: the bucket is split if
    /// it stands in several places, or else the leaf has twice as many, or a directory of leaves takes its place.
    fn grow(&mut self, depth: u8, hash: u64, keys: &RandomState) {
        let Self::Leaf(buckets) = self else { return };
        let len = buckets.len();
        // A bucket must not stand in several leaves.
        let others = if len < DEGREE { 0..0 } else { 0..DEGREE };
        let divisible = iter::once(place(hash, depth, len)).chain(others).find_map(|at| {
            let places = places(at, depth, len, buckets.get(at)?.bits());
            (places.len() > 1).then_some(places)
        });
        if let Some(places) = divisible {
            let Some(here) = Arc::make_mut(buckets).get_mut(places) else { return };
            let (first, second) = here.split_at_mut(here.len() / 2);
            let Some((zeros, ones)) = first.first().map(|bucket| bucket.split(keys)) else { return };
            first.fill(zeros);
            second.fill(ones);
        } else if len < DEGREE {
            *buckets = buckets.iter().flat_map(|bucket| [bucket.clone(), bucket.clone()]).collect();
        } else {
            let leaf = |at| Self::Leaf(buckets.get(at).cloned().into_iter().collect());
            *self = Self::Directory(Arc::new(array::from_fn(leaf)));
        }
    }
}

/// An iterator that shares the table it walks over.
#[derive(Debug)]
pub(crate) struct Entries<E> {
    /// The way down; of each node the next place in it, and how many bits are decided above it.
    path: Vec<(Node<E>, usize, u8)>,
    /// The bucket at the end of it, and the next entry there.
    entries: Arc<[Option<E>]>,
    next: usize,
}

impl<E> Entries<E> {
    fn of(root: Node<E>) -> Self {
        Self { path: vec![(root, 0, 0)], entries: Arc::default(), next: 0 }
    }
}

impl<E: Hashed> Iterator for Entries<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        loop {
            if let Some(entry) = self.entries.get(self.next) {
                self.next += 1;
                if entry.is_some() {
                    return entry.clone();
                }
                continue;
            }
            let (node, next, depth) = self.path.last_mut()?;
            match node {
                Node::Leaf(buckets) => match buckets.get(*next) {
                    // A bucket in several places is visited at the first of them.
                    Some(bucket) => {
                        *next += buckets.len() >> (bucket.bits() - *depth);
                        (self.entries, self.next) = (bucket.entries().clone(), 0);
                    }
                    None => _ = self.path.pop(),
                },
                Node::Directory(nodes) => match nodes.get(*next).cloned() {
                    Some(below) => {
                        *next += 1;
                        let depth = *depth + DEGREE_BITS;
                        self.path.push((below, 0, depth));
                    }
                    None => _ = self.path.pop(),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
