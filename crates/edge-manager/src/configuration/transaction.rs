//! Putting a set in force, or leaving the one before.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use crate::clock::now_s;
use crate::haproxy::{Control, Enforcement, Trouble};
use crate::render::Rendered;

use super::answers::Published;
use super::complaints::complaints;
use super::directives::Directives;
use super::error::{PublishError, Serving, after_colon};
use super::manifest::Manifest;
use super::preflight;
use super::server_state;
use super::service::Configuration;
use super::sets::{CURRENT, GOOD, Set};

/// How often HAProxy is told to go back: one that was just started again may have read the bad configuration once more.
const BACK_ATTEMPTS: usize = 3;

/// Of a HAProxy that is there.
const NO_ANSWER: &str =
    "no answer from HAProxy: it gets the configuration as soon as it answers or is started again";

/// All of these are for whoever has the turn.
impl Configuration {
    /// Publishes these files, unless they are in force.
    pub(super) fn install(
        &self,
        files: &Rendered,
        by: &str,
        repeats: Option<u64>,
    ) -> Result<Published, PublishError> {
        let current = match self.in_force() {
            // A new set is the cure.
            Err(PublishError::Damaged { .. }) => None,
            other => other?,
        };
        if let Some(current) = &current
            && is_same(current, files, repeats)
        {
            return self.uphold_set(current);
        }
        // Whatever else it is asked would wait for it too.
        let hangs = self.settings.control.hangs();
        // It may have been put in place while there was no HAProxy.
        if let Some(current) = &current
            && !hangs
            && self.settings.control.running_set() == Some(current.manifest.set)
        {
            self.sets.link(GOOD, Some(current.manifest.set))?;
        }
        let set = self.sets.next_number()?;
        let manifest = Manifest::new(set, files, by, repeats, now_s());
        let checked = self.sets.stage(files, &manifest).map_err(Into::into).and_then(|staged| {
            self.prepare(&staged, files)?;
            let new = Directives::of(files);
            // Where nobody is told, nobody listens now.
            let running = match &current {
                _ if hangs || !self.settings.control.is_there() => new.clone(),
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
        match if hangs { Ok(self.waits()) } else { self.run(set, files) } {
            Ok(enforcement) => {
                self.keep_as_good(set, &enforcement)?;
                if let Err(error) = self.sets.collect() {
                    // They may be removed the next time.
                    tracing::warn!("old configurations cannot be removed: {error}");
                }
                let before = current.map(|current| current.manifest.set);
                let has_filter = Directives::of(files).has_filter;
                Ok(Published { set, is_changed: true, before, enforcement, has_filter })
            }
            Err((cause, said)) => {
                let serving = self.go_back();
                // The link may lead there still, if it could not be put back.
                if !matches!(serving, Serving::Stuck(_))
                    && let Err(error) = self.sets.remove(set)
                {
                    tracing::warn!(set, "what HAProxy did not run cannot be removed: {error}");
                }
                Err(PublishError::NotRunning { cause, said, serving })
            }
        }
    }

    /// Makes HAProxy run the set in force, unless it does: no worker is replaced for nothing.
    pub(super) fn uphold_set(&self, current: &Set) -> Result<Published, PublishError> {
        let set = current.manifest.set;
        if self.settings.control.settled_set(self.settings.patience.reload) == Some(set) {
            self.sets.link(GOOD, Some(set))?;
            return Ok(unchanged(set, &current.files, Enforcement::InForce));
        }
        self.renew(set, &current.files)
    }

    /// Makes HAProxy read the set in force anew, which may have been good once.
    pub(super) fn renew(&self, set: u64, files: &Rendered) -> Result<Published, PublishError> {
        self.prepare(&self.sets.current_dir(), files)?;
        match self.run(set, files) {
            Ok(enforcement) => {
                self.keep_as_good(set, &enforcement)?;
                Ok(unchanged(set, files, enforcement))
            }
            Err((cause, said)) => Err(PublishError::NotRunning { cause, said, serving: self.go_back() }),
        }
    }

    /// What is to be done about a set in force that nobody has seen running, since who published it was killed meanwhile:
    /// where HAProxy runs it, it is good; where HAProxy runs the one before or cannot start, the good one is put back.
    pub(super) fn settle(&self) -> Result<(), PublishError> {
        let (Some(set), Some(good)) = (self.sets.linked(CURRENT)?, self.sets.linked(GOOD)?) else {
            return Ok(());
        };
        if set == good {
            return Ok(());
        }
        let control = &self.settings.control;
        let running = control.settled_set(self.settings.patience.reload);
        if running == Some(set) {
            self.sets.link(GOOD, Some(set))?;
        } else if running == Some(good) || matches!(control, Control::Supervised(_)) {
            let serving = self.go_back();
            tracing::error!(
                set,
                "whoever published it did not come to the end, and HAProxy does not run it; {serving}"
            );
        }
        // Otherwise there was no HAProxy to run it.
        Ok(())
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

    /// [`Configuration::examine`] of files that are to be put in force.
    fn prepare(&self, dir: &Path, files: &Rendered) -> Result<(), PublishError> {
        if let Some(path) = self.server_state_file(files)? {
            server_state::create(&path)?;
        }
        self.examine(dir, files)
    }

    /// Whether HAProxy would take the files in this directory. Nothing is made or changed.
    pub(super) fn examine(&self, dir: &Path, files: &Rendered) -> Result<(), PublishError> {
        self.server_state_file(files)?;
        let checked = self.settings.program.check(&dir.join(Rendered::MAIN), self.settings.patience.check)?;
        if checked.is_valid {
            Ok(())
        } else {
            Err(PublishError::Refused(complaints(&checked.words, &[dir], files)))
        }
    }

    fn server_state_file(&self, files: &Rendered) -> Result<Option<PathBuf>, PublishError> {
        let path = Directives::of(files).server_state_file;
        path.as_deref().map_or(Ok(()), |path| self.own.examine(path))?;
        Ok(path)
    }

    /// Makes HAProxy run the set that `current` leads to, or says what did not happen and what HAProxy said.
    fn run(&self, set: u64, files: &Rendered) -> Result<Enforcement, (String, Vec<String>)> {
        if self.settings.control.hangs() {
            return Ok(self.waits());
        }
        self.is_waiting.store(false, Relaxed);
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

    /// HAProxy gets what is in place later.
    fn waits(&self) -> Enforcement {
        self.is_waiting.store(true, Relaxed);
        Enforcement::StoredNotEnforced { reason: NO_ANSWER.to_owned() }
    }

    /// The next worker begins with what this one knows of its servers. Without it, it finds out by itself.
    fn save_server_state(&self, path: &Path) {
        if let Some(master) = self.settings.control.master()
            && let Ok(state) = master.server_state()
            && let Err(error) = self.own.write(path, &state)
        {
            tracing::warn!("the state of servers is not kept: {error}");
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
            // HAProxy is told in any case: it says itself whether it takes what somebody has made of it.
            let files = self.sets.read_as_found(set)?;
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
}

/// Whether files are those in force. What the record says ends a roll back, even if it comes to the same files.
pub(super) fn is_same(current: &Set, files: &Rendered, repeats: Option<u64>) -> bool {
    current.files == *files && (repeats.is_some() || current.manifest.repeats.is_none())
}

fn unchanged(set: u64, files: &Rendered, enforcement: Enforcement) -> Published {
    let has_filter = Directives::of(files).has_filter;
    Published { set, is_changed: false, before: Some(set), enforcement, has_filter }
}
