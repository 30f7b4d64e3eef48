//! Reading a file, record by record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FlockOperation, flock, fstat};

use crate::codec::{
    BadPreamble, FRAME_HEAD_BYTES, Frame, PREAMBLE_BYTES, check_preamble, could_be_preamble, decode,
    fingerprint, split,
};
use crate::mark::{Digest, Fingerprint};
use crate::sequence::Sequence;
use crate::{Damage, FileName, Identity, ReadError, Record, StateDir};

/// How much is read at a time, bytes.
const READ_BYTES: usize = 256 * 1024;

/// What a reader reads: a file, or bytes in memory.
pub trait Source {
    /// Fills some of `buffer` with what is at `offset`; 0 at the end.
    ///
    /// # Errors
    /// Those of the system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Bytes now.
    ///
    /// # Errors
    /// Those of the system.
    fn bytes(&self) -> io::Result<u64>;
}

impl Source for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
}

impl Source for &[u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let taken = rest.iter().zip(buffer.iter_mut());
        Ok(taken.map(|(from, to)| *to = *from).count())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }
}

/// What comes next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A record.
    Record(Record),
    /// Nothing for now. In a live file more may come, so asking again is no error.
    End {
        /// Bytes of a record that is not there yet, or was not finished by a writer that died.
        torn_bytes: u64,
    },
}

/// What the window begins with.
enum Look {
    /// A record, and the length of its frame.
    Record(Record, usize),
    /// A frame of this length.
    WrongChecksum(usize),
    /// A frame of at least this length.
    Needs(usize),
}

/// Reads one file forward, a record at a time, and goes on where it stopped when the file has grown. Holds 256
/// KiB at most, or the longest record if that is longer, and nothing at the end of the file.
#[derive(Debug)]
pub struct Records<S = File> {
    file: FileName,
    source: S,
    sequence: Sequence,
    /// Over all records so far.
    content: Digest,
    /// Of the last record.
    fingerprint: Fingerprint,
    /// Where the next record begins.
    offset: u64,
    window: Vec<u8>,
    /// How much of the window was consumed; `offset` is the place in the file of what follows.
    consumed: usize,
}

impl Records {
    /// Opens a file of the state directory. One that ends within its preamble may still be written: it is read as
    /// empty.
    ///
    /// # Errors
    /// It is not there, cannot be read, is not ours, or is newer than this version.
    pub fn open(dir: &StateDir, file: &FileName) -> Result<Self, ReadError> {
        let source = dir.open_file(file).map_err(|error| ReadError::io(file, error))?;
        Self::over(file.clone(), source)
    }

    /// Which file this is, even if another one has its name by now.
    ///
    /// # Errors
    /// Those of the system.
    pub fn identity(&self) -> io::Result<Identity> {
        Ok(fstat(&self.source).map(|stat| Identity::of(&stat))?)
    }

    /// Whether its writer lives: it holds the lock of a learned journal. Of the other files, only `rules.lock` is
    /// ever locked.
    pub fn is_locked(&self) -> bool {
        match flock(&self.source, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                // Closing the file would do it too.
                let _ = flock(&self.source, FlockOperation::Unlock);
                false
            }
            Err(_) => true,
        }
    }
}

