//! `edge_metrics`: what Prometheus reads.

use edge_filter::{Counters, VerdictCounts};

use crate::engine::Engine;
use crate::exposition::{Kind, Page};
use crate::guard;
use crate::state::State;

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
    if let Some(state) = &engine.state {
        state_directory(&mut page, state);
    }
    module(&mut page, engine);
    page.finish()
}

fn state_directory(page: &mut Page, state: &State) {
    let report = state.report();
    let help = "Whether the state directory is there.";
    page.metric("edge_filter_state_present", Kind::Gauge, help).value(u8::from(report.present));
    let help = "What does not work with the state directory at the moment.";
    page.metric("edge_filter_state_problems", Kind::Gauge, help).value(report.problems.len());
    let help = "Problems with the state directory that began.";
    page.metric("edge_filter_state_problems_total", Kind::Counter, help).value(report.problems_total);
    let help = "Whether what is learned is written at once.";
    page.metric("edge_filter_state_writes", Kind::Gauge, help).value(u8::from(report.journal.is_some()));
    let help = "Bytes of this worker's own journal.";
    let bytes = report.journal.as_ref().map_or(0, |journal| journal.bytes);
    page.metric("edge_filter_state_journal_bytes", Kind::Gauge, help).value(bytes);
    let help = "Lessons written.";
    page.metric("edge_filter_state_appended_total", Kind::Counter, help).value(state.appended());
    let help = "Journals of other workers that are followed, or wait to be removed.";
    page.metric("edge_filter_state_other_journals", Kind::Gauge, help).value(report.other_journals.len());
    let help = "What was taken back and is remembered.";
    page.metric("edge_filter_state_taken_back", Kind::Gauge, help).value(report.taken_back);
}

fn rules(page: &mut Page, engine: &Engine, counters: &Counters) {
    let snapshot = engine.filter.snapshot();
    let counts = snapshot.counts();
    let changes = &counters.changes;
    let tables = [("allow", counts.allow), ("block", counts.block), ("resource", counts.resource)];
    page.metric("edge_filter_rules", Kind::Gauge, "Rules held, by table.").samples("table", tables);
    page.metric("edge_filter_learned_rules", Kind::Gauge, "Those of the rules that were learned.")
        .value(counts.learned);
    page.metric("edge_filter_publications_total", Kind::Counter, "Publications of changed rules.")
        .value(snapshot.revision());
    let revision = engine.state.as_ref().map_or(0, State::revision);
    page.metric("edge_filter_revision", Kind::Gauge, "Revision of the manager's rules in force, 0 for none.")
        .value(revision);
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
    let help = "Steps of the system clock that were seen.";
    page.metric("edge_filter_clock_steps_total", Kind::Counter, help).value(engine.clock.steps());
    let help = "Longest turn of the upkeep task, seconds.";
    page.metric("edge_filter_upkeep_seconds_max", Kind::Gauge, help).value(engine.upkeep.longest_s());
    let help = "Most processor time of one turn of the upkeep task, seconds.";
    page.metric("edge_filter_upkeep_cpu_seconds_max", Kind::Gauge, help).value(engine.upkeep.longest_cpu_s());
    page.metric("edge_filter_build_info", Kind::Gauge, "1, with the version of the module.")
        .samples("version", [(env!("CARGO_PKG_VERSION"), 1)]);
}

#[cfg(test)]
mod tests {
    use edge_filter::{Action, List, Operation, Origin, Rule, Target};

    use super::*;

    #[test]
    fn every_metric_counts_what_its_name_says() {
        let engine = Engine::build([("EDGE_NATIVE".into(), "off".into())], 1_000_000).unwrap();
        let blocked = ["192.0.2.0/24", "198.51.100.0/24"].map(|net| Rule {
            target: Target::Client(List::Block, net.parse().unwrap()),
            action: Action::Drop,
            expires_at_s: 2000,
            origin: Origin::List("test".into()),
            reason: "".into(),
        });
        blocked.into_iter().for_each(|rule| engine.filter.submit(Operation::Put(rule), 1000).unwrap());
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
            "edge_filter_clock_steps_total 0",
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
