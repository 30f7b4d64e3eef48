//! What the figures must show, each line held against them.

use super::sections::bytes_a_key;
use super::table::{Table, number, size};
use crate::contender::Contender;
use crate::figures::{At, Case, Metric, Record};
use crate::machine::MEMORY_ACCESS_NS;

const MILLION: usize = 1_000_000;
const FIVE_MILLION: usize = 5_000_000;
const THOUSAND: usize = 1_000;
/// Memory accesses, one after the other, that a larger list may add: the tags of a bucket, the entry, the rule's cell,
/// and of those found the same in the allow list.
const ACCESSES: f64 = 6.0;

/// A bound.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
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
}

struct Targets<'r> {
    record: &'r Record,
    table: Table,
}

/// The table of one HAProxy. A line without a figure was not measured.
pub(super) fn table(record: &Record) -> String {
    let mut targets = Targets { record, table: Table::new(["", "target", "figure", ""]) };
    targets.addresses();
    targets.resources();
    targets.throughput();
    targets.memory_and_start();
    targets.bulk();
    targets.growth();
    targets.threads();
    targets.table.under(&format!("HAProxy {}:", record.haproxy))
}

fn at(who: Contender, entries: usize, what: &str) -> At<'_> {
    At { who, entries, threads: 1, what }
}

