//! One line for each file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use edge_journal::{FORMAT_VERSION, FileKind, FileName, ReadError, Record, Records, StateDir};

use super::files::{Ending, Soundness, each_record, files};

/// What was found in a file.
#[derive(Default)]
struct Report {
    /// What it begins at, and what its last change made.
    revisions: Option<(u64, u64)>,
    records: u64,
    rules: u64,
    /// Revisions whose rules are in list files.
    lists: BTreeSet<u64>,
    /// The journal that goes on.
    next: Option<u64>,
}

impl Report {
    fn take(&mut self, record: &Record) {
        self.records += 1;
        match record {
            Record::Head(head) => self.revisions = Some((head.revision, head.revision)),
            Record::Rules(rules) => self.rules += rules.len() as u64,
            Record::Addresses { rules, .. } => self.rules += rules.len() as u64,
            Record::End { .. } => {}
            Record::Change { revision, .. } => self.reach(*revision),
            Record::Replace { revision, .. } => {
                self.reach(*revision);
                self.lists.insert(*revision);
            }
            Record::Next { revision } => self.next = Some(*revision),
        }
    }

    fn reach(&mut self, revision: u64) {
        if let Some((_, last)) = &mut self.revisions {
            *last = revision;
        }
    }
}

/// Reads every file of the directory to its end, and writes a line for each to `out`, then one for each file that is
/// named by another and missing. O(bytes); holds one record at a time.
///
/// # Errors
/// The directory cannot be listed, or nobody takes the lines.
pub fn verify(dir: &StateDir, out: &mut dyn Write, _errors: &mut dyn Write) -> io::Result<Soundness> {
    let (names, is_cut) = files(dir)?;
    let mut soundness = Soundness::Sound;
    let mut reports = BTreeMap::new();
    for name in names {
        let (verdict, report) = verify_file(dir, &name, out)?;
        soundness = soundness.max(verdict);
        reports.insert(name, report);
    }
    if is_cut {
        writeln!(out, "There are more files than are looked at.")?;
        soundness = Soundness::Unreadable;
    }
    for line in missing(&reports) {
        // What was removed since the directory was listed is not missed: a rotation may go on right now.
        if dir.identity(&line.0)?.is_none() && dir.identity(&line.1)?.is_some() {
            writeln!(out, "{}: missing, and {} leads to it", line.0, line.1)?;
            soundness = soundness.max(Soundness::Damaged);
        }
    }
    Ok(soundness)
}

fn verify_file(dir: &StateDir, name: &FileName, out: &mut dyn Write) -> io::Result<(Soundness, Report)> {
    let mut report = Report::default();
    let mut records = match Records::open(dir, name) {
        Ok(records) => records,
        Err(error) => {
            if !matches!(error, ReadError::NotFound { .. }) {
                writeln!(out, "{error}")?;
            }
            return Ok((Soundness::of(&error), report));
        }
    };
    let ending = each_record(&mut records, |_, record| {
        report.take(&record);
        Ok(())
    });
    write!(out, "{name}: {}, format {FORMAT_VERSION}", name.kind())?;
    match report.revisions {
        Some((first, last)) if name.kind() == FileKind::Journal => {
            write!(out, ", revisions {first} to {last}")?
        }
        Some((revision, _)) if name.kind() != FileKind::Learned => write!(out, ", revision {revision}")?,
        _ => {}
    }
    write!(out, ", {}", counted(report.records, "record"))?;
    if matches!(name.kind(), FileKind::Snapshot | FileKind::List) {
        write!(out, ", {}", counted(report.rules, "rule"))?;
    }
    write!(out, ", {}", counted(records.len_now()?, "byte"))?;
    if name.kind() == FileKind::Learned {
        write!(out, ", its worker {}", if records.is_locked() { "lives" } else { "is dead" })?;
    }
    let soundness = match ending {
        Ending::Whole { torn_bytes: 0 } => {
            writeln!(out, ", sound")?;
            Soundness::Sound
        }
        Ending::Whole { torn_bytes } => {
            let (torn, at) = (counted(torn_bytes, "byte"), records.offset());
            writeln!(out, ", sound, {torn} of an unfinished record at byte {at}")?;
            Soundness::Sound
        }
        Ending::Bad(error) => {
            match &error {
                ReadError::Damaged { offset, damage, .. } => {
                    writeln!(out, ", damaged at byte {offset}: {damage}")?
                }
                other => writeln!(out, ", not read: {other}")?,
            }
            Soundness::of(&error)
        }
        Ending::Refused(error) => return Err(error),
    };
    Ok((soundness, report))
}

/// Files that are not there, and the ones that lead to them: those that a reader comes to which starts now.
fn missing(reports: &BTreeMap<FileName, Report>) -> Vec<(FileName, FileName)> {
    let mut missing = Vec::new();
    let begins_at = reports.get(&FileName::Snapshot).and_then(|report| report.revisions);
    let (mut at, mut from) = match begins_at {
        Some((revision, _)) => (revision, FileName::Snapshot),
        None => (0, FileName::Journal(0)),
    };
    loop {
        let name = FileName::Journal(at);
        let Some(report) = reports.get(&name) else {
            if from != name {
                missing.push((name, from));
            }
            return missing;
        };
        let lists = report.lists.iter().map(|revision| FileName::List(*revision));
        missing.extend(lists.filter(|list| !reports.contains_key(list)).map(|list| (list, name.clone())));
        match report.next {
            // A journal never leads back.
            Some(next) if next > at => (at, from) = (next, name),
            _ => return missing,
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
