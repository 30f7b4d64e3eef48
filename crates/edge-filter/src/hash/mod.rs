//! A persistent hash table: cloning it is one reference count, and changing a clone copies one bucket and the
//! directories above it.
//!
//! It is extendible hashing (Fagin et al., TODS 1979) on a tree of 64-slot directories. A bucket is one cache
//! line of tags, in the manner of SwissTable, over a dense array of entries: a key that is not listed costs
//! that one line, a listed one two. Nothing is ever rehashed as a whole, so no insertion is slow.

mod bucket;

use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;

use bucket::Bucket;

/// Bits of the hash that one directory decides.
const DIRECTORY_BITS: u8 = 6;
const SLOTS: usize = 1 << DIRECTORY_BITS;

/// An entry that knows its hash.
pub(crate) trait Hashed: Clone {
    /// The hash of the entry's key under `keys`, random and secret, so that nobody can aim at one bucket.
    fn hash(&self, keys: &RandomState) -> u64;
}

/// The slots of one directory. A bucket that decides fewer bits than the directory stands in several.
type Directory<E> = Arc<[Child<E>; SLOTS]>;

/// A set of entries found by hash and by what the caller says is the same key.
#[derive(Clone, Debug)]
pub(crate) struct HashTable<E> {
    root: Directory<E>,
    len: usize,
    keys: RandomState,
}

#[derive(Clone, Debug)]
enum Child<E> {
    Bucket(Arc<Bucket<E>>),
    Directory(Directory<E>),
}

/// The slot of `hash` in a directory below `depth` bits.
#[inline]
fn slot(hash: u64, depth: u8) -> usize {
    (hash << depth >> (u64::BITS - u32::from(DIRECTORY_BITS))) as usize
}

/// The slots, in the directory below `depth` bits, of the bucket that `hash` leads to and that decides `bits`.
fn slots(hash: u64, depth: u8, bits: u8) -> Range<usize> {
    let width = SLOTS >> (bits - depth);
    let first = slot(hash, depth) / width * width;
    first..first + width
}

impl<E: Hashed> HashTable<E> {
    /// An empty table: one directory, 1 KiB.
    pub(crate) fn new(keys: RandomState) -> Self {
        let empty = Arc::new(Bucket::default());
        Self { root: Arc::new(std::array::from_fn(|_| Child::Bucket(empty.clone()))), len: 0, keys }
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

    /// The entry with this hash that is the `same`. Four dependent loads up to some 100,000 entries, five at a
    /// million, of which two miss the cache; allocates nothing and cannot panic.
    #[inline]
    pub(crate) fn find(&self, hash: u64, same: impl Fn(&E) -> bool) -> Option<&E> {
        let mut directory = &self.root;
        let mut depth = 0;
        loop {
            match &directory[slot(hash, depth) % SLOTS] {
                Child::Bucket(bucket) => return bucket.find(hash, same),
                Child::Directory(below) => directory = below,
            }
            depth += DIRECTORY_BITS;
        }
    }

    /// Add an entry; answers with the `same` one that it replaced.
    pub(crate) fn insert(&mut self, entry: E, same: impl Fn(&E) -> bool) -> Option<E> {
        let hash = entry.hash(&self.keys);
        let replaced = insert(&mut self.root, 0, hash, entry, &same, &self.keys);
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Take the `same` entry out. Buckets are not joined again: a table keeps the shape of its largest time.
    pub(crate) fn remove(&mut self, hash: u64, same: impl Fn(&E) -> bool) -> Option<E> {
        // Look before copying: a miss must not copy the path.
        self.find(hash, &same)?;
        let removed = remove(&mut self.root, 0, hash, &same);
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// All entries, in the order of their hashes. Shares the table as it is now.
    pub(crate) fn entries(&self) -> Entries<E> {
        Entries { path: vec![(Child::Directory(self.root.clone()), 0)] }
    }
}

/// Put `bucket` in all of these slots.
fn fill<E>(directory: &mut [Child<E>; SLOTS], slots: Range<usize>, bucket: Bucket<E>) {
    let bucket = Arc::new(bucket);
    for child in directory.iter_mut().take(slots.end).skip(slots.start) {
        *child = Child::Bucket(bucket.clone());
    }
}

fn insert<E: Hashed>(
    directory: &mut Directory<E>,
    depth: u8,
    hash: u64,
    entry: E,
    same: &impl Fn(&E) -> bool,
    keys: &RandomState,
) -> Option<E> {
    let directory = Arc::make_mut(directory);
    let at = slot(hash, depth) % SLOTS;
    loop {
        match &mut directory[at] {
            Child::Directory(below) => return insert(below, depth + DIRECTORY_BITS, hash, entry, same, keys),
            Child::Bucket(bucket) if bucket.has_room() || bucket.find(hash, same).is_some() => {
                let slots = slots(hash, depth, bucket.bits);
                let (changed, replaced) = bucket.with(hash, entry, same);
                fill(directory, slots, changed);
                return replaced;
            }
            Child::Bucket(bucket) if bucket.bits == depth + DIRECTORY_BITS => {
                let whole = bucket.clone();
                directory[at] =
                    Child::Directory(Arc::new(std::array::from_fn(|_| Child::Bucket(whole.clone()))));
            }
            Child::Bucket(bucket) => {
                let slots = slots(hash, depth, bucket.bits);
                let middle = slots.start + slots.len() / 2;
                let (zeros, ones) = bucket.split(keys);
                fill(directory, slots.start..middle, zeros);
                fill(directory, middle..slots.end, ones);
            }
        }
    }
}

fn remove<E: Hashed>(
    directory: &mut Directory<E>,
    depth: u8,
    hash: u64,
    same: &impl Fn(&E) -> bool,
) -> Option<E> {
    let directory = Arc::make_mut(directory);
    match &mut directory[slot(hash, depth) % SLOTS] {
        Child::Directory(below) => remove(below, depth + DIRECTORY_BITS, hash, same),
        Child::Bucket(bucket) => {
            let slots = slots(hash, depth, bucket.bits);
            let (changed, removed) = bucket.without(hash, same);
            fill(directory, slots, changed);
            removed
        }
    }
}

/// An iterator that shares the table it walks over.
#[derive(Debug)]
pub(crate) struct Entries<E> {
    /// The way down; of each child the next slot or entry.
    path: Vec<(Child<E>, usize)>,
}

impl<E: Hashed> Iterator for Entries<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        loop {
            let level = self.path.len().checked_sub(1)?;
            let (child, next) = self.path.last_mut()?;
            match child {
                Child::Bucket(bucket) => {
                    if let Some(entry) = bucket.entries().get(*next) {
                        *next += 1;
                        return Some(entry.clone());
                    }
                    self.path.pop();
                }
                Child::Directory(children) => {
                    let Some(below) = children.get(*next).cloned() else {
                        self.path.pop();
                        continue;
                    };
                    // A bucket in several slots is visited at the first of them.
                    *next += match &below {
                        Child::Bucket(bucket) => {
                            SLOTS >> (usize::from(bucket.bits) - level * usize::from(DIRECTORY_BITS)).min(6)
                        }
                        Child::Directory(_) => 1,
                    };
                    self.path.push((below, 0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
