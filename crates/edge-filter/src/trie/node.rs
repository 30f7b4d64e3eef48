//! One node of the trie: which of its 64 slots lead where.

use std::sync::Arc;

use super::Entry;
use super::key::{Key, STRIDE};

/// 64 bytes for IPv4, 80 for IPv6.
#[derive(Clone, Debug)]
pub(super) struct Node<E: Entry> {
    /// The first `depth` bits of every key below.
    key: E::Key,
    /// Slots that lead to a node.
    inner: u64,
    /// Slots that hold one entry and nothing else.
    leaves: u64,
    /// Prefixes that end inside this stride, `depth` to `depth + 5` bits long, as a binary heap: bit 1 is the
    /// prefix of `depth` bits, bits 2 and 3 those one bit longer, and so on.
    covers: u64,
    /// The nodes of `inner`, in slot order.
    nodes: Option<Arc<[Node<E>]>>,
    /// The entries of `covers` in heap order, then those of `leaves` in slot order.
    entries: Option<Arc<[E]>>,
    /// Bits decided above this node, a multiple of [`STRIDE`].
    depth: u8,
}

/// The longest prefix found does not match; a shorter one may.
pub(super) struct Undecided;

/// Where a prefix belongs in a node.
enum Place {
    /// This position of `covers`.
    Cover(u32),
    /// The leaf of this slot.
    Leaf(u32),
    /// Below the node of this slot.
    Inner(u32),
}

/// For each slot the heap positions of the prefixes that cover it.
const COVERS_OF_SLOT: [u64; 1 << STRIDE] = {
    let mut masks = [0; 1 << STRIDE];
    let mut slot = 0;
    while slot < masks.len() {
        let mut position = (masks.len() + slot) >> 1;
        while position > 0 {
            masks[slot] |= 1 << position;
            position >>= 1;
        }
        slot += 1;
    }
    masks
};

/// Set bits below the bit `at`.
#[inline]
fn rank(bits: u64, at: u32) -> usize {
    (bits & ((1 << at) - 1)).count_ones() as usize
}

#[inline]
fn has(bits: u64, at: u32) -> bool {
    bits >> at & 1 != 0
}

impl<E: Entry> Node<E> {
    pub(super) fn root() -> Self {
        Self::empty(E::Key::ZERO, 0)
    }

    fn empty(key: E::Key, depth: u8) -> Self {
        Self { key: key.prefix(depth), inner: 0, leaves: 0, covers: 0, nodes: None, entries: None, depth }
    }

    #[inline]
    pub(super) fn nodes(&self) -> &[Self] {
        self.nodes.as_deref().unwrap_or_default()
    }

    /// The nodes of `inner`, shared.
    pub(super) fn nodes_below(&self) -> Option<Arc<[Self]>> {
        self.nodes.clone()
    }

    #[inline]
    pub(super) fn entries(&self) -> &[E] {
        self.entries.as_deref().unwrap_or_default()
    }

    #[inline]
    fn child(&self, key: E::Key, slot: u32) -> Option<&Self> {
        if !has(self.inner, slot) {
            return None;
        }
        self.nodes().get(rank(self.inner, slot)).filter(|child| key.shares_prefix(child.key, child.depth))
    }

    #[inline]
    fn leaf(&self, key: E::Key, slot: u32) -> Option<&E> {
        if !has(self.leaves, slot) {
            return None;
        }
        let at = self.covers.count_ones() as usize + rank(self.leaves, slot);
        self.entries().get(at).filter(|leaf| key.shares_prefix(leaf.key(), leaf.prefix_len()))
    }

    /// The longest prefix of `key` at or below this node, or an error where a slower walk must decide.
    ///
    /// Bits that a node skips are not compared on the way down but once, at the entry that was found: all
    /// entries below a skip that `key` does not share are wrong alike.
    #[inline]
    pub(super) fn longest(&self, key: E::Key) -> Result<Option<&E>, Undecided> {
        let mut node = self;
        let mut covering = (self, 0);
        let leaf = loop {
            let slot = key.slot(node.depth);
            let covers = node.covers & COVERS_OF_SLOT[slot as usize % 64];
            if covers != 0 {
                covering = (node, covers);
            }
            if has(node.inner, slot) {
                match node.nodes().get(rank(node.inner, slot)) {
                    Some(child) => node = child,
                    None => break None,
                }
            } else {
                break node.leaf(key, slot);
            }
        };
        if leaf.is_some() {
            return Ok(leaf);
        }
        let (node, covers) = covering;
        // The highest position is the longest prefix.
        let Some(position) = covers.checked_ilog2() else { return Ok(None) };
        match node.entries().get(rank(node.covers, position)) {
            Some(entry) if key.shares_prefix(entry.key(), entry.prefix_len()) => Ok(Some(entry)),
            _ => Err(Undecided),
        }
    }

    /// Every prefix of `key` at or below this node, shortest first.
    pub(super) fn covering<'a>(&'a self, key: E::Key, mut visit: impl FnMut(&'a E)) {
        let mut node = self;
        loop {
            let slot = key.slot(node.depth);
            let mut covers = node.covers & COVERS_OF_SLOT[slot as usize % 64];
            while covers != 0 {
                if let Some(entry) = node.entries().get(rank(node.covers, covers.trailing_zeros())) {
                    visit(entry);
                }
                covers &= covers - 1;
            }
            match node.child(key, slot) {
                Some(child) => node = child,
                None => {
                    if let Some(leaf) = node.leaf(key, slot) {
                        visit(leaf);
                    }
                    return;
                }
            }
        }
    }

