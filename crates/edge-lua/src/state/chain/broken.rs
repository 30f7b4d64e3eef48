//! What becomes of a chain that cannot be followed: found, told, and tried again.

use std::sync::Arc;

use edge_journal::{FileName, Identity, ReadError, Records, StateDir};

use super::{Chain, Change, Way};
use crate::state::health::Part;

/// The next change cannot be had, until this file is another or longer, or there is a later snapshot.
pub(super) struct Broken {
    file: FileName,
    seen: Option<(Identity, u64)>,
    /// The change, where the file is that of a list.
    list: Option<(Arc<str>, Change)>,
}

impl Chain {
    /// Whether the journal that was read to its end is still the one of its name, and no shorter than before. Its
    /// last record, which names the next one, may have come just before it was removed.
    pub(super) fn is_intact(&mut self, way: &mut Way<'_, '_>) -> bool {
        let Some(journal) = &self.journal else { return true };
        let file = journal.file().clone();
        let offset = journal.offset();
        let (problem, is_another) = match (way.dir.identity(&file), journal.identity()) {
            (Ok(Some(found)), Ok(ours)) if found == ours => {
                if journal.len_now().is_ok_and(|bytes| bytes >= offset) {
                    return true;
                }
                ("was cut", false)
            }
            (Ok(Some(_)), _) => ("was replaced", true),
            (Ok(None), _) => ("was removed", true),
            // The directory is gone, or may not be read: told by others.
            (Err(_), _) => return true,
        };
        self.breaks(file.clone(), None, format!("{file}: {problem} while it was read"), way);
        if is_another {
            self.try_again();
        }
        false
    }

    pub(super) fn breaks(
        &mut self,
        file: FileName,
        list: Option<(Arc<str>, Change)>,
        problem: String,
        way: &mut Way<'_, '_>,
    ) {
        let revision = self.revision;
        way.health.fails(Part::Rules, format!("{problem}; the rules stay those of revision {revision}"));
        if list.is_none() {
            self.journal = None;
        }
        let seen = seen(way.dir, &file);
        self.broken = Some(Broken { file, seen, list });
    }

    /// The file is to be tried again as it is.
    pub(super) fn try_again(&mut self) {
        if let Some(broken) = &mut self.broken {
            broken.seen = None;
        }
    }

    /// Tries again what did not work, if something has changed since.
    pub(super) fn mend(&mut self, way: &mut Way<'_, '_>) {
        if self.begin_snapshot(way)
            || self.has_begun_anew(way) && self.begin_anew(way)
            || self.is_half_drafted
        {
            return;
        }
        self.mended(way);
        // A journal that waits for the file of a list may be gone meanwhile.
        if self.broken.is_some() && !self.is_intact(way) {
            return;
        }
        let Some(Broken { file, seen: before, list }) = &self.broken else { return };
        let (mut file, before, list) = (file.clone(), *before, list.clone());
        // A manager that found the same journal damaged has begun another one.
        let next = FileName::Journal(self.revision);
        if list.is_none() && file != next && seen(way.dir, &next).is_some() {
            file = next;
        }
        let mut now = seen(way.dir, &file);
        // Of an older copy that was put back: its first later change tells that it is another chain.
        if list.is_none()
            && now.is_none()
            && let Some((_, head)) = self.open_snapshot(way, false)
        {
            file = FileName::Journal(head.revision);
            now = seen(way.dir, &file);
        }
        if now.is_none() || now == before {
            return;
        }
        self.broken = None;
        match list {
            Some((list, change)) => self.open_list(list, change, way),
            // What was read of it before is passed over.
            None => match Records::open(way.dir, &file) {
                Ok(journal) => self.journal = Some(journal),
                Err(e) => self.breaks(file, None, e.to_string(), way),
            },
        }
    }

    pub(super) fn mended(&mut self, way: &mut Way<'_, '_>) {
        let revision = self.revision;
        if self.broken.is_none() && !self.is_incomplete {
            way.health.works(&Part::Rules, || {
                format!("the rules of the manager are followed again, from revision {revision}")
            });
        }
    }
}

/// Which file has this name, and how long it is.
fn seen(dir: &StateDir, file: &FileName) -> Option<(Identity, u64)> {
    let records = Records::open(dir, file).ok()?;
    Some((records.identity().ok()?, records.len_now().ok()?))
}

/// Whether the file is bad, and not only its reading failed.
pub(super) fn is_damage(e: &ReadError) -> bool {
    !matches!(e, ReadError::Io { .. })
}
