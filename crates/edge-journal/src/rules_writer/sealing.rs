//! What the files hold, read to their end: where the chain stands that begins with the snapshot.

use rustix::fs::Stat;

use crate::{Damage, FileName, Mark, Next, ReadError, Record, Records, StateDir};

/// What a file looks like from outside. Whoever writes into it changes the time of its last change, which no program can set
/// (inode(7)); within the same tick of the clock nobody sees that, so contents are looked at too, less often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    device: u64,
    inode: u64,
    bytes: i64,
    changed_s: i64,
    changed_ns: i64,
}

impl Look {
    pub(super) fn of(stat: &Stat) -> Self {
        // Narrower on some systems.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        Self {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            bytes: stat.st_size.into(),
            changed_s: stat.st_ctime as i64,
            changed_ns: stat.st_ctime_nsec as i64,
        }
    }
}

impl Look {
    /// Whether it is the same file, and as long.
    pub(super) fn is_as_long_as(&self, other: &Self) -> bool {
        (self.device, self.inode, self.bytes) == (other.device, other.inode, other.bytes)
    }
}

/// Where the files lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// `None` where the snapshot is of an earlier version, which did not seal.
    pub(super) mark: Option<Mark>,
    /// The journal that the chain ends with.
    pub(super) base: u64,
    /// It ends within a record.
    pub(super) torn_bytes: u64,
}

/// Reads the snapshot, and all journals and list files after it. O(bytes); holds one record.
///
/// # Errors
/// The first file that is missing or damaged.
pub(super) fn end_of_chain(dir: &StateDir) -> Result<End, ReadError> {
    let begins = snapshot(dir)?;
    let (mut base, mut mark) = begins.unwrap_or_default();
    loop {
        let file = FileName::Journal(base);
        let mut records = Records::open(dir, &file)?;
        let mut next = None;
        loop {
            let offset = records.offset();
            let wrong = |text: &str| {
                Err(ReadError::Damaged { file: file.clone(), offset, damage: Damage::Order(text.to_owned()) })
            };
            match records.next()? {
                Next::Record(Record::Head(head)) if head.revision != base => {
                    return wrong("a head that is not that of its name");
                }
                Next::Record(Record::Head(_)) if begins.is_none() && base == 0 => {
                    mark = Some(Mark::first(records.fingerprint()));
                }
                Next::Record(Record::Change { operation, .. }) => {
                    mark = mark.map(|mark| mark.next(records.fingerprint(), Mark::changes(&operation)));
                }
                Next::Record(Record::Replace { revision, .. }) => {
                    let mut list = Records::open(dir, &FileName::List(revision))?;
                    while let Next::Record(_) = list.next()? {}
                    mark = mark.map(|mark| mark.next(records.fingerprint(), 1));
                }
                Next::Record(Record::Next { revision }) if revision > base => next = Some(revision),
                Next::Record(Record::Next { .. }) => return wrong("it names itself as the next one"),
                Next::Record(_) => {}
                Next::End { torn_bytes } => match next {
                    Some(next) => {
                        base = next;
                        break;
                    }
                    None => return Ok(End { mark, base, torn_bytes }),
                },
            }
        }
    }
}

/// The revision of the snapshot, if there is one, and its mark, if it has one.
fn snapshot(dir: &StateDir) -> Result<Option<(u64, Option<Mark>)>, ReadError> {
    let mut records = match Records::open(dir, &FileName::Snapshot) {
        Err(ReadError::NotFound { .. }) => return Ok(None),
        opened => opened?,
    };
    let (mut revision, mut mark) = (0, None);
    loop {
        match records.next()? {
            Next::Record(Record::Head(head)) => revision = head.revision,
            Next::Record(Record::Seal(seal)) => {
                mark = Some(Mark { revision, taken: seal.taken, digest: seal.chain });
            }
            Next::Record(_) => {}
            Next::End { .. } => return Ok(Some((revision, mark))),
        }
    }
}