    /// Where an entry of this prefix belongs in this node.
    fn place(&self, key: E::Key, prefix_len: u8) -> Place {
        let slot = key.slot(self.depth);
        let len_here = prefix_len - self.depth;
        if len_here < STRIDE {
            Place::Cover(1 << len_here | slot >> (STRIDE - len_here))
        } else if has(self.inner, slot) {
            Place::Inner(slot)
        } else {
            Place::Leaf(slot)
        }
    }

    /// The entry's prefix must begin with this node's key and be at least `depth` long.
    pub(super) fn insert(&mut self, entry: E) -> Option<E> {
        match self.place(entry.key(), entry.prefix_len()) {
            Place::Cover(position) => {
                let at = rank(self.covers, position);
                if has(self.covers, position) {
                    return Some(self.replace_entry(at, entry));
                }
                self.covers |= 1 << position;
                insert_at(&mut self.entries, at, entry);
                None
            }
            Place::Leaf(slot) => {
                let at = self.covers.count_ones() as usize + rank(self.leaves, slot);
                let Some(beside) = self.entries().get(at).filter(|_| has(self.leaves, slot)) else {
                    self.leaves |= 1 << slot;
                    insert_at(&mut self.entries, at, entry);
                    return None;
                };
                if beside.key() == entry.key() && beside.prefix_len() == entry.prefix_len() {
                    return Some(self.replace_entry(at, entry));
                }
                let common = beside.key().common_prefix_len(entry.key());
                let shared = common.min(beside.prefix_len()).min(entry.prefix_len());
                let mut node = Self::empty(entry.key(), shared / STRIDE * STRIDE);
                node.insert(beside.clone());
                node.insert(entry);
                self.leaves &= !(1 << slot);
                remove_at(&mut self.entries, at);
                self.add_node(slot, node);
                None
            }
            Place::Inner(slot) => {
                let child = self.child_mut(slot)?;
                let shared = child.key.common_prefix_len(entry.key()).min(entry.prefix_len());
                if shared < child.depth {
                    let mut between = Self::empty(entry.key(), shared / STRIDE * STRIDE);
                    let below = std::mem::replace(child, Self::root());
                    between.add_node(below.key.slot(between.depth), below);
                    *child = between;
                }
                child.insert(entry)
            }
        }
    }

    /// Take the entry of exactly this prefix out, and with it every node that no longer tells prefixes apart.
    pub(super) fn remove(&mut self, key: E::Key, prefix_len: u8) -> Option<E> {
        match self.place(key, prefix_len) {
            Place::Cover(position) => {
                if !has(self.covers, position) {
                    return None;
                }
                let removed = remove_at(&mut self.entries, rank(self.covers, position));
                self.covers &= !(1 << position);
                removed
            }
            Place::Leaf(slot) => {
                let found = self.leaf(key, slot)?;
                if found.key() != key || found.prefix_len() != prefix_len {
                    return None;
                }
                let at = self.covers.count_ones() as usize + rank(self.leaves, slot);
                self.leaves &= !(1 << slot);
                remove_at(&mut self.entries, at)
            }
            Place::Inner(slot) => {
                let child = self.child(key, slot).filter(|child| prefix_len >= child.depth)?;
                // Look before copying: a miss must not copy the path.
                child.get(key, prefix_len)?;
                let child = self.child_mut(slot)?;
                let removed = child.remove(key, prefix_len);
                match (child.entries(), child.nodes()) {
                    ([last], []) => {
                        let last = last.clone();
                        self.remove_node(slot);
                        self.insert(last);
                    }
                    ([], [only]) => *child = only.clone(),
                    _ => {}
                }
                removed
            }
        }
    }

    /// The entry of exactly this prefix.
    pub(super) fn get(&self, key: E::Key, prefix_len: u8) -> Option<&E> {
        let mut exact = None;
        self.covering(key, |entry| {
            if entry.prefix_len() == prefix_len {
                exact = Some(entry);
            }
        });
        exact
    }

    fn replace_entry(&mut self, at: usize, entry: E) -> E {
        match self.entries.as_mut().map(Arc::make_mut).and_then(|entries| entries.get_mut(at)) {
            Some(place) => std::mem::replace(place, entry),
            None => entry,
        }
    }

    /// The child of a slot of `inner`, no longer shared with other tries.
    fn child_mut(&mut self, slot: u32) -> Option<&mut Self> {
        let at = rank(self.inner, slot);
        Arc::make_mut(self.nodes.as_mut()?).get_mut(at)
    }

    fn add_node(&mut self, slot: u32, node: Self) {
        insert_at(&mut self.nodes, rank(self.inner, slot), node);
        self.inner |= 1 << slot;
    }

    fn remove_node(&mut self, slot: u32) {
        self.inner &= !(1 << slot);
        remove_at(&mut self.nodes, rank(self.inner, slot));
    }
}

/// Put `item` at `at`; arrays are exact, so this makes a new one.
fn insert_at<T: Clone>(items: &mut Option<Arc<[T]>>, at: usize, item: T) {
    let (before, after) = items.as_deref().unwrap_or_default().split_at(at);
    let with = before.iter().cloned().chain(std::iter::once(item)).chain(after.iter().cloned());
    *items = Some(with.collect());
}

/// Take the item at `at` out.
fn remove_at<T: Clone>(items: &mut Option<Arc<[T]>>, at: usize) -> Option<T> {
    let old = items.as_deref()?;
    let removed = old.get(at)?.clone();
    *items = (old.len() > 1).then(|| old[..at].iter().chain(&old[at + 1..]).cloned().collect());
    Some(removed)
}
