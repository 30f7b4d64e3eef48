//! One bucket: tags that fit a cache line, entries in a dense array.

use ahash::RandomState;

use super::{Coming, Hashed, Renewal};

/// Entries in a bucket at most; tags are kept eight to a word.
pub(super) const ROOM: usize = 48;
const WORDS: usize = ROOM / 8;

/// Bits that buckets may be told apart by; the lowest eight are the tag.
const BITS_MAX: u8 = 54;

const LOW_BITS: u64 = u64::MAX / 0xFF;
const HIGH_BITS: u64 = LOW_BITS << 7;

/// Entries of which the first `bits` bits of the hash are the same.
#[derive(Clone, Debug)]
pub(super) struct Bucket<E> {
    /// The low byte of each entry's hash, in the entries' order; 0 is none, so the byte 0 is written 1.
    tags: [u64; WORDS],
    entries: Box<[E]>,
    /// How many leading bits of the hash all entries share.
    pub(super) bits: u8,
}

impl<E> Default for Bucket<E> {
    fn default() -> Self {
        Self::of_bits(0)
    }
}

impl<E> Bucket<E> {
    /// An empty one.
    pub(super) fn of_bits(bits: u8) -> Self {
        Self { tags: [0; WORDS], entries: Box::default(), bits }
    }
}

#[inline]
fn tag(hash: u64) -> u64 {
    (hash & 0xFF).max(1)
}

/// Where the `same` entry is. Eight tags are compared at once (Hacker's Delight, section 6-1): a set high bit is an equal byte, or one
/// above an equal byte, which the comparison of keys sorts out. The high bits of all words are gathered in one
/// number, because a branch on the word that holds the tag would be guessed wrong every other time.
#[inline]
fn position<E>(tags: &[u64; WORDS], entries: &[E], hash: u64, same: impl Fn(&E) -> bool) -> Option<usize> {
    let wanted = tag(hash) * LOW_BITS;
    let high_bits = tags.map(|word| {
        let difference = word ^ wanted;
        difference.wrapping_sub(LOW_BITS) & !difference & HIGH_BITS
    });
    if high_bits.iter().fold(0, |any, word| any | word) == 0 {
        return None;
    }
    let mut equal = 0;
    for (at, word) in high_bits.iter().enumerate() {
        // Bit 8i + 7 of the word goes to bit 56 + i of the product, and none beside it.
        equal |= (word >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * at);
    }
    while equal != 0 {
        let at = equal.trailing_zeros() as usize;
        if entries.get(at).is_some_and(&same) {
            return Some(at);
        }
        equal &= equal - 1;
    }
    None
}

impl<E: Hashed> Bucket<E> {
    pub(super) fn entries(&self) -> &[E] {
        &self.entries
    }

    /// Whether so many entries more may come in. A bucket that no bits are left to split takes any number, but only
    /// the first [`ROOM`] are found: with random keys that takes 49 equal hashes.
    pub(super) fn has_room_for(&self, more: usize) -> bool {
        self.entries.len() + more <= ROOM || !self.can_split()
    }

    /// Whether bits are left to split it by.
    pub(super) fn can_split(&self) -> bool {
        self.bits < BITS_MAX
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, same: impl Fn(&E) -> bool) -> Option<&E> {
        self.position(hash, same).and_then(|at| self.entries.get(at))
    }

    #[inline]
    fn position(&self, hash: u64, same: impl Fn(&E) -> bool) -> Option<usize> {
        position(&self.tags, &self.entries, hash, same)
    }

    fn set_tag(&mut self, at: usize, tag: u64) {
        if let Some(word) = self.tags.get_mut(at / 8) {
            let shift = at % 8 * 8;
            *word = *word & !(0xFF << shift) | tag << shift;
        }
    }

    /// Add an entry, or put it in the place of the `same` one, which is given back.
    pub(super) fn insert(&mut self, hash: u64, entry: E, same: impl Fn(&E) -> bool) -> Option<E> {
        if let Some(place) = self.position(hash, same).and_then(|at| self.entries.get_mut(at)) {
            return Some(std::mem::replace(place, entry));
        }
        self.set_tag(self.entries.len(), tag(hash));
        let mut entries = Vec::from(std::mem::take(&mut self.entries));
        entries.reserve_exact(1);
        entries.push(entry);
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
        let mut grown = false;
        let mut entries = Vec::from(std::mem::take(&mut self.entries));
        for (hash, what) in coming {
            // None that comes is there already by another that comes.
            let place = match before {
                0 => None,
                _ => position(&self.tags, &entries, *hash, |other| same(what, other)),
            };
            let Some(entry) = make(what, place.and_then(|at| entries.get(at))) else { continue };
            match place.and_then(|at| entries.get_mut(at)) {
                Some(place) => *place = entry,
                None => {
                    if !std::mem::replace(&mut grown, true) {
                        entries.reserve_exact(coming.len());
                    }
                    self.set_tag(entries.len(), tag(*hash));
                    entries.push(entry);
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
        let mut bucket = Self::of_bits(self.bits);
        let mut entries = Vec::with_capacity(most);
        let mut add = |tag: u64, entry: E| {
            bucket.set_tag(entries.len(), tag);
            entries.push(entry);
        };
        // A bit for each entry that is there: whether it is replaced, or stays for want of that.
        let (mut replaced, mut left) = (0u64, 0u64);
        for (hash, what) in coming {
            let place = self.position(*hash, |other| R::is_same(what, other));
            let bit = place.map_or(0, |at| 1 << at);
            match renewal.takes(what, place.and_then(|at| self.entries.get(at))) {
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
            if replaced & bit != 0 {
                continue;
            }
            if left & bit != 0 || renewal.stays(entry) || is_spared(entry) {
                add(self.tag_at(at), entry.clone());
            } else {
                renewal.goes(entry);
            }
        }
        bucket.entries = entries.into();
        bucket
    }

    /// The tag of the entry there.
    fn tag_at(&self, at: usize) -> u64 {
        self.tags.get(at / 8).map_or(0, |word| word >> (at % 8 * 8) & 0xFF)
    }

    /// Take the `same` entry out.
    pub(super) fn remove(&mut self, hash: u64, same: impl Fn(&E) -> bool) -> Option<E> {
        let at = self.position(hash, same)?;
        let mut entries = Vec::from(std::mem::take(&mut self.entries));
        let removed = entries.swap_remove(at);
        let last = entries.len();
        // Beyond the tags all hashes are the same as good as certainly.
        let moved = self.tags.get(last / 8).map_or(tag(hash), |word| word >> (last % 8 * 8) & 0xFF);
        self.set_tag(at, moved);
        self.set_tag(last, 0);
        self.entries = entries.into();
        Some(removed)
    }

    /// Two buckets that share one bit more, the entries with a zero there first.
    pub(super) fn split(&self, keys: &RandomState) -> (Self, Self) {
        let mut halves = [Vec::with_capacity(self.entries.len()), Vec::with_capacity(self.entries.len())];
        for entry in &self.entries {
            let hash = entry.hash(keys);
            let half = hash << self.bits >> (u64::BITS - 1);
            halves[half as usize % 2].push((hash, entry.clone()));
        }
        let [zeros, ones] = halves.map(|half| {
            let mut bucket = Self::of_bits(self.bits + 1);
            for (at, (hash, _)) in half.iter().enumerate() {
                bucket.set_tag(at, tag(*hash));
            }
            bucket.entries = half.into_iter().map(|(_, entry)| entry).collect();
            bucket
        });
        (zeros, ones)
    }
}
