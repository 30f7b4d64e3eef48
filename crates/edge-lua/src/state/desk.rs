//! What one thread at a time works with.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use edge_filter::Filter;
use edge_journal::{FileName, Lessons};

use super::budget::Budget;
use super::chain::{Chain, Way};
use super::compaction::{Compactor, Site};
use super::health::{Health, Part};
use super::merge::Merge;
use super::report::{Journal, Report};
use super::workers::Workers;
use super::{State, Turn};

/// Between two looks at the directory, microseconds.
const LOOK_EVERY_US: u64 = 1_000_000;

/// Where and when the work is done.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) state: &'a State,
    pub(crate) filter: &'a Filter,
    pub(crate) now_us: u64,
}

/// Everything but what threads that learn use.
pub(crate) struct Desk {
    health: Health,
    chain: Chain,
    workers: Workers,
    lessons: Lessons,
    compactor: Compactor,
    looked_us: u64,
}

impl Place<'_> {
    fn now_s(&self) -> u32 {
        u32::try_from(self.now_us / 1_000_000).unwrap_or(u32::MAX)
    }

    fn max_ttl_s(&self) -> u32 {
        self.filter.settings().max_ttl_s
    }
}

impl Desk {
    pub(crate) fn new(dir: &Path, max_journal_bytes: u64, lists_of_settings: Vec<Arc<str>>) -> Self {
        Self {
            health: Health::of(dir),
            chain: Chain::new(lists_of_settings),
            workers: Workers::default(),
            lessons: Lessons::default(),
            compactor: Compactor::new(max_journal_bytes),
            looked_us: 0,
        }
    }

    /// Reads everything. The lines for the log.
    pub(crate) fn load(&mut self, place: &Place<'_>) -> Vec<String> {
        self.is_present(place);
        self.look_at_journals(place);
        self.chain.look();
        self.read(place, Budget::UNLIMITED, true);
        self.end(place).lines
    }

    /// A slice of work.
    pub(crate) fn turn(&mut self, place: &Place<'_>, budget: Budget) -> Turn {
        if place.now_us.abs_diff(self.looked_us) >= LOOK_EVERY_US {
            self.looked_us = place.now_us;
            self.chain.look();
            self.look(place);
        }
        // Neither has to wait for the end of the other, which may be seconds away.
        let mut reads = self.read(place, budget.share(), false);
        let writes = self.write(place, budget);
        if reads && !budget.is_spent() {
            reads = self.read(place, budget, false);
        }
        Turn { is_cut: reads || writes, ..self.end(place) }
    }

    /// A slice of reading, with a look for files that came just now; whether more is waiting.
    pub(crate) fn catch_up(&mut self, place: &Place<'_>, budget: Budget) -> bool {
        self.is_present(place);
        self.chain.look();
        let more = self.read(place, budget, false);
        self.tell(place);
        more
    }

    fn look(&mut self, place: &Place<'_>) {
        self.lessons.trim(place.now_us, place.max_ttl_s());
        if !self.is_present(place) {
            return;
        }
        self.look_at_journals(place);
        self.workers.remove_inherited(&place.state.dir, &mut self.health);
        self.look_at_own_journal(place);
    }

    /// What somebody removed from it, or put into it, is made good by a new one.
    fn look_at_own_journal(&mut self, place: &Place<'_>) {
        let Some(journal) = place.state.own.current() else { return };
        let what = if !journal.is_present(&place.state.dir) {
            "removed"
        } else if !journal.is_untouched() {
            "changed"
        } else {
            return;
        };
        let failure = format!("{}: somebody {what} it", journal.name());
        drop(journal);
        self.with_site(place, |compactor, site| compactor.fail(site, failure));
    }

    /// Whether the directory is there; one that appeared, or replaced the one in use, is taken.
    fn is_present(&mut self, place: &Place<'_>) -> bool {
        let dir = &place.state.dir;
        if !dir.is_present()
            && let Err(e) = dir.reopen()
        {
            let problem = format!("{e}: nothing that is learned outlives HAProxy");
            self.health.fails(Part::Directory, problem);
            return false;
        }
        self.health.works(&Part::Directory, || "is there now".to_owned());
        true
    }

