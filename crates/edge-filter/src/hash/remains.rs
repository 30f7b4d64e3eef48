//! Old tables, freed in pieces.

use std::sync::Arc;

use super::{Child, HashTable, Hashed};

/// What is left of tables that nobody reads any more: directories and buckets that other tables do not share.
#[derive(Debug)]
pub(crate) struct Remains<E>(Vec<Child<E>>);

impl<E> Default for Remains<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E: Hashed> Remains<E> {
    pub(crate) fn add(&mut self, table: HashTable<E>) {
        if Arc::strong_count(&table.root) == 1 {
            self.0.push(Child::Directory(table.root));
        }
    }

    /// Free one bucket or one directory without what is below it; false if there is none. `keep` sees each entry of
    /// a bucket before it goes.
    pub(crate) fn free_one(&mut self, keep: impl FnMut(&E)) -> bool {
        match self.0.pop() {
            None => return false,
            Some(Child::Directory(directory)) if Arc::strong_count(&directory) == 1 => {
                // What is below is held here too before the directory lets go of it.
                self.0.extend(directory.iter().cloned());
            }
            Some(Child::Bucket(bucket)) if Arc::strong_count(&bucket) == 1 => {
                bucket.entries().iter().for_each(keep);
            }
            Some(_) => {}
        }
        true
    }
}
