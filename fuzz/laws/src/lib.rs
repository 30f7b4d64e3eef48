//! What must hold for every input: each law takes any bytes and panics where it is broken.
#![forbid(unsafe_code)]

mod header;
mod journal;
mod lists;
mod operations;
mod path;

pub use header::header;
pub use journal::journal;
pub use lists::lists;
pub use operations::operations;
pub use path::path;

/// A law and how to look for input that breaks it.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// Its name: that of its fuzz target and of the directory of its corpus.
    pub name: &'static str,
    /// Panics where the law is broken.
    pub check: fn(&[u8]),
    /// Words that mean something in its input.
    pub words: &'static [&'static str],
}

/// All laws.
pub const LAWS: &[Law] = &[
    Law { name: "header", check: header, words: header::WORDS },
    Law { name: "journal", check: journal, words: journal::WORDS },
    Law { name: "lists", check: lists, words: lists::WORDS },
    Law { name: "operations", check: operations, words: operations::WORDS },
    Law { name: "path", check: path, words: path::WORDS },
];
