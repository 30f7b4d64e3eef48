//! What the figures must show, each line held against them.

use super::sections::bytes_a_key;
use super::table::{Table, cell, size};
use crate::contender::Contender;
use crate::estimate::Estimate;
use crate::figures::{At, Case, Metric, Record};
use crate::machine::MEMORY_ACCESS_NS;

const MILLION: usize = 1_000_000;
const FIVE_MILLION: usize = 5_000_000;
const THOUSAND: usize = 1_000;
/// Less than this is nothing, microseconds.
const ERROR_US: f64 = 0.05;
/// Memory accesses, one after the other, that a larger list may add: the tags of a bucket, the entry, the rule's cell,
/// and of those found the same in the allow list.
const ACCESSES: f64 = 6.0;

/// A bound.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// What is held against a bound.
enum Figure {
    Of(Estimate),
    /// It is a part of what cannot be told from nothing.
    OfNothing,
    /// It was not measured at this size.
    Missing,
}

impl Bound {
    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::AtLeast(bound) => format!("at least {bound}"),
        }
    }

    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }

    /// Where the interval has both sides of the bound, another run may say otherwise.
    fn verdict(self, figure: Estimate) -> String {
        let verdict = if self.is_met(figure.value) { "met" } else { "**missed**" };
        if self.is_met(figure.low) == self.is_met(figure.high) {
            verdict.to_owned()
        } else {
            format!("{verdict}, in doubt")
        }
    }
}

impl From<Option<Estimate>> for Figure {
    fn from(figure: Option<Estimate>) -> Self {
        figure.map_or(Self::Missing, Self::Of)
    }
}

/// What the one is in parts of the other.
fn part(one: &[f64], other: &[f64]) -> Figure {
    match Estimate::of(other) {
        Some(other) if other.low <= 0.0 => Figure::OfNothing,
        _ => Estimate::from([one, other], |[one, other]| one / other).into(),
    }
}

/// What was measured once.
fn once(value: f64) -> Estimate {
    Estimate { value, low: value, high: value }
}

struct Targets<'r> {
    record: &'r Record,
    table: Table,
}

/// The table of one HAProxy.
pub(super) fn table(record: &Record) -> String {
    let mut targets = Targets { record, table: Table::new(["", "target", "figure", ""]) };
    targets.error();
    targets.addresses("addresses", "");
    targets.addresses("addresses-v6", " IPv6");
    targets.thousand();
    targets.resources();
    targets.throughput();
    targets.memory();
    targets.start();
    targets.bulk();
    targets.growth();
    targets.threads();
    targets.recorded();
    targets.table.under(&format!("HAProxy {}:", record.haproxy))
}

fn at(who: Contender, entries: usize, what: &str) -> At<'_> {
    At { who, entries, threads: 1, what }
}

