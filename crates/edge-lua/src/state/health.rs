//! What does not work at the moment: one line when it begins, one when it is over, the rest in the status.

use std::collections::BTreeMap;
use std::path::Path;

use edge_journal::FileName;

/// Before every line: several instances may have one log.
const SETTING: &str = "EDGE_STATE_DIR";

/// Lines that wait for the log; more are only counted.
const MAX_LINES: usize = 64;

/// What can fail by itself. At most one problem of each is told of at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The state directory.
    Directory,
    /// What this worker learns is not written.
    OwnJournal,
    /// The directory of learned journals.
    Journals,
    /// The rules of the manager.
    Rules,
    /// One file.
    File(FileName),
}

/// The problems of the moment, and the lines that the log has to get.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// What every line begins with: the setting, and the directory.
    place: String,
    problems: BTreeMap<Part, String>,
    lines: Vec<String>,
    begun: u64,
}

impl Health {
    /// Of this state directory.
    pub(crate) fn of(dir: &Path) -> Self {
        Self { place: format!("{SETTING}: {}", dir.display()), ..Self::default() }
    }

    /// This does not work, in words that name the file. A line for the log, unless it had one and did not work since.
    pub(crate) fn fails(&mut self, part: Part, problem: String) {
        let line = self.placed(&problem);
        if self.problems.insert(part, line).is_none() {
            self.begun += 1;
            self.say(problem);
        }
    }

    /// This works. `line` is for the log if it did not before.
    pub(crate) fn works(&mut self, part: &Part, line: impl FnOnce() -> String) {
        if self.problems.remove(part).is_some() {
            self.say(line());
        }
    }

    /// This file is gone, and its problem with it.
    pub(crate) fn gone(&mut self, file: &FileName) {
        self.works(&Part::File(file.clone()), || format!("{file}: is gone"));
    }

    /// A line for the log about something that is over already.
    pub(crate) fn say(&mut self, line: String) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(self.placed(&line));
        }
    }

    fn placed(&self, line: &str) -> String {
        format!("{}: {line}", self.place)
    }

    pub(crate) fn is_failing(&self, part: &Part) -> bool {
        self.problems.contains_key(part)
    }

    /// The problem of this part, if it has one.
    pub(crate) fn problem(&self, part: &Part) -> Option<&str> {
        self.problems.get(part).map(String::as_str)
    }

    /// The problems of the moment.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.values().map(String::as_str)
    }

    /// Problems that began since the process started.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// The lines for the log, once.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_one_line_at_its_beginning_and_one_at_its_end() {
        let mut health = Health::of(Path::new("/d"));
        for _ in 0..3 {
            health.fails(Part::OwnJournal, "disk full".into());
        }
        health.fails(Part::OwnJournal, "disk still full".into());
        assert_eq!(
            health.problems().collect::<Vec<_>>(),
            ["EDGE_STATE_DIR: /d: disk still full"],
            "the cause of the moment"
        );
        for _ in 0..3 {
            health.works(&Part::OwnJournal, || "it works again".into());
        }
        assert_eq!(
            health.take_lines(),
            ["EDGE_STATE_DIR: /d: disk full", "EDGE_STATE_DIR: /d: it works again"]
        );
        assert_eq!((health.take_lines().len(), health.problems().count(), health.begun()), (0, 0, 1));
    }

    #[test]
    fn a_bad_file_that_goes_away_has_a_line_at_its_end() {
        let mut health = Health::of(Path::new("/d"));
        health.gone(&FileName::Journal(1));
        health.fails(Part::File(FileName::Journal(2)), "bad".into());
        health.gone(&FileName::Journal(2));
        health.gone(&FileName::Journal(2));
        let lines = health.take_lines();
        assert_eq!(lines, ["EDGE_STATE_DIR: /d: bad", "EDGE_STATE_DIR: /d: rules.journal.2: is gone"]);
    }

    #[test]
    fn a_flood_of_lines_is_cut() {
        let mut health = Health::default();
        for n in 0..1000 {
            health.fails(Part::File(FileName::Journal(n)), "bad".into());
        }
        assert_eq!(health.take_lines().len(), MAX_LINES);
    }
}
