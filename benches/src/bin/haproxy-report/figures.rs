//! Figures of all rounds, as they are kept in the file of raw numbers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::estimate::Estimate;

/// A comparison that was disturbed by more than this does not count.
const DISTURBED: f64 = 0.05;

/// What is measured. Units last in the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Processor time of HAProxy for one request.
    CpuUs,
    /// The same of what it is compared with, as a mean of the turns directly before and after.
    CpuBesideUs,
    /// Processor time of the SPOE agent for one request.
    AgentCpuUs,
    /// Answers a second.
    PerSecond,
    /// The same of what it is compared with.
    PerSecondBeside,
    /// How far the machine was from leaving HAProxy alone while turns were compared: the most time that one of them was
    /// kept from its processor, in parts of the time that it had; or, if that is more, the difference between the turns
    /// before and after in parts of their mean. It does not know the turn that is compared with them.
    Disturbed,
    /// Latency of the median request.
    P50Us,
    /// Within this 99 % of the requests were answered.
    P99Us,
    /// Within this 99.9 % of the requests were answered.
    P999Us,
    /// Memory that HAProxy alone has and has written to.
    PrivateBytes,
    /// As much of it as lies in large pages.
    LargePageBytes,
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
    /// Instructions of HAProxy for one request.
    Instructions,
    /// Instructions of a case of `make bench-instructions` beyond those recorded.
    ChangePercent,
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
    /// How long a turn was; 0: until something was done.
    pub(crate) turn_s: f64,
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

impl At<'_> {
    fn is_of(&self, figure: &Figure) -> bool {
        (self.who, self.entries, self.threads, self.what)
            == (figure.contender, figure.entries, figure.threads, figure.what.as_str())
    }
}

