//! Which files the site may name.
//!
//! The manager is root, and so is HAProxy when it reads its configuration. A path that the API takes would make them execute,
//! read or write anything of the machine. So a path is one that the command line or the environment of this program names, or
//! it lies below one of those, where no other user can write.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::process::geteuid;

use crate::site::{FieldError, FilterInput, GlobalInput, SettingInput, SiteInput, Text};

/// Most symbolic links on the way to a file, as in the kernel (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

const OTHERS_MAY_WRITE: u32 = 0o022;
const IS_STICKY: u32 = 0o1000;

/// The directory that HAProxy executes the filter from.
const MODULE_DIR: &str = "filter.module_dir";

/// The syslog socket of every machine: each program may write there.
const SYSLOG: &str = "/dev/log";

/// The paths that the command line and the environment name.
#[derive(Clone, Debug, Default)]
pub struct NamedPaths {
    /// What is in them may be named too, where no other user can write there.
    dirs: Vec<PathBuf>,
    /// Settings with the paths that they may have, whoever can write there.
    settings: Vec<(String, PathBuf)>,
}

impl NamedPaths {
    /// The paths below these directories may be named.
    pub fn allow(&mut self, dirs: impl IntoIterator<Item = PathBuf>) {
        self.dirs.extend(dirs.into_iter().filter_map(|dir| std::path::absolute(dir).ok()));
    }

    /// A setting may have this path.
    pub fn allow_setting(&mut self, setting: &str, path: &Path) {
        let whole = std::path::absolute(path).ok();
        let paths = whole.into_iter().chain([path.to_owned()]);
        self.settings.extend(paths.map(|path| (setting.to_owned(), path)));
    }

    /// The settings may have the paths that they have in a `--global` file.
    pub fn allow_all_of(&mut self, global: &GlobalInput) {
        for Value { setting, paths, .. } in Value::of(global) {
            self.settings.extend(paths.into_iter().map(|path| (setting.clone(), path.into())));
        }
    }

    /// Whether the site may name this path there.
    ///
    /// # Errors
    /// Why not, in words that follow the path.
    fn check(&self, setting: &str, path: &str) -> Result<(), String> {
        let path = Path::new(path);
        if self.settings.iter().any(|(known, named)| known == setting && named == path) {
            return Ok(());
        }
        let leads_up = path.components().any(|component| component == Component::ParentDir);
        if leads_up || !self.dirs.iter().any(|dir| path.starts_with(dir)) {
            return Err("is not below a directory that the command line of edge-manager names: add its directory with \
                        --allow-dir or EDGE_ALLOW_DIRS"
                .to_owned());
        }
        check_owners(path)
    }

    /// Directories that the command line names to execute from, though another user can write there: why.
    pub(super) fn open_to_others(&self) -> impl Iterator<Item = String> {
        let named = self.settings.iter().filter(|(setting, _)| setting == MODULE_DIR);
        named.filter_map(|(_, path)| Some(format!("{}: {}", path.display(), check_owners(path).err()?)))
    }
}

/// Whether only root and the user of this process can change what is found at this path: each directory on the way, each
/// symbolic link and the file itself. What is not there yet is made by one of those two.
///
/// # Errors
/// Why not, in words that follow the path.
fn check_owners(path: &Path) -> Result<(), String> {
    let mut names: VecDeque<OsString> = VecDeque::new();
    let mut real = PathBuf::from("/");
    let mut links = 0;
    push_front(&mut names, path);
    while let Some(name) = names.pop_front() {
        if name == ".." {
            real.pop();
            continue;
        }
        let at = real.join(&name);
        let found = match fs::symlink_metadata(&at) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("cannot be checked: {}: {error}", at.display())),
        };
        check_owner(&at, &found, !names.is_empty())?;
        if !found.is_symlink() {
            real = at;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err("leads through too many symbolic links".to_owned());
        }
        let target =
            fs::read_link(&at).map_err(|error| format!("cannot be checked: {}: {error}", at.display()))?;
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        push_front(&mut names, &target);
    }
    Ok(())
}

fn push_front(names: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => names.push_front(name.to_owned()),
            Component::ParentDir => names.push_front("..".into()),
            _ => {}
        }
    }
}

/// In a sticky directory such as /tmp nobody can replace what another user owns, so it may be on the way to such a thing.
fn check_owner(path: &Path, found: &Metadata, is_on_the_way: bool) -> Result<(), String> {
    let (uid, mode) = (found.uid(), found.mode());
    if uid != 0 && uid != geteuid().as_raw() {
        return Err(format!("can be changed by another user: {} belongs to user {uid}", path.display()));
    }
    let has_no_mode = found.is_symlink() || found.file_type().is_socket();
    let is_safe_way = is_on_the_way && mode & IS_STICKY != 0;
    if mode & OTHERS_MAY_WRITE != 0 && !has_no_mode && !is_safe_way {
        let mode = mode & 0o7777;
        return Err(format!("can be changed by other users: {} has the mode {mode:o}", path.display()));
    }
    Ok(())
}

/// Whether the value of this setting of the filter is one or more paths, apart by `:` or `,`. No other value has a slash.
fn names_files(name: &str, value: &str) -> bool {
    ["_FILE", "_FILES", "_DIR"].iter().any(|end| name.ends_with(end)) || value.contains('/')
}

