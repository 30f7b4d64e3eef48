//! Walking over all entries.

use super::Entry;
use super::node::Node;

/// An iterator that shares the trie it walks over, so it may outlive changes and be kept between slices of work.
#[derive(Debug)]
pub(crate) struct Entries<E: Entry> {
    /// The nodes on the way down; of each the next entry and the next child.
    path: Vec<(Node<E>, usize, usize)>,
}

impl<E: Entry> Entries<E> {
    pub(super) fn new(root: Node<E>) -> Self {
        Self { path: vec![(root, 0, 0)] }
    }
}

impl<E: Entry> Iterator for Entries<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        loop {
            let (node, next_entry, next_node) = self.path.last_mut()?;
            if let Some(entry) = node.entries().get(*next_entry) {
                *next_entry += 1;
                return Some(entry.clone());
            }
            if let Some(child) = node.nodes().get(*next_node) {
                *next_node += 1;
                let child = child.clone();
                self.path.push((child, 0, 0));
            } else {
                self.path.pop();
            }
        }
    }
}
