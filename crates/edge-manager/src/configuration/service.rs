//! What can be done with configurations, one thing at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use crate::clock::now_s;
use crate::haproxy::{Control, Program};
use crate::render::{Rendered, Templates, diff};
use crate::site::{DomainInput, Site};

use super::answers::{Past, Preview, Published};
use super::error::PublishError;
use super::lack::{Lack, lacking};
use super::manifest::Manifest;
use super::server_state::Own;
use super::sets::{CURRENT, GOOD, Set, Sets};
use super::settings::Settings;
use super::transaction::is_same;

/// The configuration that HAProxy runs, and those before it.
#[derive(Debug)]
pub struct Configuration {
    pub(super) settings: Settings,
    pub(super) sets: Sets,
    pub(super) own: Own,
    /// One at a time.
    turn: Mutex<()>,
    /// See [`Configuration::waits_for_haproxy`].
    pub(super) is_waiting: AtomicBool,
}

/// Keeps others away.
pub(super) struct Turn<'a> {
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
        let master = settings.control.master().map(|master| master.socket().to_owned());
        let dirs = settings.templates.iter().chain([&settings.dir]).cloned().collect();
        let own = Own { dirs, files: master.into_iter().collect() };
        let (turn, is_waiting) = (Mutex::new(()), AtomicBool::default());
        let configuration = Self { settings, sets, own, turn, is_waiting };
        drop(configuration.turn()?);
        Ok(configuration)
    }

    /// Keeps what sites name out of these directories, and away from these files and those whose names begin with theirs.
    #[must_use]
    pub fn keeping_out_of(
        mut self,
        dirs: impl IntoIterator<Item = PathBuf>,
        files: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        self.own.dirs.extend(dirs);
        self.own.files.extend(files);
        self
    }

    /// Sees to a set in force that nobody has seen running, since who published it was killed meanwhile: where HAProxy does
    /// not run it, and cannot start with it, the last good one is back in force, which is logged.
    ///
    /// # Errors
    /// The sets cannot be read.
    pub fn recover(&self) -> Result<(), PublishError> {
        let _turn = self.turn()?;
        self.settle()
    }

    /// Makes HAProxy run the set in force, without a reload where it does.
    ///
    /// # Errors
    /// There is none; HAProxy does not take it any more.
    pub fn uphold(&self) -> Result<Published, PublishError> {
        let _turn = self.turn()?;
        self.uphold_set(&self.in_force()?.ok_or(PublishError::Nothing)?)
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
            Ok(Some(current)) if is_same(&current, &files, None) => self.renew(current.manifest.set, &files),
            _ => self.install(&files, by, None),
        }
    }

    /// Whether a site could be published, and what that would change. Nothing changes.
    ///
    /// # Errors
    /// As [`Configuration::publish`], but for what only a reload shows.
    pub fn check(&self, site: &Site) -> Result<Preview, PublishError> {
        let _turn = self.turn()?;
        self.preview(&self.rendered(site)?)
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

    /// The earlier set that the one in force repeats, if it repeats one.
    ///
    /// # Errors
    /// It cannot be read. A damaged one repeats none.
    pub fn repeats(&self) -> Result<Option<u64>, PublishError> {
        match self.in_force() {
            Err(PublishError::Damaged { .. }) => Ok(None),
            other => Ok(other?.and_then(|set| set.manifest.repeats)),
        }
    }

    /// The numbers of the sets that are kept, newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn numbers(&self) -> Result<Vec<u64>, PublishError> {
        Ok(self.sets.numbers()?)
    }

    /// What a publication has changed, as a unified diff.
    ///
    /// # Errors
    /// One of the sets was removed since, or is damaged.
    pub fn change(&self, published: &Published) -> Result<String, PublishError> {
        if !published.is_changed {
            return Ok(String::new());
        }
        let before = published.before.map(|set| self.sets.read(set)).transpose()?;
        Ok(diff(&before.map(|set| set.files).unwrap_or_default(), &self.sets.read(published.set)?.files))
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

    /// Whether these files could be published, and what they would change. For who has the turn.
    pub(super) fn preview(&self, files: &Rendered) -> Result<Preview, PublishError> {
        let current = self.in_force()?;
        // It gets no number, since it is no set.
        let manifest = Manifest::new(0, files, "", None, now_s());
        let staged = self.sets.stage(files, &manifest)?;
        let checked = self.examine(&staged, files);
        self.sets.discard(0)?;
        checked?;
        Ok(Preview { diff: diff(&current.map(|set| set.files).unwrap_or_default(), files) })
    }

    /// Whether HAProxy did not answer when the set in force was put there, and so does not run it for all that is known.
    pub fn waits_for_haproxy(&self) -> bool {
        self.is_waiting.load(Relaxed)
    }

    /// Notes that HAProxy may not run what it should.
    pub fn wait_for_haproxy(&self) {
        self.is_waiting.store(true, Relaxed);
    }

    /// Who has a say in HAProxy.
    pub fn control(&self) -> &Control {
        &self.settings.control
    }

    fn rendered(&self, site: &Site) -> Result<Rendered, PublishError> {
        render(site, self.settings.templates.as_deref(), &self.settings.program)
    }

    pub(super) fn turn(&self) -> Result<Turn<'_>, PublishError> {
        let deadline = Instant::now() + self.settings.patience.turn;
        let process = self.turn.try_lock_until(deadline).ok_or(PublishError::Busy)?;
        let others = self.sets.lock(deadline)?;
        self.sets.tidy()?;
        Ok(Turn { _process: process, _others: others })
    }

    pub(super) fn in_force(&self) -> Result<Option<Set>, PublishError> {
        self.sets.linked(CURRENT)?.map(|set| self.sets.read(set)).transpose()
    }
}

/// What a site is rendered to with the operator's templates, for this HAProxy.
///
/// # Errors
/// A template, or there is no HAProxy that says its version.
pub fn render(site: &Site, templates: Option<&Path>, program: &Program) -> Result<Rendered, PublishError> {
    Ok(Templates::of(templates)?.render(site, program.version()?)?)
}