fn of_filter(name: &Text) -> String {
    format!("filter.settings[{name}]")
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// The manager or HAProxy writes there, or puts a socket there.
    Written,
    /// HAProxy reads or executes it.
    Read,
    /// HAProxy locks itself in there. Where no other user can write, it may be any directory.
    Entered,
}

/// A global setting that names paths.
struct Value {
    /// As `filter.module_dir`.
    setting: String,
    usage: Use,
    paths: Vec<String>,
}

impl Value {
    fn of(global: &GlobalInput) -> Vec<Self> {
        let mut values = Vec::new();
        let mut add = |setting: &str, usage, paths: Vec<String>| {
            let paths: Vec<_> = paths.into_iter().filter(|path| !path.is_empty()).collect();
            if !paths.is_empty() {
                values.push(Self { setting: setting.to_owned(), usage, paths });
            }
        };
        let one = |text: &Option<Text>| text.iter().map(ToString::to_string).collect::<Vec<_>>();
        add("stats_socket", Use::Written, one(&global.stats_socket));
        add("server_state_file", Use::Written, one(&global.server_state_file));
        add("chroot", Use::Entered, one(&global.chroot));
        let log = one(&global.log).into_iter().filter(|log| log.starts_with('/') && log != SYSLOG);
        add("log", Use::Written, log.collect());
        if let Some(filter) = &global.filter {
            add(MODULE_DIR, Use::Read, vec![filter.module_dir.to_string()]);
            add("filter.state_dir", Use::Written, one(&filter.state_dir));
            for SettingInput { name, value } in &filter.settings {
                if names_files(name.as_str(), value.as_str()) {
                    let files = value.as_str().split([':', ',']).map(|path| path.trim().to_owned());
                    add(&of_filter(name), Use::Read, files.collect());
                }
            }
        }
        values
    }

    fn refusal(&self, named: &NamedPaths, is_recorded: bool) -> Option<(String, String)> {
        self.paths.iter().find_map(|path| {
            // What was recorded before this was checked stays, where no other user has a hand in it.
            let checked = match self.usage {
                Use::Entered => check_owners(Path::new(path)),
                Use::Read if is_recorded => {
                    named.check(&self.setting, path).or_else(|_| check_owners(Path::new(path)))
                }
                _ => named.check(&self.setting, path),
            };
            checked.err().map(|reason| (path.clone(), reason))
        })
    }
}

impl NamedPaths {
    /// Whether a change may name the paths that it names. Those that were there before it are looked at where they are
    /// published: [`NamedPaths::take_out`].
    ///
    /// # Errors
    /// The first setting with a path that it may not have.
    pub(crate) fn check_change(&self, before: &SiteInput, after: &SiteInput) -> Result<(), FieldError> {
        let old = Value::of(&before.global);
        let is_there =
            |value: &Value| old.iter().any(|old| old.setting == value.setting && old.paths == value.paths);
        for value in Value::of(&after.global).iter().filter(|value| !is_there(value)) {
            if let Some((path, reason)) = value.refusal(self, false) {
                return Err(FieldError::new(format!("global.{}", value.setting), &path, reason));
            }
        }
        let old: BTreeSet<_> =
            before.domains.iter().filter_map(|domain| domain.ssl_cert_path.as_ref()).collect();
        for domain in &after.domains {
            let path = domain.ssl_cert_path.as_ref().filter(|path| !path.is_empty() && !old.contains(path));
            if let Some(path) = path
                && let Err(reason) = self.check("ssl_cert_path", path.as_str())
            {
                let field = format!("domains[{}].ssl_cert_path", domain.domain);
                return Err(FieldError::new(field, path.as_str(), reason));
            }
        }
        Ok(())
    }

    /// Takes out of the record what it may not name, so that the rest can be published. The filter is loaded from the
    /// directory of `default` then. Says which settings those are.
    pub(super) fn take_out(
        &self,
        global: &mut GlobalInput,
        default: Option<&FilterInput>,
    ) -> Vec<FieldError> {
        let mut taken = Vec::new();
        for value in Value::of(global) {
            let Some((path, reason)) = value.refusal(self, true) else { continue };
            match (value.setting.as_str(), &mut global.filter) {
                ("stats_socket", _) => global.stats_socket = None,
                ("server_state_file", _) => global.server_state_file = None,
                ("chroot", _) => global.chroot = None,
                ("log", _) => global.log = None,
                (MODULE_DIR, filter) => match (filter, default) {
                    (Some(filter), Some(default)) => filter.module_dir.clone_from(&default.module_dir),
                    (filter, _) => *filter = None,
                },
                ("filter.state_dir", Some(filter)) => {
                    filter.state_dir = default.and_then(|default| default.state_dir.clone());
                }
                (files, Some(filter)) => filter.settings.retain(|setting| of_filter(&setting.name) != files),
                (_, None) => {}
            }
            taken.push(FieldError::new(format!("global.{}", value.setting), &path, reason));
        }
        taken
    }
}

#[cfg(test)]
#[path = "paths/tests.rs"]
mod tests;