impl<S: Source> Records<S> {
    /// Reads `source` as the file of this name.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn over(file: FileName, source: S) -> Result<Self, ReadError> {
        let sequence = Sequence::new(file.kind());
        let mut records = Self {
            file,
            source,
            sequence,
            content: Digest::default(),
            fingerprint: 0,
            offset: 0,
            window: Vec::new(),
            consumed: 0,
        };
        records.pass_preamble()?;
        Ok(records)
    }

    /// The next record.
    ///
    /// # Errors
    /// Damage, which ends the file, or an error of the system. Asking again gives the same while the file is the
    /// same.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Next, ReadError> {
        if self.offset == 0 && !self.pass_preamble()? {
            return self.end();
        }
        // What was read ahead may have been cut and written anew since: only fresh bytes are found wanting.
        let mut is_fresh = false;
        loop {
            let there = self.fill(FRAME_HEAD_BYTES)?;
            if there == 0 {
                return self.end();
            }
            if self.sequence.is_done() {
                return Err(self.damaged(Damage::Order("bytes behind the last record".into())));
            }
            match self.look() {
                Ok(Look::Record(record, bytes)) => {
                    if matches!(&record, Record::Seal(seal) if seal.content != self.content) {
                        return Err(self.damaged(Damage::Content));
                    }
                    self.sequence.accept(&record).map_err(|damage| self.damaged(damage))?;
                    self.fingerprint = fingerprint(self.rest());
                    self.content = self.content.after(self.fingerprint);
                    self.consume(bytes);
                    return Ok(Next::Record(record));
                }
                Ok(Look::Needs(more)) if self.fill(more)? >= more => continue,
                Ok(Look::Needs(_)) if is_fresh => return self.end(),
                Ok(Look::WrongChecksum(bytes)) if is_fresh => {
                    let has_more = self.fill(bytes.saturating_add(1))? > bytes;
                    return if has_more { Err(self.damaged(Damage::Checksum)) } else { self.end() };
                }
                Err(damage) if is_fresh => return Err(self.damaged(damage)),
                Ok(Look::Needs(_) | Look::WrongChecksum(_)) | Err(_) => {}
            }
            is_fresh = true;
            self.forget_window();
        }
    }

    /// Where the next record begins: everything before was read and holds. Bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the last record is told apart by, for [`crate::Mark`].
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Begins again.
    pub fn rewind(&mut self) {
        self.forget_window();
        self.sequence = Sequence::new(self.file.kind());
        self.content = Digest::default();
        self.offset = 0;
    }

    /// How long the file is now, bytes.
    ///
    /// # Errors
    /// Those of the system.
    pub fn len_now(&self) -> io::Result<u64> {
        self.source.bytes()
    }

    /// The name that it was opened by.
    pub fn file(&self) -> &FileName {
        &self.file
    }

    /// Steps over the preamble, if all of it is there.
    fn pass_preamble(&mut self) -> Result<bool, ReadError> {
        self.forget_window();
        self.fill(PREAMBLE_BYTES)?;
        let file = || self.file.clone();
        let Some((preamble, _)) = self.window.split_first_chunk::<PREAMBLE_BYTES>() else {
            let may_be_ours = could_be_preamble(&self.window);
            return if may_be_ours { Ok(false) } else { Err(ReadError::Foreign { file: file() }) };
        };
        match check_preamble(preamble) {
            Ok(found) if found == self.file.kind() => {
                self.consume(PREAMBLE_BYTES);
                Ok(true)
            }
            Ok(found) => Err(self.damaged(Damage::Kind { found, expected: self.file.kind() })),
            Err(BadPreamble::Foreign) => Err(ReadError::Foreign { file: file() }),
            Err(BadPreamble::Newer(version)) => Err(ReadError::Newer { file: file(), version }),
            Err(BadPreamble::Damaged) => Err(self.damaged(Damage::Preamble)),
        }
    }

    /// What the end of the file means here.
    fn end(&mut self) -> Result<Next, ReadError> {
        if self.sequence.is_unfinished() {
            return Err(self.damaged(Damage::Unfinished));
        }
        let torn_bytes = u64::try_from(self.rest().len()).unwrap_or(u64::MAX);
        self.window = Vec::new();
        self.consumed = 0;
        Ok(Next::End { torn_bytes })
    }

    fn damaged(&self, damage: Damage) -> ReadError {
        ReadError::Damaged { file: self.file.clone(), offset: self.offset, damage }
    }

    fn rest(&self) -> &[u8] {
        self.window.get(self.consumed..).unwrap_or_default()
    }

    fn look(&self) -> Result<Look, Damage> {
        Ok(match split(self.rest())? {
            Frame::Whole(payload) => {
                Look::Record(decode(payload)?, payload.len().saturating_add(FRAME_HEAD_BYTES))
            }
            Frame::WrongChecksum(bytes) => Look::WrongChecksum(bytes),
            Frame::Needs(bytes) => Look::Needs(bytes),
        })
    }

    fn forget_window(&mut self) {
        self.window.clear();
        self.consumed = 0;
    }

    fn consume(&mut self, bytes: usize) {
        self.consumed = self.consumed.saturating_add(bytes);
        self.offset = self.offset.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Reads until at least `need` bytes follow what was consumed, or to the end of the file. How many follow.
    fn fill(&mut self, need: usize) -> Result<usize, ReadError> {
        while self.rest().len() < need {
            if self.consumed > 0 {
                self.window.drain(..self.consumed.min(self.window.len()));
                self.consumed = 0;
            }
            let there = self.window.len();
            let at = self.offset.saturating_add(u64::try_from(there).unwrap_or(u64::MAX));
            // No more than there is: the end of a file is asked for again and again.
            let behind =
                self.source.bytes().map_err(|error| ReadError::io(&self.file, error))?.saturating_sub(at);
            let wanted = READ_BYTES.max(need.saturating_sub(there));
            let wanted = usize::try_from(behind).unwrap_or(usize::MAX).min(wanted);
            if wanted == 0 {
                break;
            }
            self.window.resize(there.saturating_add(wanted), 0);
            let read = self.source.read_at(self.window.get_mut(there..).unwrap_or_default(), at);
            self.window.truncate(there.saturating_add(*read.as_ref().unwrap_or(&0)));
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::io(&self.file, error)),
            }
        }
        Ok(self.rest().len())
    }
}
