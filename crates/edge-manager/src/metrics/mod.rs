//! The figures of the manager, for Prometheus.

#[cfg(test)]
mod tests;

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::haproxy::Enforcement;
use crate::store::RuleCounts;
use crate::watch::Kind;

/// Upper ends of the buckets of times until a change is in force, seconds: 50 ms is what is promised.
const ENFORCEMENT_S: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Names and values.
type Labels<const N: usize> = [(&'static str, String); N];

/// What was counted since the start.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    changes: Family<Labels<1>, Counter>,
    enforcement: Histogram,
    not_enforced: Counter,
    reloads: Family<Labels<1>, Counter>,
    repairs: Counter,
    degraded: Family<Labels<1>, Gauge>,
    certificates: Family<Labels<1>, Counter>,
    expiry_warnings: Family<Labels<1>, Counter>,
    expiries: Family<Labels<1>, Gauge>,
    rules: Family<Labels<1>, Gauge>,
    revision: Gauge,
    listeners: Gauge,
}

/// What is looked up when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Rules of the record.
    pub rules: RuleCounts,
    /// Of the state directory.
    pub revision: u64,
    /// Who hears of events.
    pub listeners: usize,
    /// What something is wrong with.
    pub problems: Vec<Kind>,
    /// The certificates, and when they end, seconds since the Unix epoch.
    pub expiries: Vec<(String, u64)>,
}

impl Metrics {
    /// Of a process that has begun at this time.
    pub fn new(now_us: u64) -> Self {
        let mut registry = Registry::with_prefix("edge_manager");
        let metrics = Self {
            requests: Family::default(),
            changes: Family::default(),
            enforcement: Histogram::new(ENFORCEMENT_S),
            not_enforced: Counter::default(),
            reloads: Family::default(),
            repairs: Counter::default(),
            degraded: Family::default(),
            certificates: Family::default(),
            expiry_warnings: Family::default(),
            expiries: Family::default(),
            rules: Family::default(),
            revision: Gauge::default(),
            listeners: Gauge::default(),
            registry: Registry::default(),
        };
        let start = Gauge::<i64>::default();
        start.set(i64::try_from(Duration::from_micros(now_us).as_secs()).unwrap_or(i64::MAX));
        registry.register("requests", "Requests by method, route and status", metrics.requests.clone());
        registry.register("rule_changes", "Rules made and removed", metrics.changes.clone());
        let help = "From a change of the record until HAProxy had confirmed it";
        registry.register_with_unit("enforcement", help, Unit::Seconds, metrics.enforcement.clone());
        let help = "Changes that HAProxy had not confirmed when they were answered";
        registry.register("not_enforced", help, metrics.not_enforced.clone());
        registry.register("reloads", "Publications of a configuration", metrics.reloads.clone());
        let help = "Times that all rules were written anew, since files or workers did not have them";
        registry.register("rules_repairs", help, metrics.repairs.clone());
        let help = "1 where something is wrong with HAProxy or with the rules that it has: /health says what";
        registry.register("degraded", help, metrics.degraded.clone());
        let help = "Certificates that were got, or were not";
        registry.register("certificate_orders", help, metrics.certificates.clone());
        let help = "Warnings of the end of a certificate, by the days before it";
        registry.register("certificate_warnings", help, metrics.expiry_warnings.clone());
        let help = "The end of each certificate, since the Unix epoch";
        registry.register_with_unit("certificate_expiry_time", help, Unit::Seconds, metrics.expiries.clone());
        registry.register("rules", "Rules of the record, ended ones too", metrics.rules.clone());
        registry.register("revision", "Revision of the state directory", metrics.revision.clone());
        registry.register("event_listeners", "Who hears of events", metrics.listeners.clone());
        let help = "When this process began, since the Unix epoch";
        registry.register_with_unit("process_start_time", help, Unit::Seconds, start);
        Self { registry, ..metrics }
    }

    /// Counts a request. `route` is the pattern of its path, or a word for all paths that have none.
    pub fn count_request(&self, method: &str, route: &str, status: u16) {
        // Whoever asks must not make series.
        let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        let method = if known.contains(&method) { method } else { "other" };
        let labels =
            [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts rules that were made and removed.
    pub fn count_rules(&self, made: usize, removed: usize) {
        for (change, count) in [("made", made), ("removed", removed)] {
            self.changes.get_or_create(&[("change", change.to_owned())]).inc_by(count as u64);
        }
    }

    /// Counts a change of the record: how long it took until it was, or was not, in force.
    pub fn count_enforcement(&self, enforcement: &Enforcement, took: Duration) {
        match enforcement {
            Enforcement::InForce => self.enforcement.observe(took.as_secs_f64()),
            Enforcement::StoredNotEnforced { .. } => {
                self.not_enforced.inc();
            }
        }
    }

    /// Counts a publication of a configuration, which was done or was refused.
    pub fn count_reload(&self, is_done: bool) {
        let result = if is_done { "done" } else { "failed" };
        self.reloads.get_or_create(&[("result", result.to_owned())]).inc();
    }

    /// Counts that all rules were written anew, since something was damaged.
    pub fn count_repair(&self) {
        self.repairs.inc();
    }

    /// Counts a certificate that was got, or was not.
    pub fn count_certificate(&self, is_done: bool) {
        let result = if is_done { "done" } else { "failed" };
        self.certificates.get_or_create(&[("result", result.to_owned())]).inc();
    }

    /// Counts a warning so many days before the end of a certificate.
    pub fn count_expiry_warning(&self, days: u32) {
        self.expiry_warnings.get_or_create(&[("days", days.to_string())]).inc();
    }

    /// The OpenMetrics text.
    ///
    /// # Errors
    /// None: there is room for it.
    pub fn text(&self, state: &State) -> Result<String, std::fmt::Error> {
        let State {
            rules: RuleCounts { allow, block, resource },
            revision,
            listeners,
            ref problems,
            ref expiries,
        } = *state;
        for kind in Kind::ALL {
            let about = [("about", kind.as_str().to_owned())];
            self.degraded.get_or_create(&about).set(problems.contains(&kind).into());
        }
        for (kind, count) in [("allow", allow), ("block", block), ("resource", resource)] {
            self.rules.get_or_create(&[("kind", kind.to_owned())]).set(count.cast_signed());
        }
        self.revision.set(revision.cast_signed());
        self.listeners.set(listeners as i64);
        // Those that are gone go.
        self.expiries.clear();
        for (name, at_s) in expiries {
            self.expiries.get_or_create(&[("certificate", name.clone())]).set(at_s.cast_signed());
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
