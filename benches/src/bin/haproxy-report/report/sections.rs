//! The tables of one HAProxy.

use super::table::{Table, cell, number, size};
use crate::contender::{Contender, Subject};
use crate::figures::{At, Case, Metric, Record};

/// The text of a case.
type Section = fn(&Case) -> String;

/// What was measured on.
pub(super) fn machine(record: &Record) -> String {
    let facts: Vec<String> = record.machine.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("\n{}.\n", facts.join("; "))
}

/// All tables for which there are figures.
pub(super) fn all(record: &Record) -> String {
    let sections: [(&str, &str, Section); 9] = [
        ("addresses", "Client addresses", |case| lookups(case, Subject::Addresses)),
        ("resources", "Resources: host and path", |case| lookups(case, Subject::Resources)),
        ("threads", "Two threads", threads),
        ("latency", "Latency below full load", latency),
        ("instructions", "Instructions", instructions),
        ("start", "Start", start),
        ("force", "One more block", force),
        ("bulk", "A list replaced as a whole", bulk),
        ("learning", "Learning from responses", learning),
    ];
    let mut text = String::new();
    for (name, title, section) in sections {
        let Some(case) = record.cases.get(name) else { continue };
        let rounds = case.figures.iter().map(|figure| figure.rounds.len()).max().unwrap_or(0);
        let [before, after] = case.load;
        let length =
            if case.round_s > 0.0 { format!(" of {} s", number(case.round_s)) } else { String::new() };
        text.push_str(&format!(
            "\n### {title}\n\nOn {} UTC, {rounds} rounds{length}; load average {before} before and {after} after.\n{}",
            case.at,
            section(case)
        ));
    }
    text
}

fn lookups(case: &Case, subject: Subject) -> String {
    let sizes = case.sizes();
    let at = |who, entries, what| At { who, entries, threads: 1, what };
    let heads = |first: &str| std::iter::once(first.to_owned()).chain(sizes.iter().map(|&n| size(n)));
    let mut text = String::new();
    for what in ["miss", "hit", "skewed"] {
        let mut table = Table::new(heads("us"));
        for who in Contender::ALL {
            let cells = sizes.iter().map(|&entries| {
                let at = at(who, entries, what);
                match who {
                    Contender::None => case.spread(at, Metric::CpuUs).map(cell),
                    _ => case.added(at, Metric::CpuUs).map(cell),
                }
            });
            let name = if who == Contender::None { "no filter, in all" } else { who.name(subject) };
            table.row(name, cells.collect());
        }
        let agent =
            sizes.iter().map(|&n| case.spread(at(Contender::Spoe, n, what), Metric::AgentCpuUs).map(cell));
        table.row("(the agent itself)", agent.collect());
        text.push_str(
            &table.under(&format!("Added processor time of HAProxy for a request, {what}, by listed keys:")),
        );
        let mut table = Table::new(heads("part"));
        for who in Contender::ALL {
            let none = |at: At<'_>| case.spread(at, Metric::PerSecond).map(|spread| number(spread.median));
            let cells = sizes.iter().map(|&entries| {
                let at = at(who, entries, what);
                match who {
                    Contender::None => none(at),
                    _ => case.part(at, Metric::PerSecond, at.of(Contender::None)).map(cell),
                }
            });
            let name =
                if who == Contender::None { "no filter, requests a second" } else { who.name(subject) };
            table.row(name, cells.collect());
        }
        text.push_str(&table.under(&format!("Throughput in parts of no filter, {what}:")));
    }
    let mut table = Table::new(heads("bytes"));
    for who in Contender::ALL {
        let cells = sizes.iter().map(|&entries| bytes_a_key(case, who, entries).map(number));
        if !matches!(who, Contender::None | Contender::Spoe) {
            table.row(who.name(subject), cells.collect());
        }
    }
    text + &table.under("Memory of HAProxy for each key, against the same with an empty list (the agent's keys are in the agent):")
}

/// What one key takes, in memory that HAProxy alone has.
pub(super) fn bytes_a_key(case: &Case, who: Contender, entries: usize) -> Option<f64> {
    let bytes = |entries| case.spread(At { who, entries, threads: 1, what: "" }, Metric::PrivateBytes);
    let (full, empty) = (bytes(entries)?.median, bytes(0)?.median);
    (entries > 0).then(|| (full - empty) / entries as f64)
}

fn threads(case: &Case) -> String {
    let mut text = String::new();
    for entries in case.sizes() {
        let mut table = Table::new(["us", "one thread", "two threads", "two in parts of one"]);
        for what in ["miss", "hit", "hot"] {
            for who in Contender::ALL {
                let [one, two] = [1, 2].map(|threads| At { who, entries, threads, what });
                let times = [one, two].map(|at| case.spread(at, Metric::CpuUs).map(cell));
                let part = case.part(two, Metric::CpuUs, one).map(cell);
                let [one, two] = times;
                table.row(&format!("{}, {what}", who.name(Subject::Addresses)), vec![one, two, part]);
            }
        }
        text.push_str(&table.under(&format!(
            "Processor time of HAProxy for a request, {} addresses; \"hot\" is one listed client that all threads are \
             asked for. HAProxy and a client with two threads share both cores, so throughput says nothing here:",
            size(entries)
        )));
    }
    text
}

/// The three latencies in which users are interested.
fn latencies(case: &Case, at: At<'_>) -> Vec<Option<String>> {
    [Metric::P50Us, Metric::P99Us, Metric::P999Us].map(|metric| case.spread(at, metric).map(cell)).into()
}

