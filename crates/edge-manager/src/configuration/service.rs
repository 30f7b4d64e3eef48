//! Publication as one transaction.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::clock::now_s;
use crate::haproxy::{Control, Enforcement, Program, Trouble};
use crate::render::{Rendered, Templates, diff};
use crate::site::{DomainInput, Site};

use super::complaints::complaints;
use super::directives::Directives;
use super::error::{PublishError, Serving, after_colon};
use super::lack::{Lack, lacking};
use super::manifest::Manifest;
use super::preflight;
use super::sets::{CURRENT, GOOD, MAX_SETS, Set, Sets, at};

/// How often HAProxy is told to go back: one that was just started again may have read the bad configuration once more.
const BACK_ATTEMPTS: usize = 3;

/// Where everything is, and who is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the sets and the link `current`. HAProxy is started with `-f DIR/current/haproxy.cfg`.
    pub dir: PathBuf,
    /// The operator's templates.
    pub templates: Option<PathBuf>,
    /// HAProxy, to check what was rendered.
    pub program: Program,
    /// HAProxy, as it runs.
    pub control: Control,
    /// How long each is waited for.
    pub patience: Patience,
}

/// How long to wait for others.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For another process to end its publication.
    pub turn: Duration,
    /// For `haproxy -c`, which looks up the names of servers.
    pub check: Duration,
    /// For a reload, until the new worker answers.
    pub reload: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            turn: Duration::from_secs(60),
            check: Duration::from_secs(60),
            reload: Duration::from_secs(30),
        }
    }
}

/// The configuration that HAProxy runs, and those before it.
#[derive(Debug)]
pub struct Configuration {
    settings: Settings,
    sets: Sets,
    /// One at a time.
    turn: Mutex<()>,
}

/// A configuration in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its set.
    pub set: u64,
    /// Whether it is a new one: the same files are no new set.
    pub is_changed: bool,
    /// Whether HAProxy runs it.
    pub enforcement: Enforcement,
}

impl AsRef<Self> for Published {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What a publication would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// As a unified diff; empty if nothing would change.
    pub diff: String,
}

/// A set that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Where it is from.
    pub manifest: Manifest,
    /// Whether it is the one in force.
    pub is_current: bool,
    /// Whether it is the last good one, to which is gone back.
    pub is_good: bool,
}

/// Keeps others away.
struct Turn<'a> {
    _process: MutexGuard<'a, ()>,
    _others: File,
}

impl Configuration {
    /// Opens the directory, makes it where it is missing, and removes what was left behind by somebody who was killed.
    ///
    /// # Errors
    /// It cannot be written, or another process is publishing all the time.
    pub fn open(settings: Settings) -> Result<Self, PublishError> {
        let sets = Sets::open(&settings.dir)?;
        let configuration = Self { settings, sets, turn: Mutex::new(()) };
        drop(configuration.turn()?);
        Ok(configuration)
    }

    /// Renders a site and makes HAProxy run it: all of it, or nothing has changed. `by` is who wants it.
    ///
    /// # Errors
    /// A template or HAProxy refuses it, or HAProxy does not get on with it; then the last good configuration is in force
    /// still or again, and the error says so.
    pub fn publish(&self, site: &Site, by: &str) -> Result<Published, PublishError> {
        let _turn = self.turn()?;
        self.install(&self.rendered(site)?, by, None)
    }

    /// [`Configuration::publish`], and [`Configuration::reload`] where the files are those in force: what they name, such as
    /// certificates, may have changed.
    ///
    /// # Errors
    /// As there.
    pub fn publish_anew(&self, site: &Site, by: &str) -> Result<Published, PublishError> {
        let _turn = self.turn()?;
        let files = self.rendered(site)?;
        match self.in_force() {
            Ok(Some(current)) if current.files == files => self.renew(current.manifest.set, &files),
            _ => self.install(&files, by, None),
        }
    }

    /// Whether a site could be published, and what that would change. Nothing changes.
    ///
    /// # Errors
    /// As [`Configuration::publish`], but for what only a reload shows.
    pub fn check(&self, site: &Site) -> Result<Preview, PublishError> {
        let _turn = self.turn()?;
        let files = self.rendered(site)?;
        let current = self.in_force()?;
        // It gets no number, since it is no set.
        let manifest = Manifest::new(0, &files, "", None, now_s());
        let staged = self.sets.stage(&files, &manifest)?;
        let checked = self.examine(&staged, &files);
        self.sets.discard(0)?;
        checked?;
        Ok(Preview { diff: diff(&current.map(|set| set.files).unwrap_or_default(), &files) })
    }

    /// What domains name and this machine has not.
    ///
    /// # Errors
    /// The templates cannot be read, or one of them is none.
    pub fn lacking(&self, domains: &[DomainInput]) -> Result<Vec<Lack>, PublishError> {
        lacking(domains, self.settings.templates.as_deref())
    }

