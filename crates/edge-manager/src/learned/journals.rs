//! The journals of all workers, read on.

use std::collections::BTreeMap;

use edge_filter::Operation;
use edge_journal::{FileName, Identity, Next, ReadError, Record, Records, StateDir};

/// The journals of all workers.
#[derive(Debug, Default)]
pub(super) struct Journals {
    followed: BTreeMap<FileName, Followed>,
    /// Where the next look goes on, so that none waits for the others for ever.
    next: Option<FileName>,
    numbered: u64,
    listing_problem: Option<String>,
    lines: Vec<String>,
}

/// One journal.
#[derive(Debug)]
struct Followed {
    /// No other journal has it, whatever their names.
    number: u64,
    identity: Option<Identity>,
    /// `None` before it was opened, and once nothing more can come.
    records: Option<Records>,
    /// Nothing more can come: its writer has died and it was read to its end.
    is_over: bool,
    is_at_end: bool,
    problem: Option<String>,
    /// How long it was when it was found damaged, bytes: what is wrong with it stays so until it is longer.
    damaged_bytes: Option<u64>,
    /// The problem leaves open what it holds.
    is_unreadable: bool,
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Heard {
    /// The journal that has it.
    pub(super) journal: u64,
    pub(super) stamp_us: u64,
    pub(super) operation: Operation,
}

impl Journals {
    /// Looks which journals there are; the numbers of those that are gone, or not the same any more.
    pub(super) fn look(&mut self, dir: &StateDir) -> Vec<u64> {
        if !dir.is_present() {
            // What is wrong with it, the listing says.
            let _ = dir.reopen();
        }
        let listing = match dir.journals() {
            Ok(listing) => listing,
            Err(error) => {
                self.tell_listing(Some(format!("learned/: {error}")));
                return Vec::new();
            }
        };
        let too_many = "learned/: too many files, the rest is not read".to_owned();
        self.tell_listing(listing.is_cut.then_some(too_many));
        let mut gone = Vec::new();
        self.followed.retain(|name, followed| {
            let stays = listing.files.binary_search(name).is_ok() && !followed.is_another(dir, name);
            if !stays {
                gone.push(followed.number);
            }
            stays
        });
        for name in listing.files {
            let numbered = &mut self.numbered;
            self.followed.entry(name).or_insert_with(|| {
                *numbered += 1;
                Followed::new(*numbered)
            });
        }
        gone
    }

    /// Reads on, so many records at most; whether there may be more.
    pub(super) fn read(&mut self, dir: &StateDir, max: usize, heard: &mut Vec<Heard>) -> bool {
        let first = self.next.take();
        let is_before = |name: &FileName| first.as_ref().is_some_and(|first| name < first);
        for turn in [false, true] {
            for (name, followed) in self.followed.iter_mut().filter(|(name, _)| is_before(name) == turn) {
                if heard.len() >= max {
                    self.next = Some(name.clone());
                    return true;
                }
                followed.read(dir, name, max, heard, &mut self.lines);
            }
        }
        heard.len() >= max
    }

    /// Begins again with all of them.
    pub(super) fn rewind(&mut self) {
        for followed in self.followed.values_mut() {
            *followed = Followed { identity: None, ..Followed::new(followed.number) };
        }
    }

    /// Whether all that workers have learned and written was read.
    pub(super) fn are_read(&self) -> bool {
        self.listing_problem.is_none()
            && self.followed.values().all(|followed| followed.is_at_end && !followed.is_unreadable)
    }

    /// Lines for the log: what has become wrong, or right again.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn tell_listing(&mut self, problem: Option<String>) {
        if problem != self.listing_problem {
            self.lines.push(problem.clone().unwrap_or_else(|| "learned/: can be read now".to_owned()));
            self.listing_problem = problem;
        }
    }
}

impl Followed {
    fn new(number: u64) -> Self {
        Self {
            number,
            identity: None,
            records: None,
            is_over: false,
            is_at_end: false,
            problem: None,
            damaged_bytes: None,
            is_unreadable: false,
        }
    }

    /// Whether another file has its name now, or it was cut.
    fn is_another(&self, dir: &StateDir, name: &FileName) -> bool {
        let Some(identity) = self.identity else { return false };
        let is_replaced = dir.identity(name).is_ok_and(|found| found.is_some_and(|found| found != identity));
        let is_cut = |records: &Records| records.len_now().is_ok_and(|bytes| bytes < records.offset());
        is_replaced || self.records.as_ref().is_some_and(is_cut)
    }

    fn read(
        &mut self,
        dir: &StateDir,
        name: &FileName,
        max: usize,
        heard: &mut Vec<Heard>,
        lines: &mut Vec<String>,
    ) {
        if self.is_over {
            return;
        }
        match self.try_read(dir, name, max, heard) {
            Ok(()) => {
                self.is_unreadable = false;
                if self.is_at_end && self.damaged_bytes.is_none() && self.problem.take().is_some() {
                    lines.push(format!("{name}: can be read now"));
                }
            }
            // Its worker has removed it meanwhile: the next look finds that out.
            Err(ReadError::NotFound { .. }) => {}
            Err(error) => {
                // What comes before damage holds, and nobody can tell what comes after; what is foreign holds no lesson.
                self.is_at_end = matches!(error, ReadError::Damaged { .. } | ReadError::Foreign { .. });
                self.is_unreadable = !self.is_at_end;
                let bytes = self.records.as_ref().and_then(|records| records.len_now().ok());
                self.damaged_bytes = bytes.filter(|_| self.is_at_end);
                let problem = error.to_string();
                if self.problem.as_ref() != Some(&problem) {
                    lines.push(problem.clone());
                    self.problem = Some(problem);
                }
            }
        }
    }

    fn try_read(
        &mut self,
        dir: &StateDir,
        name: &FileName,
        max: usize,
        heard: &mut Vec<Heard>,
    ) -> Result<(), ReadError> {
        let records = match &mut self.records {
            Some(records) => records,
            none => {
                let records = Records::open(dir, name)?;
                self.identity = records.identity().ok();
                none.insert(records)
            }
        };
        if self.damaged_bytes.is_some() && self.damaged_bytes == records.len_now().ok() {
            return Ok(());
        }
        // Before its end is seen: what a writer that has died wrote last comes before that.
        let is_dead = !records.is_locked();
        self.is_at_end = false;
        self.damaged_bytes = None;
        while heard.len() < max {
            match records.next()? {
                Next::Record(Record::Change { stamp_us, operation, .. }) => {
                    heard.push(Heard { journal: self.number, stamp_us, operation });
                }
                Next::Record(_) => {}
                Next::End { .. } => {
                    self.is_at_end = true;
                    self.is_over = is_dead;
                    break;
                }
            }
        }
        if self.is_over {
            self.records = None;
        }
        Ok(())
    }
}