impl Case {
    /// One more round of a figure.
    pub(crate) fn add(&mut self, at: At<'_>, metric: Metric, value: f64) {
        // Five digits are more than any clock here has, and the file stays small.
        let value = format!("{value:.4e}").parse().unwrap_or(value);
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

    /// The rounds of a figure in which nothing else disturbed HAProxy. Where these are fewer than half, all rounds.
    pub(crate) fn calm(&self, at: At<'_>, metric: Metric) -> Vec<f64> {
        let rounds = self.rounds(at, metric);
        let disturbed = self.rounds(at, Metric::Disturbed);
        let is_calm = |n: usize| disturbed.get(n).is_none_or(|&part| part <= DISTURBED);
        let calm: Vec<f64> = (0..rounds.len()).filter(|&n| is_calm(n)).map(|n| rounds[n]).collect();
        if calm.len() * 2 < rounds.len() { rounds.to_vec() } else { calm }
    }

    /// How many of the rounds that could be disturbed were calm, and how many there are.
    pub(crate) fn calm_rounds(&self) -> (usize, usize) {
        let kept = self.figures.iter().filter(|figure| figure.metric == Metric::Disturbed);
        let parts = || kept.clone().flat_map(|figure| &figure.rounds);
        (parts().filter(|&&part| part <= DISTURBED).count(), parts().count())
    }

    /// A figure, from its calm rounds.
    pub(crate) fn estimate(&self, at: At<'_>, metric: Metric) -> Option<Estimate> {
        Estimate::of(&self.calm(at, metric))
    }

    /// Processor time for a request beyond what it is compared with, round by round, microseconds at the usual speed of
    /// the machine: where everything takes half as long again in some rounds, so does what is added.
    pub(crate) fn added_us(&self, at: At<'_>) -> Vec<f64> {
        let usual_us = self.usual_us(at);
        self.cpu_part(at).into_iter().map(|part| (part - 1.0) * usual_us).collect()
    }

    /// Processor time of the SPOE agent for a request, round by round, in the same way.
    pub(crate) fn agent_us(&self, at: At<'_>) -> Vec<f64> {
        let usual_us = self.usual_us(at);
        let parts = self.beside(at, Metric::AgentCpuUs, Metric::CpuBesideUs, |agent, beside| agent / beside);
        parts.into_iter().map(|part| part * usual_us).collect()
    }

    /// Both, where there is an agent: the whole price of asking.
    pub(crate) fn price_us(&self, at: At<'_>) -> Vec<f64> {
        let (added, agent) = (self.added_us(at), self.agent_us(at));
        if agent.is_empty() {
            added
        } else {
            added.iter().zip(agent).map(|(added, agent)| added + agent).collect()
        }
    }

    fn usual_us(&self, at: At<'_>) -> f64 {
        self.estimate(at, Metric::CpuBesideUs).map_or(f64::NAN, |beside| beside.value)
    }

    /// Instructions for a request beyond those without a filter.
    pub(crate) fn added_instructions(&self, at: At<'_>) -> Option<f64> {
        let of = |at| self.estimate(at, Metric::Instructions);
        Some(of(at)?.value - of(At { who: Contender::None, ..at })?.value)
    }

    /// The most of all rounds.
    pub(crate) fn most(&self, at: At<'_>, metric: Metric) -> Option<f64> {
        self.rounds(at, metric).iter().copied().reduce(f64::max)
    }

    /// Processor time for a request in parts of what it is compared with, round by round.
    pub(crate) fn cpu_part(&self, at: At<'_>) -> Vec<f64> {
        self.beside(at, Metric::CpuUs, Metric::CpuBesideUs, |own, beside| own / beside)
    }

    /// Throughput in parts of what it is compared with, round by round.
    pub(crate) fn throughput_part(&self, at: At<'_>) -> Vec<f64> {
        self.beside(at, Metric::PerSecond, Metric::PerSecondBeside, |own, beside| own / beside)
    }

    fn beside(&self, at: At<'_>, own: Metric, beside: Metric, both: fn(f64, f64) -> f64) -> Vec<f64> {
        self.calm(at, own)
            .into_iter()
            .zip(self.calm(at, beside))
            .map(|(own, beside)| both(own, beside))
            .collect()
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
                "{comma}\n{}:{{\"at\":{},\"turn_s\":{},\"load\":{},\"figures\":[\n{}]}}",
                json(name),
                json(&case.at),
                json(&case.turn_s),
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

    const EDGE: At<'static> = At { who: Contender::Edge, entries: 0, threads: 1, what: "miss" };

    fn case(rounds: &[(f64, f64, f64)]) -> Case {
        let mut case = Case::default();
        for (own, beside, disturbed) in rounds {
            case.add(EDGE, Metric::CpuUs, *own);
            case.add(EDGE, Metric::CpuBesideUs, *beside);
            case.add(EDGE, Metric::Disturbed, *disturbed);
        }
        case
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw.json");
        let case = case(&[(7.5, 7.0, 0.0), (7.25, 7.0, 0.0)]);
        let record = Record { cases: [("addresses".to_owned(), case)].into(), ..Record::default() };
        record.write(&path).unwrap();
        let read = Record::read(&path).unwrap();
        let case = &read.cases["addresses"];
        assert_eq!(case.rounds(EDGE, Metric::CpuUs), [7.5, 7.25]);
        assert_eq!(case.cpu_part(EDGE), [7.5 / 7.0, 7.25 / 7.0]);
    }

    #[test]
    fn disturbed_rounds_do_not_count_unless_most_are() {
        let case = case(&[(7.5, 6.0, 0.0), (9.0, 6.0, 0.3), (7.5, 6.0, 0.01)]);
        assert_eq!(case.added_us(EDGE), [1.5, 1.5]);
        assert_eq!(case.calm_rounds(), (2, 3));
    }

    #[test]
    fn with_few_calm_rounds_all_count() {
        let case = case(&[(7.5, 7.0, 0.0), (9.0, 7.0, 0.3), (8.0, 7.0, 0.3)]);
        assert_eq!(case.cpu_part(EDGE), [7.5 / 7.0, 9.0 / 7.0, 8.0 / 7.0]);
    }

    #[test]
    fn a_slower_machine_adds_no_more() {
        let case = case(&[(7.5, 6.0, 0.0), (15.0, 12.0, 0.0), (7.5, 6.0, 0.0)]);
        assert_eq!(case.added_us(EDGE), [2.0; 3]);
    }

    #[test]
    fn the_price_of_asking_has_the_agent_in_it() {
        let mut case = case(&[(12.0, 8.0, 0.0)]);
        assert_eq!(case.price_us(EDGE), [4.0]);
        case.add(EDGE, Metric::AgentCpuUs, 1.5);
        assert_eq!((case.agent_us(EDGE), case.price_us(EDGE)), (vec![1.5], vec![5.5]));
    }
}
