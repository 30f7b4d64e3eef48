//! One bucket: a cache line of tags over a dense array of entries.

use std::sync::Arc;

use ahash::RandomState;
use wide::u8x16;

use super::{Coming, Hashed, Renewal};

/// Bytes that are compared at once, and how often to a bucket.
const LANES: usize = 16;
const STEPS: usize = 3;
const BYTES: usize = LANES * STEPS;

/// Entries in a bucket at most: the last byte is no tag.
pub(super) const ROOM: usize = BYTES - 1;

/// Bits that buckets may be told apart by; the lowest eight are the tag.
const BITS_MAX: u8 = 54;

/// Entries of which the first [`Bucket::bits`] bits of the hash are the same. Another one may share them.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Bucket<E> {
    /// The low byte of each entry's hash, in the entries' order; 0 is none, so the byte 0 is written 1. The last byte
    /// is the number of bits: what it equals by chance, no entry stands for.
    tags: [u8; BYTES],
    /// None is missing but while they are moved to another array.
    entries: Arc<[Option<E>]>,
}

// More than a line, and a miss would cost two.
const _: () = assert!(size_of::<Bucket<u8>>() == 64);

#[inline]
fn tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

/// The `same` entry and where it is. Which bytes are equal is gathered in one number, because a branch on the step that
/// holds the tag would be guessed wrong every other time.
#[inline]
fn find<'e, E>(
    tags: &[u8; BYTES],
    entries: &'e [Option<E>],
    hash: u64,
    same: impl Fn(&E) -> bool,
) -> Option<(usize, &'e E)> {
    let wanted = u8x16::splat(tag(hash));
    let mut equal = 0;
    for (step, bytes) in tags.as_chunks::<LANES>().0.iter().enumerate() {
        equal |= u64::from(u8x16::new(*bytes).simd_eq(wanted).to_bitmask()) << (step * LANES);
    }
    while equal != 0 {
        let at = equal.trailing_zeros() as usize;
        if let Some(Some(entry)) = entries.get(at)
            && same(entry)
        {
            return Some((at, entry));
        }
        equal &= equal - 1;
    }
    None
}

impl<E> Bucket<E> {
    /// An empty one.
    pub(super) fn of_bits(bits: u8) -> Self {
        let mut tags = [0; BYTES];
        tags[ROOM] = bits;
        Self { tags, entries: Arc::default() }
    }

    /// How many leading bits of the hash all entries share.
    #[inline]
    pub(super) fn bits(&self) -> u8 {
        self.tags[ROOM]
    }

    /// The tag of the entry there; the first [`ROOM`] have one.
    fn tag_at(&self, at: usize) -> Option<u8> {
        self.tags[..ROOM].get(at).copied()
    }

    fn set_tag(&mut self, at: usize, tag: u8) {
        if let Some(place) = self.tags[..ROOM].get_mut(at) {
            *place = tag;
        }
    }
}

impl<E: Hashed> Bucket<E> {
    pub(super) fn entries(&self) -> &Arc<[Option<E>]> {
        &self.entries
    }

    /// Whether so many entries more may come in. A bucket that no bits are left to split takes any number, but only
    /// the first [`ROOM`] are found: with random keys that takes 48 equal hashes.
    pub(super) fn has_room_for(&self, more: usize) -> bool {
        self.entries.len() + more <= ROOM || !self.can_split()
    }

    /// Whether bits are left to split it by.
    pub(super) fn can_split(&self) -> bool {
        self.bits() < BITS_MAX
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, same: impl Fn(&E) -> bool) -> Option<&E> {
        find(&self.tags, &self.entries, hash, same).map(|(_, entry)| entry)
    }

    fn position(&self, hash: u64, same: impl Fn(&E) -> bool) -> Option<usize> {
        find(&self.tags, &self.entries, hash, same).map(|(at, _)| at)
    }

    /// The entries, and room for so many more: moved if no other bucket has them too.
    fn take(&mut self, more: usize) -> Vec<Option<E>> {
        let mut taken = Vec::with_capacity(self.entries.len() + more);
        match Arc::get_mut(&mut self.entries) {
            Some(entries) => taken.extend(entries.iter_mut().map(Option::take)),
            None => taken.extend_from_slice(&self.entries),
        }
        taken
    }