    fn look_at_journals(&mut self, place: &Place<'_>) {
        let dir = &place.state.dir;
        let own = place.state.own.current();
        let is_own =
            |name: &FileName| self.compactor.owns(name) || own.as_ref().is_some_and(|own| own.name() == name);
        match dir.journals() {
            Ok(listing) => {
                let others: Vec<_> = listing.files.into_iter().filter(|name| !is_own(name)).collect();
                self.workers.look(&others, &mut self.health);
                if listing.is_cut {
                    let problem = "learned/: too many files, the rest is not read".to_owned();
                    self.health.fails(Part::Journals, problem);
                } else {
                    self.health.works(&Part::Journals, || "learned/: can be read now".to_owned());
                }
            }
            // Told where the directory was looked for.
            Err(_) if self.health.is_failing(&Part::Directory) => {}
            Err(e) => self.health.fails(Part::Journals, format!("learned/: {e}")),
        }
    }

    /// Reads on in all files of others; whether there is more.
    fn read(&mut self, place: &Place<'_>, budget: Budget, is_start: bool) -> bool {
        let Some(edit) = place.filter.edit(place.now_s()) else { return true };
        let state = place.state;
        let lessons = &mut self.lessons;
        let (stamps, max_ttl_s, now_us) = (&state.stamps, place.max_ttl_s(), place.now_us);
        let own = &state.own;
        let mut merge = Merge { edit, lessons, own, stamps, max_ttl_s, now_us };
        // First of all: what this worker took back outlives older lessons of others.
        if !merge.remember(&state.to_remember, budget) {
            return true;
        }
        let health = &mut self.health;
        let mut way = Way { dir: &state.dir, merge: &mut merge, health, budget: budget.share() };
        if is_start {
            self.chain.load_snapshot(&mut way);
        }
        let more = self.chain.follow(&mut way);
        self.workers.follow(&mut Way { budget, ..way }) || more
    }

    pub(super) fn write(&mut self, place: &Place<'_>, budget: Budget) -> bool {
        if self.health.is_failing(&Part::Directory) {
            return false;
        }
        self.with_site(place, |compactor, site| compactor.work(site, budget))
    }

    fn with_site<T>(&mut self, place: &Place<'_>, f: impl FnOnce(&mut Compactor, &mut Site<'_>) -> T) -> T {
        let state = place.state;
        let mut site = Site {
            dir: &state.dir,
            own: &state.own,
            filter: place.filter,
            lessons: &mut self.lessons,
            to_remember: &state.to_remember,
            workers: &mut self.workers,
            health: &mut self.health,
            now_us: place.now_us,
            stamps: &state.stamps,
        };
        f(&mut self.compactor, &mut site)
    }

    fn end(&mut self, place: &Place<'_>) -> Turn {
        self.tell(place);
        Turn { lines: self.health.take_lines(), is_cut: false }
    }

    /// For who asks without the desk.
    fn tell(&self, place: &Place<'_>) {
        let state = place.state;
        state.revision.store(self.chain.revision(), Relaxed);
        let report = self.report(place);
        if **state.report.load() != report {
            state.report.store(Arc::new(report));
        }
    }

    fn report(&self, place: &Place<'_>) -> Report {
        let state = place.state;
        let journal = state.own.current();
        Report {
            path: state.dir.path().display().to_string(),
            present: !self.health.is_failing(&Part::Directory),
            revision: self.chain.revision(),
            taken: self.chain.taken(),
            hash: self.chain.mark().map(|mark| format!("{:016x}", mark.digest.to_bits())),
            incomplete: self.chain.is_incomplete(),
            stopped: self.chain.is_broken(),
            rules_problem: self.health.problem(&Part::Rules).map(str::to_owned),
            follows: self.chain.file().map(ToString::to_string),
            journal: journal
                .map(|journal| Journal { name: journal.name().to_string(), bytes: journal.len() }),
            other_journals: self.workers.names().map(ToString::to_string).collect(),
            taken_back: self.lessons.taken_back.len(),
            last_compaction: self.compactor.last().cloned(),
            problems: self.health.problems().map(str::to_owned).collect(),
            problems_total: self.health.begun(),
        }
    }
}