    /// Makes HAProxy read the configuration in force again: certificates, lists and names of servers may have changed.
    ///
    /// # Errors
    /// There is none; HAProxy does not take it any more, and runs on with what it has.
    pub fn reload(&self) -> Result<Published, PublishError> {
        let _turn = self.turn()?;
        let set = self.sets.linked(CURRENT)?.ok_or(PublishError::Nothing)?;
        self.renew(set, &self.sets.read(set)?.files)
    }

    /// The sets that are kept, newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn history(&self) -> Result<Vec<Past>, PublishError> {
        let (current, good) = (self.sets.linked(CURRENT)?, self.sets.linked(GOOD)?);
        let past = |set| match self.sets.manifest(set) {
            Ok(manifest) => {
                Some(Ok(Past { manifest, is_current: current == Some(set), is_good: good == Some(set) }))
            }
            // It was removed meanwhile.
            Err(PublishError::NoSuchSet(_)) => None,
            Err(error) => Some(Err(error)),
        };
        self.sets.numbers()?.into_iter().filter_map(past).collect()
    }

    /// The set in force; `None` before the first one.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn current(&self) -> Result<Option<Set>, PublishError> {
        self.in_force()
    }

    /// What changes from one set to another, as a unified diff.
    ///
    /// # Errors
    /// One of them is not there or damaged.
    pub fn diff(&self, from: u64, to: u64) -> Result<String, PublishError> {
        Ok(diff(&self.sets.read(from)?.files, &self.sets.read(to)?.files))
    }

    /// Publishes an earlier set once more, as a new one.
    ///
    /// # Errors
    /// It is not there or damaged; otherwise as [`Configuration::publish`].
    pub fn roll_back(&self, set: u64, by: &str) -> Result<Published, PublishError> {
        let _turn = self.turn()?;
        self.install(&self.sets.read(set)?.files, by, Some(set))
    }

    /// Who has a say in HAProxy.
    pub fn control(&self) -> &Control {
        &self.settings.control
    }

    fn rendered(&self, site: &Site) -> Result<Rendered, PublishError> {
        render(site, self.settings.templates.as_deref(), &self.settings.program)
    }

    fn turn(&self) -> Result<Turn<'_>, PublishError> {
        let deadline = Instant::now() + self.settings.patience.turn;
        let process = self.turn.try_lock_until(deadline).ok_or(PublishError::Busy)?;
        let others = self.sets.lock(deadline)?;
        self.sets.tidy()?;
        Ok(Turn { _process: process, _others: others })
    }

    fn in_force(&self) -> Result<Option<Set>, PublishError> {
        self.sets.linked(CURRENT)?.map(|set| self.sets.read(set)).transpose()
    }

    fn install(&self, files: &Rendered, by: &str, repeats: Option<u64>) -> Result<Published, PublishError> {
        let current = match self.in_force() {
            // A new set is the cure.
            Err(PublishError::Damaged { .. }) => None,
            other => other?,
        };
        if let Some(current) = &current
            && current.files == *files
        {
            return self.uphold(current);
        }
        // It may have been put in place while there was no HAProxy.
        if let Some(current) = &current
            && self.settings.control.running_set() == Some(current.manifest.set)
        {
            self.sets.link(GOOD, Some(current.manifest.set))?;
        }
        let set = self.sets.next_number()?;
        let manifest = Manifest::new(set, files, by, repeats, now_s());
        let checked = self.sets.stage(files, &manifest).map_err(Into::into).and_then(|staged| {
            self.examine(&staged, files)?;
            let new = Directives::of(files);
            // Where nobody is told, nobody listens now.
            let running = match &current {
                _ if !self.settings.control.is_there() => new.clone(),
                Some(set) => Directives::of(&set.files),
                None => Directives::default(),
            };
            let faults = preflight::faults(&new, &running);
            if faults.is_empty() { Ok(()) } else { Err(PublishError::Unsuitable(faults)) }
        });
        if let Err(error) = checked {
            // What cannot be removed now is removed at the next turn.
            let _ = self.sets.discard(set);
            return Err(error);
        }
        self.sets.commit(set)?;
        self.sets.link(CURRENT, Some(set))?;
        match self.run(set, files) {
            Ok(enforcement) => {
                self.keep_as_good(set, &enforcement)?;
                self.collect();
                Ok(Published { set, is_changed: true, enforcement })
            }
            Err((cause, said)) => {
                let serving = self.go_back();
                // The link may lead there still, if it could not be put back.
                if !matches!(serving, Serving::Stuck(_)) {
                    self.sets.remove(set)?;
                }
                Err(PublishError::NotRunning { cause, said, serving })
            }
        }
    }

    /// The files are in place already; HAProxy may not run them.
    fn uphold(&self, current: &Set) -> Result<Published, PublishError> {
        let set = current.manifest.set;
        if self.settings.control.running_set() == Some(set) {
            self.sets.link(GOOD, Some(set))?;
            return Ok(Published { set, is_changed: false, enforcement: Enforcement::InForce });
        }
        self.renew(set, &current.files)
    }

    /// Makes HAProxy run the set in force, which may have been good once.
    fn renew(&self, set: u64, files: &Rendered) -> Result<Published, PublishError> {
        self.examine(&self.sets.current_dir(), files)?;
        match self.run(set, files) {
            Ok(enforcement) => {
                self.keep_as_good(set, &enforcement)?;
                Ok(Published { set, is_changed: false, enforcement })
            }
            Err((cause, said)) => Err(PublishError::NotRunning { cause, said, serving: self.go_back() }),
        }
    }

    /// The set to go back to is one that HAProxy ran; until there is one, or where nobody can say so, one that it would take.
    fn keep_as_good(&self, set: u64, enforcement: &Enforcement) -> Result<(), PublishError> {
        let is_best =
            *enforcement == Enforcement::InForce || matches!(self.settings.control, Control::Nobody);
        if is_best || self.sets.linked(GOOD)?.is_none() {
            self.sets.link(GOOD, Some(set))?;
        }
        Ok(())
    }

    /// Asks HAProxy whether it would take the files in this directory.
    fn examine(&self, dir: &Path, files: &Rendered) -> Result<(), PublishError> {
        if let Some(path) = Directives::of(files).server_state_file
            && !path.exists()
        {
            write_state(&path, EMPTY_STATE)?;
        }
        let checked = self.settings.program.check(&dir.join(Rendered::MAIN), self.settings.patience.check)?;
        if checked.is_valid {
            Ok(())
        } else {
            Err(PublishError::Refused(complaints(&checked.words, &[dir], files)))
        }
    }

    /// Makes HAProxy run the set that `current` leads to, or says what did not happen and what HAProxy said.
    fn run(&self, set: u64, files: &Rendered) -> Result<Enforcement, (String, Vec<String>)> {
        let directives = Directives::of(files);
        if let Some(path) = &directives.server_state_file {
            self.save_server_state(path);
        }
        let control = &self.settings.control;
        match control.run(set, directives.has_filter, self.settings.patience.reload) {
            Ok(()) => Ok(Enforcement::InForce),
            Err(Trouble::Absent(reason)) => Ok(Enforcement::StoredNotEnforced { reason }),
            Err(Trouble::Failed { cause, words }) => {
                let dirs = [&*self.sets.current_dir()];
                Err((cause, complaints(&words, &dirs, files)))
            }
        }
    }

    /// Leads `current` back to the last good set, and HAProxy to it unless it never left it.
    fn go_back(&self) -> Serving {
        let back = || {
            let Some(set) = self.sets.linked(GOOD)? else {
                self.sets.link(CURRENT, None)?;
                return Ok(Serving::Nothing);
            };
            self.sets.link(CURRENT, Some(set))?;
            if self.settings.control.running_set() == Some(set) {
                return Ok(Serving::LastGood(set));
            }
            let files = self.sets.read(set)?.files;
            let mut cause = String::new();
            for _ in 0..BACK_ATTEMPTS {
                cause = match self.run(set, &files) {
                    Ok(Enforcement::InForce) => return Ok(Serving::LastGood(set)),
                    Ok(Enforcement::StoredNotEnforced { reason }) => reason,
                    Err((cause, said)) => format!("{cause}{}", after_colon(&said)),
                };
            }
            Ok::<_, PublishError>(Serving::Lost { set, cause })
        };
        back().unwrap_or_else(|error| Serving::Stuck(error.to_string()))
    }

    /// The next worker begins with what this one knows of its servers. Without it, it finds out by itself.
    fn save_server_state(&self, path: &Path) {
        if let Some(master) = self.settings.control.master()
            && let Ok(state) = master.server_state()
            && let Err(error) = write_state(path, &state)
        {
            tracing::warn!("the state of servers is not kept: {error}");
        }
    }

    /// Removes sets that nobody needs. What cannot be removed now may be the next time.
    fn collect(&self) {
        let collect = || {
            let kept = [self.sets.linked(CURRENT)?, self.sets.linked(GOOD)?];
            let mut old =
                self.sets.numbers()?.into_iter().skip(MAX_SETS).filter(|set| !kept.contains(&Some(*set)));
            old.try_for_each(|set| self.sets.remove(set))
        };
        if let Err(error) = collect() {
            tracing::warn!("old configurations cannot be removed: {error}");
        }
    }
}

/// What a site is rendered to with the operator's templates, for this HAProxy.
///
/// # Errors
/// A template, or there is no HAProxy that says its version.
pub fn render(site: &Site, templates: Option<&Path>, program: &Program) -> Result<Rendered, PublishError> {
    Ok(Templates::of(templates)?.render(site, program.version()?)?)
}

/// A file without any server (`srv_state_parse_and_store_line` in src/server_state.c): HAProxy warns of one without a version.
const EMPTY_STATE: &str = "1\n";

/// HAProxy never reads it by half. It need not outlive a crash of the machine.
fn write_state(path: &Path, state: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let write = || {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o640).open(&new)?;
        file.write_all(state.as_bytes())?;
        fs::rename(&new, path)
    };
    write().map_err(|error| at(path, &error))
}
