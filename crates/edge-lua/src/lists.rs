//! The files of rules that are read when HAProxy starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge_filter::list::{BadLine, Listed, addresses, resources};
use edge_filter::{Action, ClientNet, List, NEVER, Operation, Origin, Rule, Settings, Target};

use crate::settings::ModuleSettings;

/// Bad lines of one file that are reported; more are only counted.
const MAX_REPORTED_LINES: usize = 10;

/// Longest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The rules of all list files, and what was wrong in them.
#[derive(Debug)]
pub(crate) struct Lists {
    /// Makes the rules of every file, at once.
    pub(crate) operation: Operation,
    /// In the order of loading.
    pub(crate) files: Vec<ListFile>,
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

impl Lists {
    /// Reads every list file of the settings.
    ///
    /// # Errors
    /// The first file that cannot be read. Bad lines are skipped and reported.
    pub(crate) fn read(settings: &ModuleSettings) -> Result<Self, UnreadableFile> {
        let filter = &settings.filter;
        let mut lists =
            Self { operation: Operation::Batch(Vec::new()), files: Vec::new(), warnings: Vec::new() };
        let mut operations = Vec::new();
        for path in &settings.block_files {
            let contents = read("EDGE_BLOCK_FILES", path)?;
            let blocked = addresses(&contents).map(|net| Ok(client(List::Block, net?, filter)));
            operations.push(lists.replacement(path, blocked));
        }
        for path in &settings.allow_files {
            let contents = read("EDGE_ALLOW_FILES", path)?;
            let allowed = addresses(&contents).map(|net| Ok(client(List::Allow, net?, filter)));
            operations.push(lists.replacement(path, allowed));
        }
        for path in &settings.resource_files {
            let contents = read("EDGE_RESOURCE_FILES", path)?;
            let known_bad = resources(&contents, filter).map(|listed| Ok(resource(listed?, filter)));
            operations.push(lists.replacement(path, known_bad));
        }
        lists.operation = Operation::Batch(operations);
        Ok(lists)
    }

    /// Takes the rules of one file, named by its path.
    fn replacement(
        &mut self,
        path: &Path,
        lines: impl Iterator<Item = Result<(Target, Action), BadLine>>,
    ) -> Operation {
        let name: Arc<str> = path.to_string_lossy().into();
        let reason: Arc<str> = "".into();
        let origin = Origin::List(name.clone());
        let mut rules = Vec::new();
        let mut bad_lines = 0;
        for line in lines {
            match line {
                Ok((target, action)) => rules.push(Rule {
                    target,
                    action,
                    expires_at_s: NEVER,
                    origin: origin.clone(),
                    reason: reason.clone(),
                }),
                Err(bad) => {
                    bad_lines += 1;
                    if bad_lines <= MAX_REPORTED_LINES {
                        let BadLine { line, text, reason } = bad;
                        self.warnings.push(format!("{name}:{line}: \"{text}\": {reason}; skipped"));
                    }
                }
            }
        }
        if bad_lines > MAX_REPORTED_LINES {
            self.warnings.push(format!("{name}: and {} more bad lines", bad_lines - MAX_REPORTED_LINES));
        }
        self.files.push(ListFile { path: name.to_string(), rules: rules.len(), bad_lines });
        Operation::Replace(name, rules)
    }
}

fn client(list: List, net: ClientNet, filter: &Settings) -> (Target, Action) {
    (Target::Client(list, net), Action::Deny(filter.default_status))
}

fn resource(listed: Listed, filter: &Settings) -> (Target, Action) {
    let status = listed.status.unwrap_or(filter.default_status);
    (Target::Resource(listed.resource, listed.conditions), Action::Deny(status))
}

/// The contents of a file that a setting names.
///
/// # Errors
/// It cannot be read, is no regular file (a pipe would hold HAProxy's start up), or is beyond 1 GiB.
pub(crate) fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, UnreadableFile> {
    let contents = fs::metadata(path).and_then(|file| match file {
        file if !file.is_file() => Err(std::io::Error::other("not a file")),
        file if file.len() > MAX_FILE_BYTES => Err(std::io::Error::other("longer than 1 GiB")),
        _ => fs::read(path),
    });
    contents.map_err(|e| UnreadableFile { setting, path: path.into(), reason: e.to_string() })
}