impl Targets<'_> {
    /// One more line, unless its case was not measured at all.
    fn line(&mut self, case: &str, what: &str, bound: Bound, figure: Option<f64>) {
        if self.case(case).is_none() {
            return;
        }
        let verdict = match figure {
            Some(figure) if figure.is_nan() => "no verdict",
            Some(figure) if bound.is_met(figure) => "met",
            Some(_) => "**missed**",
            None => "",
        };
        let figure = match figure {
            Some(figure) if figure.is_nan() => {
                "the other adds nothing that can be told from noise".to_owned()
            }
            Some(figure) => number(figure),
            None => "not measured at this size".to_owned(),
        };
        self.table.row(what, vec![Some(bound.text()), Some(figure), Some(verdict.to_owned())]);
    }

    fn case(&self, name: &str) -> Option<&Case> {
        self.record.cases.get(name)
    }

    /// What this filter adds, in parts of what another adds: by the medians, since a round's difference may be nothing.
    fn added_part(
        &self,
        case: &str,
        entries: usize,
        what: &str,
        metric: Metric,
        other: Contender,
    ) -> Option<f64> {
        let case = self.case(case)?;
        let ours = case.added(at(Contender::Edge, entries, what), metric)?.median;
        let theirs = case.added(at(other, entries, what), metric)?.median;
        // No part of nothing, or less, says anything.
        Some(if theirs > 0.0 { ours / theirs } else { f64::NAN })
    }

    fn addresses(&mut self) {
        let others = [
            (Contender::OwnList, "HAProxy's list", 0.10),
            (Contender::EdgeLua, "our Lua path", 0.10),
            (Contender::Spoe, "SPOE", 0.02),
        ];
        for (other, name, bound) in others {
            for what in ["miss", "hit"] {
                let part = self.added_part("addresses", MILLION, what, Metric::CpuUs, other);
                self.line(
                    "addresses",
                    &format!("1M addresses, {what}: added processor time in parts of {name}'s"),
                    Bound::AtMost(bound),
                    part,
                );
            }
        }
        for what in ["miss", "hit"] {
            for (case, metric, name) in [
                ("addresses", Metric::CpuUs, "processor time"),
                ("instructions", Metric::Instructions, "instructions"),
            ] {
                let part = self.added_part(case, THOUSAND, what, metric, Contender::OwnList);
                self.line(
                    case,
                    &format!("1k addresses, {what}: added {name} in parts of HAProxy's list's"),
                    Bound::AtMost(1.0),
                    part,
                );
            }
        }
    }

    fn resources(&mut self) {
        for what in ["miss", "hit"] {
            let part = self.added_part("resources", MILLION, what, Metric::CpuUs, Contender::OwnMap);
            self.line(
                "resources",
                &format!("1M resources, {what}: added processor time in parts of a map's of Host and path"),
                Bound::AtMost(0.25),
                part,
            );
        }
    }

    fn throughput(&mut self) {
        for what in ["miss", "hit"] {
            let edge = at(Contender::Edge, MILLION, what);
            let part = self.case("addresses").and_then(|case| {
                case.part(edge, Metric::PerSecond, edge.of(Contender::None)).map(|spread| spread.median)
            });
            self.line(
                "addresses",
                &format!("1M addresses, {what}: throughput in parts of no filter's"),
                Bound::AtLeast(0.98),
                part,
            );
        }
    }

    fn memory_and_start(&mut self) {
        let part = self.case("addresses").and_then(|case| {
            let bytes = |who| bytes_a_key(case, who, MILLION);
            Some(bytes(Contender::Edge)? / bytes(Contender::OwnList)?)
        });
        self.line(
            "addresses",
            "1M addresses: memory of one in parts of HAProxy's list's",
            Bound::AtMost(0.35),
            part,
        );
        for (what, name) in [("list", "a list file"), ("snapshot", "the state directory")] {
            let part = self.case("start").and_then(|case| {
                let wall = |who, what| {
                    let at = At { who, entries: MILLION, threads: 2, what };
                    case.spread(at, Metric::WallMs).map(|spread| spread.median)
                };
                Some(wall(Contender::Edge, what)? / wall(Contender::OwnList, "list")?)
            });
            self.line(
                "start",
                &format!("1M addresses: start from {name} in parts of HAProxy's list's"),
                Bound::AtMost(0.15),
                part,
            );
        }
    }

    fn bulk(&mut self) {
        let spread = |who, what, metric| {
            self.case("bulk").and_then(|case| case.spread(at(who, MILLION, what), metric))
        };
        let errors = spread(Contender::Edge, "replacing", Metric::Errors).map(|errors| errors.most);
        let p999 = |what| spread(Contender::Edge, what, Metric::P999Us).map(|p999| p999.median);
        let during = p999("replacing");
        let parts = ["idle", "idle, client busy"].map(|idle| Some(during? / p999(idle)?));
        let took = |who| spread(who, "replacing", Metric::ReplacedMs).map(|took| took.median);
        let ours = took(Contender::Edge);
        let faster = [Contender::OwnList, Contender::OwnMap].map(|other| Some(took(other)? / ours?));
        self.line("bulk", "1M addresses replaced: failed requests", Bound::AtMost(0.0), errors);
        let [idle, busy] = parts;
        self.line("bulk", "1M addresses replaced: p99.9 in parts of idle", Bound::AtMost(1.5), idle);
        self.line("bulk", "the same, in parts of idle with a busy client", Bound::AtMost(1.5), busy);
        let [list, map] = faster;
        self.line("bulk", "1M addresses replaced: times as fast as `add acl`", Bound::AtLeast(20.0), list);
        self.line("bulk", "the same, as `add map` with many keys a command", Bound::AtLeast(20.0), map);
    }

    fn growth(&mut self) {
        let access_us = self
            .record
            .machine
            .get(MEMORY_ACCESS_NS)
            .and_then(|ns| ns.parse::<f64>().ok())
            .map(|ns| ns / 1e3);
        for what in ["miss", "hit"] {
            let accesses = self.case("addresses").and_then(|case| {
                let added = |entries| case.added(at(Contender::Edge, entries, what), Metric::CpuUs);
                Some((added(FIVE_MILLION)?.median - added(THOUSAND)?.median) / access_us?)
            });
            self.line("addresses", &format!(
                    "from 1k to 5M addresses, {what}: added processor time grows by so many memory accesses of this \
                     machine"
                ),
                Bound::AtMost(ACCESSES),
                accesses,
            );
        }
    }

    fn threads(&mut self) {
        // One size is measured; which one, a quick run says.
        let entries = self.case("threads").and_then(|case| case.sizes().pop()).unwrap_or(MILLION);
        let at = |who, threads, what| At { who, entries, threads, what };
        for what in ["miss", "hit"] {
            let scaling = |who| {
                let case = self.case("threads")?;
                let spread = case.part(at(who, 1, what), Metric::CpuUs, at(who, 2, what))?;
                Some(spread.median)
            };
            let part = scaling(Contender::Edge).and_then(|ours| Some(ours / scaling(Contender::None)?));
            self.line(
                "threads",
                &format!(
                    "{} addresses, {what}: two threads scale so well in parts of no filter's",
                    size(entries)
                ),
                Bound::AtLeast(0.95),
                part,
            );
        }
        let hot = self.case("threads").and_then(|case| {
            let (hot, cold) = (at(Contender::Edge, 2, "hot"), at(Contender::Edge, 2, "hit"));
            case.part(hot, Metric::CpuUs, cold).map(|spread| spread.median)
        });
        self.line(
            "threads",
            "two threads: processor time for a hot blocked client in parts of cold ones",
            Bound::AtMost(1.0),
            hot,
        );
    }
}
