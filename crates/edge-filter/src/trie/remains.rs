//! Old tries, freed in pieces.

use std::sync::Arc;

use super::node::Node;
use super::{Entry, Trie};

/// What is left of tries that nobody reads any more: arrays of nodes that other tries do not share.
#[derive(Debug)]
pub(crate) struct Remains<E: Entry>(Vec<Arc<[Node<E>]>>);

impl<E: Entry> Default for Remains<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E: Entry> Remains<E> {
    pub(crate) fn add(&mut self, trie: Trie<E>) {
        // Only the trie holds these two together with `self` now, unless others do.
        self.0.extend(trie.root.nodes_below().filter(|nodes| Arc::strong_count(nodes) == 2));
    }

    /// Free the nodes of one array, at most 64, without what is below them; false if there is none.
    pub(crate) fn free_one(&mut self) -> bool {
        let Some(nodes) = self.0.pop() else { return false };
        if Arc::strong_count(&nodes) == 1 {
            // What is below is held here too before the nodes let go of it.
            self.0.extend(nodes.iter().filter_map(Node::nodes_below));
        }
        true
    }
}
