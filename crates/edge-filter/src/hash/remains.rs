//! Old tables, freed in pieces.

use std::sync::Arc;

use super::{HashTable, Hashed, Node};

/// What is left of tables that nobody reads any more: nodes and entries of buckets that other tables do not share.
#[derive(Debug)]
pub(crate) struct Remains<E>(Vec<Piece<E>>);

#[derive(Debug)]
enum Piece<E> {
    Node(Node<E>),
    Entries(Arc<[Option<E>]>),
}

impl<E> Default for Remains<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E: Hashed> Remains<E> {
    pub(crate) fn add(&mut self, table: HashTable<E>) {
        let is_shared = match &table.root {
            Node::Leaf(buckets) => Arc::strong_count(buckets) > 1,
            Node::Directory(nodes) => Arc::strong_count(nodes) > 1,
        };
        if !is_shared {
            self.0.push(Piece::Node(table.root));
        }
    }

    /// Free the entries of one bucket, or one node without what is below it; false if there is none. `keep` sees each
    /// entry of a bucket before it goes.
    pub(crate) fn free_one(&mut self, keep: impl FnMut(&E)) -> bool {
        // What is below is held here too before the node lets go of it.
        match self.0.pop() {
            None => return false,
            Some(Piece::Node(Node::Directory(nodes))) if Arc::strong_count(&nodes) == 1 => {
                self.0.extend(nodes.iter().cloned().map(Piece::Node));
            }
            Some(Piece::Node(Node::Leaf(buckets))) if Arc::strong_count(&buckets) == 1 => {
                self.0.extend(buckets.iter().map(|bucket| Piece::Entries(bucket.entries().clone())));
            }
            Some(Piece::Entries(entries)) if Arc::strong_count(&entries) == 1 => {
                entries.iter().flatten().for_each(keep);
            }
            Some(_) => {}
        }
        true
    }
}
