//! A persistent hash table: cloning it is one reference count, and changing a clone copies one bucket and the
//! directories above it.
//!
//! It is extendible hashing (Fagin et al., TODS 1979) on a tree of directories of at most 64 slots. A bucket is
//! one cache line of tags, in the manner of SwissTable, over a dense array of entries: a key that is not listed costs
//! that one line, a listed one two. Nothing is ever rehashed as a whole, so no insertion is slow.

mod bucket;
mod many;
mod remains;
mod renew;

use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;

use bucket::Bucket;
pub(crate) use many::Coming;
pub(crate) use remains::Remains;
pub(crate) use renew::Renewal;

/// Bits of the hash that one directory decides at most.
const DIRECTORY_BITS: u8 = 6;

/// An entry that knows its hash.
pub(crate) trait Hashed: Clone {
    /// The hash of the entry's key under `keys`, random and secret, so that nobody can aim at one bucket.
    fn hash(&self, keys: &RandomState) -> u64;
}

/// The slots of one directory: a power of two, 64 at most, doubled when a bucket needs one bit more. A bucket that
/// decides fewer bits than the directory stands in several of them.
type Directory<E> = Arc<[Child<E>]>;

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

/// The slot of `hash` in a directory of `len` slots below `depth` bits.
#[inline]
fn slot(hash: u64, depth: u8, len: usize) -> usize {
    let bits = (hash << depth >> (u64::BITS - u32::from(DIRECTORY_BITS))) as usize;
    (bits * len) >> DIRECTORY_BITS
}

/// The slots, in a directory of `len` slots below `depth` bits, of the bucket that `hash` leads to and that
/// decides `bits`.
fn slots(hash: u64, depth: u8, len: usize, bits: u8) -> Range<usize> {
    let width = len >> (bits - depth);
    let first = slot(hash, depth, len) / width * width;
    first..first + width
}

/// A directory of two slots, both of them this bucket's.
fn directory<E>(bucket: &Arc<Bucket<E>>) -> Directory<E> {
    Arc::new([Child::Bucket(bucket.clone()), Child::Bucket(bucket.clone())])
}

impl<E: Hashed> HashTable<E> {
    /// An empty table.
    pub(crate) fn new(keys: RandomState) -> Self {
        Self { root: directory(&Arc::new(Bucket::default())), len: 0, keys }
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
            match directory.get(slot(hash, depth, directory.len()))? {
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
fn fill<E>(directory: &mut [Child<E>], slots: Range<usize>, bucket: Bucket<E>) {
    let bucket = Arc::new(bucket);
    for child in directory.iter_mut().take(slots.end).skip(slots.start) {
        *child = Child::Bucket(bucket.clone());
    }
}

/// Split the bucket in these slots, of which there are two at least.
fn split_bucket<E: Hashed>(directory: &mut [Child<E>], slots: Range<usize>, keys: &RandomState) {
    let Some(Child::Bucket(bucket)) = directory.get(slots.start) else { return };
    let middle = slots.start + slots.len() / 2;
    let (zeros, ones) = bucket.split(keys);
    fill(directory, slots.start..middle, zeros);
    fill(directory, middle..slots.end, ones);
}

/// Change the bucket in these slots, which is copied if snapshots share it.
fn change<E: Hashed, T>(
    directory: &mut [Child<E>],
    slots: Range<usize>,
    change: impl FnOnce(&mut Bucket<E>) -> T,
) -> Option<T> {
    let Some(Child::Bucket(bucket)) = directory.get_mut(slots.start) else { return None };
    if slots.len() == 1 {
        return Some(change(Arc::make_mut(bucket)));
    }
    let mut changed = Bucket::clone(bucket);
    let answer = change(&mut changed);
    fill(directory, slots, changed);
    Some(answer)
}

fn insert<E: Hashed>(
    directory: &mut Directory<E>,
    depth: u8,
    hash: u64,
    entry: E,
    same: &impl Fn(&E) -> bool,
    keys: &RandomState,
) -> Option<E> {
    loop {
        let len = directory.len();
        let at = slot(hash, depth, len);
        let children = Arc::make_mut(directory);
        match children.get_mut(at)? {
            Child::Directory(below) => return insert(below, depth + DIRECTORY_BITS, hash, entry, same, keys),
            Child::Bucket(bucket) if bucket.has_room_for(1) || bucket.find(hash, same).is_some() => {
                let slots = slots(hash, depth, len, bucket.bits);
                return change(children, slots, |bucket| bucket.insert(hash, entry, same))?;
            }
            Child::Bucket(bucket) if len >> (bucket.bits - depth) > 1 => {
                let slots = slots(hash, depth, len, bucket.bits);
                split_bucket(children, slots, keys);
            }
            Child::Bucket(_) if len < 1 << DIRECTORY_BITS => {
                *directory = directory.iter().flat_map(|child| [child.clone(), child.clone()]).collect();
            }
            child @ Child::Bucket(_) => {
                if let Child::Bucket(bucket) = child {
                    *child = Child::Directory(self::directory(bucket));
                }
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
    let len = directory.len();
    let children = Arc::make_mut(directory);
    match children.get_mut(slot(hash, depth, len))? {
        Child::Directory(below) => remove(below, depth + DIRECTORY_BITS, hash, same),
        Child::Bucket(bucket) => {
            let slots = slots(hash, depth, len, bucket.bits);
            change(children, slots, |bucket| bucket.remove(hash, same))?
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
                            let decided = usize::from(bucket.bits) - level * usize::from(DIRECTORY_BITS);
                            children.len() >> decided
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
