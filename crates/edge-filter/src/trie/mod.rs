//! A persistent longest-prefix trie: cloning it is two reference counts, and changing a clone copies only the
//! nodes on the way to the change.
//!
//! It is a multibit trie with 6-bit strides and popcount-compressed nodes, in the manner of Poptrie (Asai and
//! Ohara, SIGCOMM 2015) and of gaissmai/bart, with three properties that lists of clients ask for:
//! - a prefix with nothing beside it is a leaf in the lowest node that tells it apart, so lists of hosts do
//!   not grow chains of nodes (for IPv6 that is the difference between 60 and 600 bytes an entry);
//! - a node may stand any number of strides below its parent and carries the bits that were skipped;
//! - a child's bitmaps lie in its parent's array, so that each level costs one dependent load, and a key that
//!   is not listed usually ends in the bitmaps of a node that is still in the cache.

mod iter;
mod key;
mod node;
mod remains;

pub(crate) use iter::Entries;
pub(crate) use key::Key;
use node::Node;
pub(crate) use remains::Remains;

/// What the trie holds: a value that knows its own prefix.
pub(crate) trait Entry: Clone {
    /// The integer that prefixes are cut from.
    type Key: Key;
    /// The bits of the prefix; those beyond [`Entry::prefix_len`] are zero.
    fn key(&self) -> Self::Key;
    /// Bits that count, 0 to `Key::WIDTH`.
    fn prefix_len(&self) -> u8;
}

/// A set of entries, at most one for each prefix.
#[derive(Clone, Debug)]
pub(crate) struct Trie<E: Entry> {
    root: Node<E>,
    len: usize,
}

impl<E: Entry> Default for Trie<E> {
    fn default() -> Self {
        Self { root: Node::root(), len: 0 }
    }
}

impl<E: Entry> Trie<E> {
    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The longest prefix of `key` whose entry is `live`.
    ///
    /// One dependent load for each level, at most `WIDTH / 6 + 1` levels; allocates nothing and cannot panic.
    /// Entries that are not live are stepped over in a second walk, which a swept table rarely needs.
    #[inline]
    pub(crate) fn longest_match(&self, key: E::Key, live: impl Fn(&E) -> bool) -> Option<&E> {
        if self.len == 0 { None } else { self.longest_live(key, live) }
    }

    /// Not part of what asks, which most often is done without.
    #[inline(never)]
    fn longest_live(&self, key: E::Key, live: impl Fn(&E) -> bool) -> Option<&E> {
        match self.root.longest(key) {
            Ok(None) => return None,
            Ok(Some(entry)) if live(entry) => return Some(entry),
            Ok(Some(_)) | Err(_) => {}
        }
        let mut longest_live = None;
        self.covering(key, |entry| {
            if live(entry) {
                longest_live = Some(entry);
            }
        });
        longest_live
    }

    /// Every entry that covers `key`, shortest prefix first.
    pub(crate) fn covering<'a>(&'a self, key: E::Key, visit: impl FnMut(&'a E)) {
        self.root.covering(key, visit);
    }

    /// The entry of exactly this prefix.
    pub(crate) fn get(&self, key: E::Key, prefix_len: u8) -> Option<&E> {
        self.root.get(key, prefix_len)
    }

    /// Add an entry; answers with the one of the same prefix that it replaced.
    pub(crate) fn insert(&mut self, entry: E) -> Option<E> {
        let replaced = self.root.insert(entry);
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Take the entry of exactly this prefix out.
    pub(crate) fn remove(&mut self, key: E::Key, prefix_len: u8) -> Option<E> {
        let removed = self.root.remove(key, prefix_len);
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// All entries. Those of one node come before those below it; otherwise in key order.
    pub(crate) fn entries(&self) -> Entries<E> {
        Entries::new(self.root.clone())
    }
}

#[cfg(test)]
mod tests;
