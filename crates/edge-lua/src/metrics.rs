//! `edge_metrics`: what Prometheus reads.

use edge_filter::{Counters, VerdictCounts};

use crate::engine::Engine;
use crate::exposition::{Kind, Page};
use crate::guard;

/// The page of metrics.
pub(crate) fn page(engine: &Engine) -> String {
    let mut page = Page::default();
    let counters = engine.filter.counters();
    rules(&mut page, engine, &counters);
    lookups(&mut page, &counters);
    page.metric(
        "edge_filter_learn_total",
        Kind::Counter,
        "Responses with X-Edge-Resource, by what came of them.",
    )
    .samples("result", engine.school.results());
    module(&mut page, engine);
    page.finish()
}

fn rules(page: &mut Page, engine: &Engine, counters: &Counters) {
    let snapshot = engine.filter.snapshot();
    let counts = snapshot.counts();
    let changes = &counters.changes;
    let tables = [("allow", counts.allow), ("block", counts.block), ("resource", counts.resource)];
    page.metric("edge_filter_rules", Kind::Gauge, "Rules held, by table.").samples("table", tables);
    page.metric("edge_filter_learned_rules", Kind::Gauge, "Those of the rules that were learned.")
        .value(counts.learned);
    page.metric("edge_filter_revision", Kind::Gauge, "Publications of changed rules.")
        .value(snapshot.revision());
    page.metric("edge_filter_evicted_total", Kind::Counter, "Rules that gave way at a cap.")
        .value(changes.evicted);
    page.metric("edge_filter_expired_total", Kind::Counter, "Rules removed after their end.")
        .value(changes.expired);
    page.metric(
        "edge_filter_refused_total",
        Kind::Counter,
        "Rules not taken for want of room or precedence.",
    )
    .value(changes.refused);
    page.metric("edge_filter_list_bad_lines_total", Kind::Counter, "Lines of list files that were skipped.")
        .value(engine.bad_lines());
}

fn lookups(page: &mut Page, counters: &Counters) {
    let tables = [("address", counters.address), ("resource", counters.resource)];
    page.metric("edge_filter_lookups_total", Kind::Counter, "Lookups, by table.")
        .samples("table", tables.map(|(table, counts)| (table, counts.lookups)));
    let mut verdicts = page.metric(
        "edge_filter_verdicts_total",
        Kind::Counter,
        "Lookups with a verdict other than pass, by table and verdict.",
    );
    for (table, counts) in tables {
        let VerdictCounts { lookups: _, observe, tarpit, drop, deny, ask } = counts;
        for (verdict, count) in
            [("observe", observe), ("tarpit", tarpit), ("drop", drop), ("deny", deny), ("ask", ask)]
        {
            verdicts.sample(&[("table", table), ("verdict", verdict)], count);
        }
    }
    let help = "Requests let through near the end of a learned rule.";
    page.metric("edge_filter_half_open_total", Kind::Counter, help).value(counters.half_open);
    let help = "Changes lost because too many were waiting.";
    page.metric("edge_filter_queue_full_total", Kind::Counter, help).value(counters.queue_full);
}

fn module(page: &mut Page, engine: &Engine) {
    let help = "Whether HAProxy calls the converters without Lua.";
    page.metric("edge_filter_native", Kind::Gauge, help).value(u8::from(engine.native.is_ok()));
    let help = "Panics caught, each a defect.";
    page.metric("edge_filter_panics_total", Kind::Counter, help).value(guard::panics());
    let help = "Longest turn of the upkeep task, seconds.";
    page.metric("edge_filter_upkeep_seconds_max", Kind::Gauge, help).value(engine.upkeep.longest_s());
    page.metric("edge_filter_build_info", Kind::Gauge, "1, with the version of the module.")
        .samples("version", [(env!("CARGO_PKG_VERSION"), 1)]);
}

#[cfg(test)]
mod tests {
    use edge_filter::{Action, List, Operation, Origin, Rule, Target};

    use super::*;

    #[test]
    fn every_metric_counts_what_its_name_says() {
        let engine = Engine::build([("EDGE_NATIVE".into(), "off".into())], 1000).unwrap();
        let blocked = ["192.0.2.0/24", "198.51.100.0/24"].map(|net| Rule {
            target: Target::Client(List::Block, net.parse().unwrap()),
            action: Action::Drop,
            expires_at_s: 2000,
            origin: Origin::List("test".into()),
            reason: "".into(),
        });
        engine.filter.submit(Operation::Replace("test".into(), blocked.into()), 1000).unwrap();
        let mut reader = engine.filter.reader();
        for addr in ["192.0.2.1", "192.0.2.2", "203.0.113.1"] {
            reader.address(addr.parse().unwrap(), 1000);
        }
        reader.resource(b"shop.example/", 1000);
        let page = page(&engine);
        for line in [
            "edge_filter_rules{table=\"allow\"} 0",
            "edge_filter_rules{table=\"block\"} 2",
            "edge_filter_learned_rules 0",
            "edge_filter_lookups_total{table=\"address\"} 3",
            "edge_filter_lookups_total{table=\"resource\"} 1",
            "edge_filter_verdicts_total{table=\"address\",verdict=\"drop\"} 2",
            "edge_filter_verdicts_total{table=\"address\",verdict=\"deny\"} 0",
            "edge_filter_learn_total{result=\"learned\"} 0",
            "edge_filter_native 0",
            "# TYPE edge_filter_native gauge",
            "edge_filter_expired_total 0",
            "edge_filter_build_info{version=\"0.1.0\"} 1",
        ] {
            assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
        }
        engine.filter.upkeep(2000, 10);
        let after = super::page(&engine);
        assert!(after.contains("\nedge_filter_expired_total 2\n"), "{after}");
        assert!(after.contains("\nedge_filter_rules{table=\"block\"} 0\n"), "{after}");
    }
}
