//! Figures of all rounds, as they are kept in the file of raw numbers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::contender::Contender;

/// What is measured. Units last in the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Processor time of HAProxy for one request.
    CpuUs,
    /// Processor time of the SPOE agent for one request.
    AgentCpuUs,
    /// Answers a second.
    PerSecond,
    /// Part of a processor that HAProxy had.
    Busy,
    /// Latency of the median request.
    P50Us,
    /// Within this 99 % of the requests were answered.
    P99Us,
    /// Within this 99.9 % of the requests were answered.
    P999Us,
    /// Memory that HAProxy alone has and has written to.
    PrivateBytes,
    /// From start to first answer.
    WallMs,
    /// Processor time of HAProxy until then, of master and worker.
    StartCpuMs,
    /// The most memory of one process until then.
    PeakBytes,
    /// From the order to the first request that is refused.
    InForceMs,
    /// From the order to the first request that meets the new list.
    ReplacedMs,
    /// Requests that failed or got the wrong answer.
    Errors,
    /// Instructions of the whole process for one request.
    Instructions,
}

/// Who was measured, and in which circumstances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    /// Who.
    pub(crate) who: Contender,
    /// Listed keys.
    pub(crate) entries: usize,
    /// Threads of HAProxy.
    pub(crate) threads: usize,
    /// What was asked for, or another word for the circumstances.
    pub(crate) what: &'a str,
}

/// One figure, measured in some rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// Who.
    pub(crate) contender: Contender,
    /// Listed keys.
    pub(crate) entries: usize,
    /// Threads of HAProxy.
    pub(crate) threads: usize,
    /// What was asked for, or another word for the circumstances.
    pub(crate) what: String,
    /// What was measured.
    pub(crate) metric: Metric,
    /// One value a round. Those of different contenders belong together by their places.
    pub(crate) rounds: Vec<f64>,
}

/// One case, measured at one time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Case {
    /// When, UTC.
    pub(crate) at: String,
    /// How long a round was; 0: until something was done.
    pub(crate) round_s: f64,
    /// Load average of the last minute, when it began and when it ended: above 2 other work was on the machine.
    pub(crate) load: [f64; 2],
    /// All figures.
    pub(crate) figures: Vec<Figure>,
}

/// All that was measured with one HAProxy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// `2.6.12-1+deb12u4`.
    pub(crate) haproxy: String,
    /// The machine and the tools: name and value.
    pub(crate) machine: BTreeMap<String, String>,
    /// Cases by name.
    pub(crate) cases: BTreeMap<String, Case>,
}

/// Median, least and most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The one in the middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The most.
    pub(crate) most: f64,
}

impl Spread {
    /// Of these values; `None` of none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Some(Self { median: *values.get(values.len() / 2)?, least: *values.first()?, most: *values.last()? })
    }
}

impl At<'_> {
    /// The same circumstances for another contender.
    pub(crate) fn of(self, who: Contender) -> Self {
        Self { who, ..self }
    }

    fn is_of(&self, figure: &Figure) -> bool {
        (self.who, self.entries, self.threads, self.what)
            == (figure.contender, figure.entries, figure.threads, figure.what.as_str())
    }
}

impl Case {
    /// One more round of a figure.
    pub(crate) fn add(&mut self, at: At<'_>, metric: Metric, value: f64) {
        // Six digits are more than any clock here has, and the file stays small.
        let value = format!("{value:.5e}").parse().unwrap_or(value);
        match self.figures.iter_mut().find(|figure| at.is_of(figure) && figure.metric == metric) {
            Some(figure) => figure.rounds.push(value),
            None => self.figures.push(Figure {
                contender: at.who,
                entries: at.entries,
                threads: at.threads,
                what: at.what.to_owned(),
                metric,
                rounds: vec![value],
            }),
        }
    }

    /// The rounds of a figure; empty: it was not measured.
    pub(crate) fn rounds(&self, at: At<'_>, metric: Metric) -> &[f64] {
        let found = self.figures.iter().find(|figure| at.is_of(figure) && figure.metric == metric);
        found.map_or(&[], |figure| &figure.rounds)
    }

    /// The spread of a figure.
    pub(crate) fn spread(&self, at: At<'_>, metric: Metric) -> Option<Spread> {
        Spread::of(self.rounds(at, metric).iter().copied())
    }

    /// What this contender costs beyond no filter, round by round.
    pub(crate) fn added(&self, at: At<'_>, metric: Metric) -> Option<Spread> {
        self.difference(at, metric, at.of(Contender::None))
    }

    /// What the one has beyond the other, round by round.
    pub(crate) fn difference(&self, at: At<'_>, metric: Metric, other: At<'_>) -> Option<Spread> {
        self.beside(at, metric, other, |one, other| one - other)
    }

    /// What this contender takes, in parts of another, round by round.
    pub(crate) fn part(&self, at: At<'_>, metric: Metric, other: At<'_>) -> Option<Spread> {
        self.beside(at, metric, other, |one, other| one / other)
    }

    fn beside(&self, at: At<'_>, metric: Metric, other: At<'_>, both: fn(f64, f64) -> f64) -> Option<Spread> {
        let pairs = self.rounds(at, metric).iter().zip(self.rounds(other, metric));
        Spread::of(pairs.map(|(one, other)| both(*one, *other)))
    }

    /// Numbers of listed keys for which there are figures.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.figures.iter().map(|figure| figure.entries).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

impl Record {
    /// What an earlier run left in this file; nothing where there is none.
    ///
    /// # Errors
    /// The file is not one of ours.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(e),
        }
    }

    /// Writes all, one figure a line.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let (haproxy, machine) = (json(&self.haproxy), json(&self.machine));
        let mut text = format!("{{\"haproxy\":{haproxy},\n\"machine\":{machine},\n\"cases\":{{");
        for (n, (name, case)) in self.cases.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let figures: Vec<String> = case.figures.iter().map(json).collect();
            text.push_str(&format!(
                "{comma}\n{}:{{\"at\":{},\"round_s\":{},\"load\":{},\"figures\":[\n{}]}}",
                json(name),
                json(&case.at),
                json(&case.round_s),
                json(&case.load),
                figures.join(",\n")
            ));
        }
        text.push_str("}}\n");
        fs::write(path, text)
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("numbers and text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw.json");
        let edge = At { who: Contender::Edge, entries: 0, threads: 1, what: "miss" };
        let mut case = Case::default();
        case.add(edge.of(Contender::None), Metric::CpuUs, 7.0);
        case.add(edge, Metric::CpuUs, 7.5);
        case.add(edge, Metric::CpuUs, 7.25);
        let mut record = Record::default();
        record.cases.insert("addresses".to_owned(), case);
        record.write(&path).unwrap();
        let read = Record::read(&path).unwrap();
        let case = &read.cases["addresses"];
        assert_eq!(case.rounds(edge, Metric::CpuUs), [7.5, 7.25]);
        // The second round of no filter is missing: only what belongs together is compared.
        assert_eq!(case.added(edge, Metric::CpuUs).unwrap().median, 0.5);
    }
}
