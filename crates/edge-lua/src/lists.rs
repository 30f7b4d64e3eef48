//! The files of rules that are read when HAProxy starts.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge_filter::list::{BadLine, addresses, resources};
use edge_filter::{
    Action, AddressRule, ClientNet, Edit, List, NEVER, Operation, Origin, Rule, Settings, Target,
};

use crate::settings::ModuleSettings;

/// Of a file, what is in memory at once, bytes; a line that is longer is there as a whole.
const PIECE_BYTES: u64 = 1 << 18;

/// Bad lines of one file that are reported; more are only counted.
const MAX_REPORTED_LINES: usize = 10;

/// Longest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// All list files, and what was wrong in them.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// In the order of loading.
    pub(crate) files: Vec<ListFile>,
    /// Networks that no backend may block.
    pub(crate) never_learned: Vec<ClientNet>,
    /// Bad lines, one line of text each.
    pub(crate) warnings: Vec<String>,
}

/// A list file that was read.
#[derive(Debug, serde::Serialize)]
pub(crate) struct ListFile {
    pub(crate) path: String,
    /// Lines that are rules.
    pub(crate) rules: usize,
    /// Lines that are neither rules, comments nor blank.
    pub(crate) bad_lines: usize,
}

/// A file named by a setting that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot read {path:?}: {reason}")]
pub(crate) struct UnreadableFile {
    setting: &'static str,
    path: PathBuf,
    reason: String,
}

impl UnreadableFile {
    fn new(setting: &'static str, path: &Path, reason: &io::Error) -> Self {
        Self { setting, path: path.into(), reason: reason.to_string() }
    }
}

impl Lists {
    /// Puts the rules of every list file of the settings, each file a list that is named by its path; where two have the
    /// same rule, the one that comes later has it. No file is in memory as a whole: the start takes little more of that
    /// than the rules do.
    ///
    /// # Errors
    /// The first file that cannot be read. Bad lines are skipped and reported.
    pub(crate) fn load(settings: &ModuleSettings, edit: &mut Edit<'_>) -> Result<Self, UnreadableFile> {
        let mut lists = Self::default();
        let filter = &settings.filter;
        for path in &settings.block_files {
            lists.load_addresses("EDGE_BLOCK_FILES", path, List::Block, filter, edit)?;
        }
        for path in &settings.allow_files {
            lists.load_addresses("EDGE_ALLOW_FILES", path, List::Allow, filter, edit)?;
        }
        for path in &settings.resource_files {
            lists.load_resources("EDGE_RESOURCE_FILES", path, filter, edit)?;
        }
        edit.publish_draft();
        for path in &settings.never_learn_files {
            lists.load_never_learned("EDGE_NEVER_LEARN_FILES", path)?;
        }
        Ok(lists)
    }

    fn load_addresses(
        &mut self,
        setting: &'static str,
        path: &Path,
        list: List,
        filter: &Settings,
        edit: &mut Edit<'_>,
    ) -> Result<(), UnreadableFile> {
        let mut reading = Reading::new(path);
        let (name, reason) = (reading.name.clone(), "".into());
        let action = Action::Deny(filter.default_status);
        let mut pieces = Pieces::open(setting, path)?;
        let rules = std::iter::from_fn(|| {
            let (piece, first_line) = pieces.next()?;
            let nets = addresses(piece, first_line, list).filter_map(|line| reading.take(line));
            Some(nets.map(|net| AddressRule { list, net, action, expires_at_s: NEVER }).collect::<Vec<_>>())
        });
        edit.draft_addresses(&name, &reason, rules);
        pieces.end()?;
        self.add(reading);
        Ok(())
    }

    fn load_resources(
        &mut self,
        setting: &'static str,
        path: &Path,
        filter: &Settings,
        edit: &mut Edit<'_>,
    ) -> Result<(), UnreadableFile> {
        let mut reading = Reading::new(path);
        let (origin, reason): (_, Arc<str>) = (Origin::List(reading.name.clone()), "".into());
        let mut pieces = Pieces::open(setting, path)?;
        while let Some((piece, first_line)) = pieces.next() {
            for listed in resources(piece, first_line, filter).filter_map(|line| reading.take(line)) {
                edit.draft(Operation::Put(Rule {
                    target: Target::Resource(listed.resource, listed.conditions),
                    action: Action::Deny(listed.status.unwrap_or(filter.default_status)),
                    expires_at_s: NEVER,
                    origin: origin.clone(),
                    reason: reason.clone(),
                }));
            }
        }
        pieces.end()?;
        self.add(reading);
        Ok(())
    }

