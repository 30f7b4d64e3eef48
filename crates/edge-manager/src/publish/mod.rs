//! The rules in the state directory, where HAProxy's workers follow them.

mod batches;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use edge_filter::{Operation, Rule};
use edge_journal::{FileName, Mark, RulesWriter, Staged, WriteError};

pub use batches::batches;

/// Length of the journal, bytes, from which on it may be time for a snapshot.
const MIN_JOURNAL_BYTES: u64 = 1 << 20;

/// Between two attempts to get the directory from another process.
const PAUSE: Duration = Duration::from_millis(10);

/// The one writer of the rules in a state directory, which no other process is meanwhile.
#[derive(Debug)]
pub struct Publication {
    dir: PathBuf,
    writer: RulesWriter,
    /// Length of the journal from which on a snapshot is the shorter way for who starts, bytes. Known once it is looked for.
    long_bytes: Option<u64>,
}

impl Publication {
    /// Takes the directory over, as [`RulesWriter::open`] does, and waits so long for a process that has it.
    ///
    /// # Errors
    /// As there.
    pub fn open(dir: &Path, now_us: u64, patience: Duration) -> Result<Self, WriteError> {
        let deadline = Instant::now() + patience;
        loop {
            match RulesWriter::open(dir, now_us) {
                Err(WriteError::Locked) if Instant::now() < deadline => thread::sleep(PAUSE),
                opened => {
                    let writer = opened?;
                    for foreign in writer.foreign() {
                        tracing::error!(dir = %dir.display(), %foreign, "in the place of a file of the state directory: put aside");
                    }
                    return Ok(Self { dir: dir.to_owned(), writer, long_bytes: None });
                }
            }
        }
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.writer.revision()
    }

    /// Where the rules are: what workers tell that have all of them. `None` where an earlier version wrote the snapshot.
    pub fn mark(&self) -> Option<Mark> {
        self.writer.mark()
    }

    /// Whether nothing but [`Publication::replace_all`] can follow: the files are damaged, or do not say what they are.
    pub fn is_damaged(&self) -> bool {
        self.writer.needs_rotation() || self.writer.mark().is_none()
    }

    /// Looks whether the files are what was written, and says what is wrong. They are read where they look changed, or if it is to
    /// be `thorough`. A directory that somebody removed or replaced is taken over as it is.
    pub fn check(&mut self, thorough: bool, now_us: u64) -> Option<String> {
        let damage = self.writer.check(thorough).map(str::to_owned)?;
        if !self.writer.is_present() {
            match RulesWriter::open(&self.dir, now_us) {
                Ok(writer) => self.writer = writer,
                Err(error) => return Some(format!("{damage}: {error}")),
            }
        }
        Some(damage)
    }

    /// Encodes these changes, each a revision. Nothing is written.
    ///
    /// # Errors
    /// As [`RulesWriter::stage`].
    pub fn stage(&self, changes: &[Operation], now_us: u64) -> Result<Staged, WriteError> {
        self.writer.stage(changes, now_us)
    }

    /// Appends what was staged.
    ///
    /// # Errors
    /// It cannot be written: then the changes before are there, this one and those behind are not.
    pub fn append(&mut self, staged: &Staged) -> Result<(), WriteError> {
        self.writer.append_staged(staged)
    }

    /// Makes these all rules of the directory, at the revision after its last one and after `known`.
    ///
    /// # Errors
    /// As [`RulesWriter::replace_all`].
    pub fn replace_all<E: From<WriteError>>(
        &mut self,
        rules: impl IntoIterator<Item = Result<Rule, E>>,
        lists: &[Arc<str>],
        known: u64,
        now_us: u64,
    ) -> Result<(), E> {
        self.long_bytes = None;
        self.writer.replace_all(rules, lists, known, now_us).map(drop)
    }

    /// Whether the journal is so long that [`Publication::rotate`] is due: over 1 MiB and twice the snapshot, so that
    /// writing snapshots is a bounded part of all writing.
    pub fn is_long(&mut self) -> bool {
        let bytes = self.writer.journal_bytes();
        if bytes <= MIN_JOURNAL_BYTES {
            return false;
        }
        let long_bytes = *self.long_bytes.get_or_insert_with(|| {
            let snapshot = fs::metadata(self.dir.join(FileName::Snapshot.to_string()));
            snapshot.map_or(0, |snapshot| snapshot.len()).saturating_mul(2)
        });
        bytes > long_bytes
    }

    /// Writes a snapshot of these rules, which are those of the revision now, and begins another journal.
    ///
    /// # Errors
    /// As [`RulesWriter::try_rotate`].
    pub fn rotate<E: From<WriteError>>(
        &mut self,
        rules: impl IntoIterator<Item = Result<Rule, E>>,
        lists: &[Arc<str>],
        now_us: u64,
    ) -> Result<(), E> {
        self.long_bytes = None;
        self.writer.try_rotate(rules, lists, 0, now_us)
    }
}
