//! The tables of one HAProxy.

use super::table::{Table, cell, number, size};
use crate::contender::{Contender, Subject};
use crate::estimate::Estimate;
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
    let sections: [(&str, &str, Section); 11] = [
        ("addresses", "Client addresses", |case| lookups(case, Subject::Addresses)),
        ("addresses-v6", "Client addresses, IPv6", |case| lookups(case, Subject::AddressesV6)),
        ("resources", "Resources: host and path", |case| lookups(case, Subject::Resources)),
        ("threads", "Two threads", threads),
        ("latency", "Latency below full load", latency),
        ("instructions", "Instructions", instructions),
        ("recorded", "Instructions that the repository keeps", recorded),
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
        let length = if case.turn_s > 0.0 {
            format!(" with turns of {} s", number(case.turn_s))
        } else {
            String::new()
        };
        let calm = match case.calm_rounds() {
            (_, 0) => String::new(),
            (calm, all) => {
                format!("; {:.0} % of the comparisons were calm", 100.0 * calm as f64 / all as f64)
            }
        };
        text.push_str(&format!(
            "\n### {title}\n\nOn {} UTC, {rounds} rounds{length}; load average {before} before and {after} after{calm}.\n{}",
            case.at,
            section(case)
        ));
    }
    text
}

fn lookups(case: &Case, subject: Subject) -> String {
    let sizes = case.sizes();
    let heads = |first: &str| std::iter::once(first.to_owned()).chain(sizes.iter().map(|&n| size(n)));
    // One cell for each size.
    let row = |table: &mut Table, name: &str, what: &str, who, cell: &dyn Fn(At<'_>) -> Option<String>| {
        let cells = sizes.iter().map(|&entries| cell(At { who, entries, threads: 1, what }));
        table.row(name, cells.collect());
    };
    let mut text = String::new();
    for what in ["miss", "hit", "skewed"] {
        let mut table = Table::new(heads("us"));
        let all = |at: At<'_>| case.estimate(at, Metric::CpuUs).map(cell);
        let added = |at: At<'_>| Estimate::of(&case.added_us(at)).map(cell);
        let agent = |at: At<'_>| Estimate::of(&case.agent_us(at)).map(cell);
        let price = |at: At<'_>| Estimate::of(&case.price_us(at)).map(cell);
        for who in Contender::ALL {
            match who {
                Contender::None => row(&mut table, "no filter, in all", what, who, &all),
                Contender::Spoe => {
                    row(&mut table, "SPOE in HAProxy", what, who, &added);
                    row(&mut table, "the SPOE agent", what, who, &agent);
                    row(&mut table, "SPOE, both", what, who, &price);
                }
                _ => row(&mut table, who.name(subject), what, who, &added),
            }
        }
        text.push_str(&table.under(&format!("Added processor time for a request, {what}, by listed keys; with 0 the question is asked of an empty list:")));
        let mut table = Table::new(heads("part"));
        let all = |at: At<'_>| case.estimate(at, Metric::PerSecond).map(cell);
        let part = |at: At<'_>| Estimate::of(&case.throughput_part(at)).map(cell);
        for who in Contender::ALL {
            match who {
                Contender::None => row(&mut table, "no filter, requests a second", what, who, &all),
                _ => row(&mut table, who.name(subject), what, who, &part),
            }
        }
        text.push_str(&table.under(&format!("Throughput in parts of no filter, {what}:")));
    }
    let mut table = Table::new(heads("bytes"));
    for who in Contender::ALL.into_iter().filter(|who| who.is_filter() && *who != Contender::Spoe) {
        let bytes = |at: At<'_>| bytes_a_key(case, who, at.entries).map(number);
        row(&mut table, who.name(subject), "", who, &bytes);
    }
    text.push_str(&table.under(
        "Memory of HAProxy for each key, against the same with an empty list (the agent's keys are in the agent):",
    ));
    let mut table = Table::new(heads("MiB"));
    for who in [Contender::EdgeLua, Contender::Edge] {
        let mib = |at: At<'_>| {
            case.estimate(at, Metric::LargePageBytes).map(|bytes| number(bytes.value / (1 << 20) as f64))
        };
        row(&mut table, who.name(subject), "", who, &mib);
    }
    text + &table.under("Of the memory of the whole HAProxy, in large pages when it started; the kernel gives them where it can:")
}