    /// Such a file is no list of rules, so that it may be one of those too.
    fn load_never_learned(&mut self, setting: &'static str, path: &Path) -> Result<(), UnreadableFile> {
        let mut reading = Reading::new(path);
        let mut pieces = Pieces::open(setting, path)?;
        while let Some((piece, first_line)) = pieces.next() {
            self.never_learned
                .extend(addresses(piece, first_line, List::Allow).filter_map(|line| reading.take(line)));
        }
        pieces.end()?;
        self.report(reading);
        Ok(())
    }

    fn add(&mut self, reading: Reading) {
        let file = self.report(reading);
        self.files.push(file);
    }

    fn report(&mut self, reading: Reading) -> ListFile {
        let Reading { name, rules, bad_lines, warnings } = reading;
        self.warnings.extend(warnings);
        if bad_lines > MAX_REPORTED_LINES {
            self.warnings.push(format!("{name}: and {} more bad lines", bad_lines - MAX_REPORTED_LINES));
        }
        ListFile { path: name.to_string(), rules, bad_lines }
    }
}

/// A list file that is being read.
struct Reading {
    name: Arc<str>,
    rules: usize,
    bad_lines: usize,
    warnings: Vec<String>,
}

impl Reading {
    fn new(path: &Path) -> Self {
        Self { name: path.to_string_lossy().into(), rules: 0, bad_lines: 0, warnings: Vec::new() }
    }

    /// Counts a line: what it says, or `None` for a bad one.
    fn take<T>(&mut self, line: Result<T, BadLine>) -> Option<T> {
        match line {
            Ok(listed) => {
                self.rules += 1;
                Some(listed)
            }
            Err(BadLine { line, text, reason }) => {
                self.bad_lines += 1;
                if self.bad_lines <= MAX_REPORTED_LINES {
                    self.warnings.push(format!("{}:{line}: \"{text}\": {reason}; skipped", self.name));
                }
                None
            }
        }
    }
}

/// The contents of a file that a setting names.
///
/// # Errors
/// It cannot be read, is no regular file (a pipe would hold HAProxy's start up), or is beyond 1 GiB.
pub(crate) fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, UnreadableFile> {
    let mut contents = Vec::new();
    let read = open(path).and_then(|mut file| file.read_to_end(&mut contents));
    read.map(|_| contents).map_err(|e| UnreadableFile::new(setting, path, &e))
}

/// The contents of such a file in pieces of whole lines.
struct Pieces<'p> {
    setting: &'static str,
    path: &'p Path,
    file: BufReader<File>,
    piece: Vec<u8>,
    next_line: usize,
    /// Where it could not be read on.
    error: Option<io::Error>,
}

impl<'p> Pieces<'p> {
    /// # Errors
    /// As for [`read`].
    fn open(setting: &'static str, path: &'p Path) -> Result<Self, UnreadableFile> {
        let file = open(path).map_err(|e| UnreadableFile::new(setting, path, &e))?;
        Ok(Self { setting, path, file: BufReader::new(file), piece: Vec::new(), next_line: 1, error: None })
    }

    /// The next piece and the number of its first line; `None` at the end, or where it cannot be read on.
    fn next(&mut self) -> Option<(&[u8], usize)> {
        let first_line = self.next_line;
        self.piece.clear();
        let piece = self.file.by_ref().take(PIECE_BYTES).read_to_end(&mut self.piece);
        let read = piece.and_then(|_| self.file.read_until(b'\n', &mut self.piece));
        self.error = read.err();
        if self.error.is_some() || self.piece.is_empty() {
            return None;
        }
        self.next_line += self.piece.iter().filter(|&&b| b == b'\n').count();
        Some((&self.piece, first_line))
    }

    /// To be asked after the last piece.
    ///
    /// # Errors
    /// It was not the end of the file.
    fn end(self) -> Result<(), UnreadableFile> {
        self.error.map_or(Ok(()), |e| Err(UnreadableFile::new(self.setting, self.path, &e)))
    }
}

fn open(path: &Path) -> io::Result<File> {
    match fs::metadata(path)? {
        file if !file.is_file() => Err(io::Error::other("not a file")),
        file if file.len() > MAX_FILE_BYTES => Err(io::Error::other("longer than 1 GiB")),
        _ => File::open(path),
    }
}

#[cfg(test)]
mod tests;