    /// Add an entry, or put it in the place of the `same` one, which is given back.
    pub(super) fn insert(&mut self, hash: u64, entry: E, same: impl Fn(&E) -> bool) -> Option<E> {
        if let Some(at) = self.position(hash, same) {
            return Arc::make_mut(&mut self.entries).get_mut(at)?.replace(entry);
        }
        self.set_tag(self.entries.len(), tag(hash));
        let mut entries = self.take(1);
        entries.push(Some(entry));
        self.entries = entries.into();
        None
    }

    /// Add entries as [`super::HashTable::insert_many`] does; how many came in beside those that there were.
    pub(super) fn insert_many<T>(
        &mut self,
        coming: &[Coming<T>],
        same: impl Fn(&T, &E) -> bool,
        mut make: impl FnMut(&T, Option<&E>) -> Option<E>,
    ) -> usize {
        let before = self.entries.len();
        let mut entries = self.take(coming.len());
        for (hash, what) in coming {
            // None that comes is there already by another that comes.
            let other = match before {
                0 => None,
                _ => find(&self.tags, &entries, *hash, |other| same(what, other)),
            };
            let Some(entry) = make(what, other.map(|(_, other)| other)) else { continue };
            match other.map(|(at, _)| at).and_then(|at| entries.get_mut(at)) {
                Some(place) => *place = Some(entry),
                None => {
                    self.set_tag(entries.len(), tag(*hash));
                    entries.push(Some(entry));
                }
            }
        }
        self.entries = entries.into();
        self.entries.len() - before
    }

    /// A bucket with what comes and stays, `most` entries at most. Those that are spared stay besides.
    pub(super) fn renewed<R: Renewal<E>>(
        &self,
        coming: &[Coming<E>],
        most: usize,
        renewal: &mut R,
        is_spared: impl Fn(&E) -> bool,
    ) -> Self {
        let mut bucket = Self::of_bits(self.bits());
        let mut entries = Vec::with_capacity(most);
        let mut add = |tag: u8, entry: E| {
            bucket.set_tag(entries.len(), tag);
            entries.push(Some(entry));
        };
        // A bit for each entry that is there: whether it is replaced, or stays for want of that.
        let (mut replaced, mut left) = (0u64, 0u64);
        for (hash, what) in coming {
            let other = find(&self.tags, &self.entries, *hash, |other| R::is_same(what, other));
            let bit = other.map_or(0, |(at, _)| 1 << at);
            match renewal.takes(what, other.map(|(_, other)| other)) {
                Some(entry) => {
                    replaced |= bit;
                    add(tag(*hash), entry);
                }
                None => left |= bit,
            }
        }
        for (at, entry) in self.entries.iter().enumerate() {
            // Beyond the tags there is no bit either: such an entry is not found by what comes.
            let bit = 1u64.checked_shl(at as u32).unwrap_or(0);
            let Some(entry) = entry.as_ref().filter(|_| replaced & bit == 0) else { continue };
            if left & bit != 0 || renewal.stays(entry) || is_spared(entry) {
                add(self.tag_at(at).unwrap_or(0), entry.clone());
            } else {
                renewal.goes(entry);
            }
        }
        bucket.entries = entries.into();
        bucket
    }

    /// Take the `same` entry out.
    pub(super) fn remove(&mut self, hash: u64, same: impl Fn(&E) -> bool) -> Option<E> {
        let at = self.position(hash, same)?;
        let mut entries = self.take(0);
        let removed = entries.swap_remove(at);
        let last = entries.len();
        // Beyond the tags all hashes are the same as good as certainly.
        let moved = self.tag_at(last).unwrap_or(tag(hash));
        self.set_tag(at, moved);
        self.set_tag(last, 0);
        self.entries = entries.into();
        removed
    }

    /// Two buckets that share one bit more, the entries with a zero there first.
    pub(super) fn split(&self, keys: &RandomState) -> (Self, Self) {
        let mut halves = [Vec::with_capacity(self.entries.len()), Vec::with_capacity(self.entries.len())];
        for entry in self.entries.iter().flatten() {
            let hash = entry.hash(keys);
            let half = hash << self.bits() >> (u64::BITS - 1);
            halves[half as usize % 2].push((hash, entry.clone()));
        }
        let [zeros, ones] = halves.map(|half| {
            let mut bucket = Self::of_bits(self.bits() + 1);
            for (at, (hash, _)) in half.iter().enumerate() {
                bucket.set_tag(at, tag(*hash));
            }
            bucket.entries = half.into_iter().map(|(_, entry)| Some(entry)).collect();
            bucket
        });
        (zeros, ones)
    }
}