impl Targets<'_> {
    /// One more line, unless its case was not measured at all.
    fn line(&mut self, case: &str, what: &str, bound: Bound, figure: impl Fn(&Case) -> Figure) {
        let Some(case) = self.record.cases.get(case) else { return };
        let (figure, verdict) = match figure(case) {
            Figure::Of(figure) => (cell(figure), bound.verdict(figure)),
            Figure::OfNothing => {
                let nothing = "the other adds nothing that can be told from noise";
                (nothing.to_owned(), "no verdict".to_owned())
            }
            Figure::Missing => ("not measured at this size".to_owned(), String::new()),
        };
        self.table.row(what, vec![Some(bound.text()), Some(figure), Some(verdict)]);
    }

    /// How far all that follows can be trusted.
    fn error(&mut self) {
        for entries in [THOUSAND, MILLION] {
            for what in ["miss", "hit"] {
                let name =
                    format!("{} addresses, {what}: what no filter seems to add to itself, us", size(entries));
                self.line("addresses", &name, Bound::AtMost(ERROR_US), |case| {
                    Estimate::from([&case.added_us(at(Contender::Twin, entries, what))], |[added]| {
                        added.abs()
                    })
                    .into()
                });
            }
        }
    }

    fn addresses(&mut self, case: &str, family: &str) {
        let others = [
            (Contender::OwnList, "HAProxy's list", 0.10),
            (Contender::EdgeLua, "our Lua path", 0.10),
            (Contender::Spoe, "SPOE with its agent", 0.02),
        ];
        for (other, name, bound) in others {
            for what in ["miss", "hit", "skewed"] {
                let name =
                    format!("1M{family} addresses, {what}: added processor time in parts of that of {name}");
                self.line(case, &name, Bound::AtMost(bound), |case| {
                    let price = |who| case.price_us(at(who, MILLION, what));
                    part(&price(Contender::Edge), &price(other))
                });
            }
        }
    }

    fn thousand(&mut self) {
        for what in ["miss", "hit"] {
            let name =
                |added| format!("1k addresses, {what}: added {added} in parts of that of HAProxy's list");
            self.line("addresses", &name("processor time"), Bound::AtMost(1.0), |case| {
                let added = |who| case.added_us(at(who, THOUSAND, what));
                part(&added(Contender::Edge), &added(Contender::OwnList))
            });
            self.line("instructions", &name("instructions"), Bound::AtMost(1.0), |case| {
                let added = |who| case.added_instructions(at(who, THOUSAND, what));
                added(Contender::Edge)
                    .zip(added(Contender::OwnList))
                    .map(|(ours, theirs)| once(ours / theirs))
                    .into()
            });
        }
    }

    fn resources(&mut self) {
        for what in ["miss", "hit", "skewed"] {
            let name = format!(
                "1M resources, {what}: added processor time in parts of that of a map of Host and path"
            );
            self.line("resources", &name, Bound::AtMost(0.25), |case| {
                let added = |who| case.added_us(at(who, MILLION, what));
                part(&added(Contender::Edge), &added(Contender::OwnMap))
            });
        }
    }

    fn throughput(&mut self) {
        for (case, noun) in [("addresses", "addresses"), ("resources", "resources")] {
            for what in ["miss", "hit", "skewed"] {
                let name = format!("1M {noun}, {what}: throughput in parts of no filter's");
                self.line(case, &name, Bound::AtLeast(0.98), |case| {
                    Estimate::of(&case.throughput_part(at(Contender::Edge, MILLION, what))).into()
                });
            }
        }
    }

    fn memory(&mut self) {
        for (case, family) in [("addresses", ""), ("addresses-v6", " IPv6")] {
            let name = format!("1M{family} addresses: memory of one in parts of that in HAProxy's list");
            self.line(case, &name, Bound::AtMost(0.35), |case| {
                let bytes = |who| bytes_a_key(case, who, MILLION);
                let both = bytes(Contender::Edge).zip(bytes(Contender::OwnList));
                both.map(|(ours, theirs)| once(ours / theirs)).into()
            });
        }
    }

    fn start(&mut self) {
        for (what, name) in [("list", "a list file"), ("snapshot", "the state directory")] {
            let name = format!("1M addresses: start from {name} in parts of that with HAProxy's list");
            self.line("start", &name, Bound::AtMost(0.15), |case| {
                let wall =
                    |who, what| case.rounds(At { who, entries: MILLION, threads: 2, what }, Metric::WallMs);
                part(wall(Contender::Edge, what), wall(Contender::OwnList, "list"))
            });
        }
    }

    fn bulk(&mut self) {
        self.line("bulk", "1M addresses replaced: failed requests", Bound::AtMost(0.0), |case| {
            case.most(at(Contender::Edge, MILLION, "replacing"), Metric::Errors).map(once).into()
        });
        for (idle, name) in [("idle", "idle"), ("idle, client busy", "idle with a busy client")] {
            let name = format!("1M addresses replaced: p99.9 in parts of that when {name}");
            self.line("bulk", &name, Bound::AtMost(1.5), |case| {
                let p999 = |what| case.rounds(at(Contender::Edge, MILLION, what), Metric::P999Us);
                part(p999("replacing"), p999(idle))
            });
        }
        for (other, name) in
            [(Contender::OwnList, "`add acl`"), (Contender::OwnMap, "`add map` with many keys a command")]
        {
            let name = format!("1M addresses replaced: times as fast as {name}");
            self.line("bulk", &name, Bound::AtLeast(20.0), |case| {
                let took = |who| case.rounds(at(who, MILLION, "replacing"), Metric::ReplacedMs);
                part(took(other), took(Contender::Edge))
            });
        }
    }

    fn growth(&mut self) {
        let access_us = self.record.machine.get(MEMORY_ACCESS_NS).and_then(|ns| ns.parse::<f64>().ok());
        let Some(access_us) = access_us.map(|ns| ns / 1e3) else { return };
        for what in ["miss", "hit"] {
            let name = format!(
                "from 1k to 5M addresses, {what}: added processor time grows by so many memory accesses of this machine"
            );
            self.line("addresses", &name, Bound::AtMost(ACCESSES), |case| {
                let added = |entries| case.added_us(at(Contender::Edge, entries, what));
                let few_and_many = [&added(THOUSAND)[..], &added(FIVE_MILLION)];
                Estimate::from(few_and_many, |[few, many]| (many - few) / access_us).into()
            });
        }
    }

    fn threads(&mut self) {
        // One size is measured; which one, a quick run says.
        let entries = self.record.cases.get("threads").and_then(|case| case.sizes().pop()).unwrap_or(MILLION);
        let edge = |threads, what| At { who: Contender::Edge, entries, threads, what };
        for what in ["miss", "hit"] {
            let name = format!(
                "{} addresses, {what}: two threads scale so well in parts of no filter's",
                size(entries)
            );
            self.line("threads", &name, Bound::AtLeast(0.95), |case| {
                part(&case.cpu_part(edge(1, what)), &case.cpu_part(edge(2, what)))
            });
        }
        let name = "two threads: processor time for a hot blocked client in parts of that for cold ones";
        self.line("threads", name, Bound::AtMost(1.0), |case| {
            part(&case.cpu_part(edge(2, "hot")), &case.cpu_part(edge(2, "hit")))
        });
    }

    fn recorded(&mut self) {
        let name = "instructions of a lookup: percent off what the repository keeps, the worst case";
        self.line("recorded", name, Bound::AtMost(5.0), |case| {
            let changes = case.rounds(at(Contender::Edge, 0, "recorded"), Metric::ChangePercent);
            changes.iter().map(|change| change.abs()).reduce(f64::max).map(once).into()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_in_doubt_where_the_interval_has_both_sides_of_the_bound() {
        let figure = |value, low, high| Estimate { value, low, high };
        let verdict = |value, low, high| Bound::AtMost(0.1).verdict(figure(value, low, high));
        assert_eq!(verdict(0.05, 0.01, 0.09), "met");
        assert_eq!(verdict(0.05, 0.01, 0.2), "met, in doubt");
        assert_eq!(verdict(0.15, 0.09, 0.2), "**missed**, in doubt");
        assert_eq!(verdict(0.15, 0.12, 0.2), "**missed**");
        assert_eq!(Bound::AtLeast(20.0).verdict(figure(30.0, 25.0, 35.0)), "met");
    }

    #[test]
    fn no_part_of_nothing_has_a_verdict() {
        assert!(matches!(part(&[0.1; 8], &[-0.2, 0.1, -0.1, 0.2, 0.1, -0.1, 0.0, 0.1]), Figure::OfNothing));
        assert!(matches!(part(&[0.1; 8], &[0.2; 8]), Figure::Of(Estimate { value: 0.5, .. })));
        assert!(matches!(part(&[], &[0.2; 8]), Figure::Missing));
    }
}