/// What one key takes, in memory that HAProxy alone has.
pub(super) fn bytes_a_key(case: &Case, who: Contender, entries: usize) -> Option<f64> {
    let bytes = |entries| case.estimate(At { who, entries, threads: 1, what: "" }, Metric::PrivateBytes);
    let (full, empty) = (bytes(entries)?.value, bytes(0)?.value);
    (entries > 0).then(|| (full - empty) / entries as f64)
}

fn threads(case: &Case) -> String {
    let mut text = String::new();
    for entries in case.sizes() {
        let at = |who, threads, what| At { who, entries, threads, what };
        let mut table = Table::new(["us", "one thread", "two threads", "growth in parts of no filter's"]);
        let mut memory = Table::new(["", "bytes"]);
        for who in Contender::ALL {
            for what in ["miss", "hit", "hot"] {
                let [one, two] = [1, 2].map(|threads| at(who, threads, what));
                let (cells, name) = if who == Contender::None {
                    let all = |at| case.estimate(at, Metric::CpuUs).map(cell);
                    (vec![all(one), all(two), None], format!("no filter, in all, {what}"))
                } else {
                    let added = |at| Estimate::of(&case.added_us(at)).map(cell);
                    let parts = [two, one].map(|at| case.cpu_part(at));
                    let growth = Estimate::from([&parts[0], &parts[1]], |[two, one]| two / one);
                    let name = format!("{}, {what}", who.name(Subject::Addresses));
                    (vec![added(one), added(two), growth.map(cell)], name)
                };
                table.row(&name, cells);
            }
            let [one, two] = [1, 2].map(|threads| case.estimate(at(who, threads, ""), Metric::PrivateBytes));
            let copy = two.zip(one).map(|(two, one)| number((two.value - one.value) / entries as f64));
            memory.row(who.name(Subject::Addresses), vec![copy]);
        }
        text.push_str(&table.under(&format!(
            "Added processor time for a request, {} addresses; \"hot\" is one listed client that all threads are \
             asked for. HAProxy and a client with two threads share both cores, so throughput says nothing here:",
            size(entries)
        )));
        text.push_str(&memory.under("Memory that the second thread adds, for each key:"));
    }
    text
}

/// The three latencies in which users are interested.
fn latencies(case: &Case, at: At<'_>) -> Vec<Option<String>> {
    [Metric::P50Us, Metric::P99Us, Metric::P999Us].map(|metric| case.estimate(at, metric).map(cell)).into()
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
                if who == Contender::None {
                    case.estimate(at, Metric::Instructions).map(cell)
                } else {
                    case.added_instructions(at).map(number)
                }
            });
            let name =
                if who == Contender::None { "no filter, in all" } else { who.name(Subject::Addresses) };
            table.row(name, cells.into());
        }
        text.push_str(&table.under(&format!(
            "Added instructions for a request, {} addresses, in HAProxy's work on streams and applets (callgrind), without \
             system calls and without the SPOE agent:",
            size(entries)
        )));
    }
    text
}

fn recorded(case: &Case) -> String {
    let at = At { who: Contender::Edge, entries: 0, threads: 1, what: "recorded" };
    let changes = case.rounds(at, Metric::ChangePercent);
    let most = changes.iter().fold(0.0f64, |most, change| most.max(change.abs()));
    format!(
        "\n{} cases of `make bench-instructions`, which fails where one is more than 5 % off what is recorded: at most \
         {} % off.\n",
        changes.len(),
        number(most)
    )
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
                case.estimate(at, Metric::PeakBytes).map(|peak| number(peak.value / f64::from(1 << 20)));
            let [wall, cpu] =
                [Metric::WallMs, Metric::StartCpuMs].map(|metric| case.estimate(at, metric).map(cell));
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
            table.row(name, vec![case.estimate(at, Metric::InForceMs).map(cell)]);
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
                let took = case.estimate(at, Metric::ReplacedMs).map(cell);
                let errors = case.most(at, Metric::Errors).map(number);
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
        (Contender::None, "teach", "no filter"),
        (Contender::LuaMap, "teach", "Lua, `core.set_map`"),
        (Contender::Edge, "teach", "Edge Filter"),
        (Contender::Edge, "teach, kept", "Edge Filter with a state directory"),
    ];
    for (who, what, name) in rows {
        let at = At { who, entries: 0, threads: 1, what };
        let [plain, teach] =
            [Metric::CpuBesideUs, Metric::CpuUs].map(|metric| case.estimate(at, metric).map(cell));
        table.row(name, vec![plain, teach, Estimate::of(&case.added_us(at)).map(cell)]);
    }
    table.under(
        "Processor time of HAProxy for a request that goes to a backend, each for another resource; every response of the \
         backend teaches, or none does:",
    )
}
