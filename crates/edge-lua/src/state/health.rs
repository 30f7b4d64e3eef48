//! What does not work at the moment: one line when it begins, one when it is over, the rest in the status.

use std::collections::BTreeMap;

use edge_journal::FileName;

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
    problems: BTreeMap<Part, String>,
    lines: Vec<String>,
    begun: u64,
}

impl Health {
    /// This does not work, in words that name the file. A line for the log, unless it had one and did not work since.
    pub(crate) fn fails(&mut self, part: Part, problem: String) {
        if self.problems.insert(part, problem.clone()).is_none() {
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

    /// This part is gone, and its problem with it.
    pub(crate) fn gone(&mut self, part: &Part) {
        self.problems.remove(part);
    }

    /// A line for the log about something that is over already.
    pub(crate) fn say(&mut self, line: String) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        }
    }

    pub(crate) fn is_failing(&self, part: &Part) -> bool {
        self.problems.contains_key(part)
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
        let mut health = Health::default();
        for _ in 0..3 {
            health.fails(Part::OwnJournal, "disk full".into());
        }
        health.fails(Part::OwnJournal, "disk still full".into());
        assert_eq!(health.problems().collect::<Vec<_>>(), ["disk still full"], "the cause of the moment");
        for _ in 0..3 {
            health.works(&Part::OwnJournal, || "it works again".into());
        }
        assert_eq!(health.take_lines(), ["disk full", "it works again"]);
        assert_eq!((health.take_lines().len(), health.problems().count(), health.begun()), (0, 0, 1));
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