fn latency(case: &Case) -> String {
    let mut text = String::new();
    for entries in case.sizes() {
        let mut table = Table::new(["us", "p50", "p99", "p99.9"]);
        for who in Contender::ALL {
            let at = At { who, entries, threads: 1, what: "miss" };
            table.row(who.name(Subject::Addresses), latencies(case, at));
        }
        text.push_str(&table.under(&format!(
            "15,000 requests a second, {} addresses, from when a request was due:",
            size(entries)
        )));
    }
    text
}

fn instructions(case: &Case) -> String {
    let mut text = String::new();
    for entries in case.sizes() {
        let mut table = Table::new(["instructions", "miss", "hit"]);
        for who in Contender::ALL {
            let cells = ["miss", "hit"].map(|what| {
                let at = At { who, entries, threads: 1, what };
                let spread = if who == Contender::None {
                    case.spread(at, Metric::Instructions)
                } else {
                    case.added(at, Metric::Instructions)
                };
                spread.map(|spread| number(spread.median))
            });
            let name =
                if who == Contender::None { "no filter, in all" } else { who.name(Subject::Addresses) };
            table.row(name, cells.into());
        }
        text.push_str(&table.under(&format!(
            "Added instructions for a request, {} addresses, in HAProxy's `process_stream` (callgrind):",
            size(entries)
        )));
    }
    text
}

fn start(case: &Case) -> String {
    let mut text = String::new();
    let rows = [
        (Contender::None, "list", "no list"),
        (Contender::OwnList, "list", "HAProxy, `src -f`"),
        (Contender::OwnMap, "list", "HAProxy, `src,map_ip`"),
        (Contender::Edge, "empty", "Edge Filter, no list"),
        (Contender::Edge, "list", "Edge Filter, list file"),
        (Contender::Edge, "snapshot", "Edge Filter, state directory"),
    ];
    for entries in case.sizes() {
        let mut table = Table::new(["", "first answer, ms", "processor, ms", "peak, MiB"]);
        for (who, what, name) in rows {
            let at = At { who, entries, threads: 2, what };
            let peak =
                case.spread(at, Metric::PeakBytes).map(|spread| number(spread.median / f64::from(1 << 20)));
            let [wall, cpu] =
                [Metric::WallMs, Metric::StartCpuMs].map(|metric| case.spread(at, metric).map(cell));
            table.row(name, vec![wall, cpu, peak]);
        }
        text.push_str(&table.under(&format!("{} addresses in random order:", size(entries))));
    }
    text
}

fn force(case: &Case) -> String {
    let mut text = String::new();
    let rows = [
        (Contender::OwnList, "order", "HAProxy, `add acl`"),
        (Contender::OwnMap, "order", "HAProxy, `add map`"),
        (Contender::Edge, "order", "Edge Filter, state directory and `edge sync`"),
        (Contender::Edge, "by itself", "Edge Filter, state directory alone"),
    ];
    for entries in case.sizes() {
        let mut table = Table::new(["", "ms"]);
        for (who, what, name) in rows {
            let at = At { who, entries, threads: 1, what };
            table.row(name, vec![case.spread(at, Metric::InForceMs).map(cell)]);
        }
        let title = "From the order to the first request that is refused, beside";
        text.push_str(&table.under(&format!("{title} {} addresses:", size(entries))));
    }
    text
}

fn bulk(case: &Case) -> String {
    let mut text = String::new();
    for entries in case.sizes() {
        let mut table = Table::new(["", "in force after, ms", "errors", "p50, us", "p99, us", "p99.9, us"]);
        for who in [Contender::OwnList, Contender::OwnMap, Contender::Edge] {
            for what in ["idle", "idle, client busy", "replacing"] {
                let at = At { who, entries, threads: 1, what };
                let took = case.spread(at, Metric::ReplacedMs).map(cell);
                let errors = case.spread(at, Metric::Errors).map(|spread| number(spread.most));
                let cells = [took, errors].into_iter().chain(latencies(case, at)).collect();
                table.row(&format!("{}, {what}", who.name(Subject::Addresses)), cells);
            }
        }
        text.push_str(&table.under(&format!(
            "{} addresses replaced by as many, half of them new, under 15,000 requests a second: with `prepare`, `add` and \
             `commit` of HAProxy's socket, 15 kB of commands at a time, and with a file in the state directory. Whoever \
             gives the orders shares the client's core at the lowest priority; \"client busy\" is the same without \
             orders:",
            size(entries)
        )));
    }
    text
}

fn learning(case: &Case) -> String {
    let mut table = Table::new(["us", "plain response", "response that teaches", "cost of learning"]);
    let rows = [
        (Contender::None, "", "no filter"),
        (Contender::LuaMap, "", "Lua, `core.set_map`"),
        (Contender::Edge, "", "Edge Filter"),
        (Contender::Edge, ", kept", "Edge Filter with a state directory"),
    ];
    for (who, kept, name) in rows {
        let (plain, teach) = (format!("plain{kept}"), format!("teach{kept}"));
        let at = |what| At { who, entries: 0, threads: 1, what };
        let (plain, teach) = (at(plain.as_str()), at(teach.as_str()));
        let cost = case.difference(teach, Metric::CpuUs, plain).map(cell);
        let [plain, teach] = [plain, teach].map(|at| case.spread(at, Metric::CpuUs).map(cell));
        table.row(name, vec![plain, teach, cost]);
    }
    table.under(
        "Processor time of HAProxy for a request that goes to a backend, each for another resource; every response of the \
         backend teaches, or none does:",
    )
}
