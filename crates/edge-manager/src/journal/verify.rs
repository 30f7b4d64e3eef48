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
    /// It was read to its end.
    is_whole: bool,
}

/// A place where a reader that starts now cannot go on.
enum Gap {
    /// The first file is not there, and the second leads to it.
    Missing(FileName, FileName),
    /// The file is there, and nothing leads to it.
    Unreached(FileName),
}

impl Report {
    fn take(&mut self, record: &Record) {
        self.records += 1;
        match record {
            Record::Head(head) => self.revisions = Some((head.revision, head.revision)),
            Record::Rules(rules) => self.rules += rules.len() as u64,
            Record::Addresses { rules, .. } => self.rules += rules.len() as u64,
            Record::Seal(_) | Record::End { .. } => {}
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
/// missing, or goes on from one that is. O(bytes); holds one record at a time.
///
/// # Errors
/// The directory cannot be listed or has no files, or nobody takes the lines.
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
    for gap in gaps(&reports) {
        let is_there = |name| dir.identity(name).map(|found| found.is_some());
        // What came or went since the directory was listed is no gap: a rotation may go on right now.
        match &gap {
            Gap::Missing(name, from) if !is_there(name)? && is_there(from)? => {
                writeln!(out, "{name}: missing, and {from} leads to it")?;
            }
            Gap::Unreached(name) if is_there(name)? => {
                writeln!(out, "{name}: nothing leads to it, a snapshot or journal before it is missing")?;
            }
            _ => continue,
        }
        soundness = soundness.max(Soundness::Damaged);
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
    report.is_whole = soundness == Soundness::Sound;
    Ok((soundness, report))
}

/// Where a reader that starts now cannot go on. What comes after damage is not judged: its line says enough.
fn gaps(reports: &BTreeMap<FileName, Report>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let (mut at, mut from) = match reports.get(&FileName::Snapshot) {
        Some(report) => match report.revisions {
            Some((revision, _)) => (revision, FileName::Snapshot),
            None => return gaps,
        },
        None if reports.contains_key(&FileName::Journal(0)) => (0, FileName::Journal(0)),
        None => {
            return reports.keys().filter(|name| is_of_rules(name)).cloned().map(Gap::Unreached).collect();
        }
    };
    loop {
        let name = FileName::Journal(at);
        let Some(report) = reports.get(&name) else {
            gaps.push(Gap::Missing(name, from));
            return gaps;
        };
        let lists = report.lists.iter().map(|revision| FileName::List(*revision));
        let absent = lists.filter(|list| !reports.contains_key(list));
        gaps.extend(absent.map(|list| Gap::Missing(list, name.clone())));
        match report.next {
            // A journal never leads back.
            Some(next) if next > at => (at, from) = (next, name),
            _ => {
                let end = report.revisions.filter(|_| report.is_whole);
                gaps.extend(end.into_iter().flat_map(|(_, last)| beyond(reports, last)));
                return gaps;
            }
        }
    }
}

fn is_of_rules(name: &FileName) -> bool {
    name.kind() != FileKind::Learned
}

/// Files that begin after the last revision that is reached. A writer that was killed may leave the next journal, not
/// yet named, at that revision, and the file of a list at the one after.
fn beyond(reports: &BTreeMap<FileName, Report>, last: u64) -> impl Iterator<Item = Gap> + '_ {
    let is_beyond = move |name: &&FileName| match name {
        FileName::Journal(revision) => *revision > last,
        FileName::List(revision) => revision.saturating_sub(1) > last,
        FileName::Snapshot | FileName::Learned(_) => false,
    };
    reports.keys().filter(is_beyond).cloned().map(Gap::Unreached)
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
