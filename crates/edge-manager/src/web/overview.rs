//! What an operator opens at three in the morning.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::error::PageError;
use super::frame::{Frame, html};
use super::moment::Moment;
use super::numbers::grouped;
use super::pages::Pages;
use super::plot::Plot;
use super::visit::Visit;
use crate::access::Role;
use crate::api::App;
use crate::clock::now_s;
use crate::haproxy;
use crate::store::{AuditEntry, AuditSelection, CertificateRow, RuleCounts, StoreError};
use crate::traffic::{Sample, Series, Top, WINDOW_S, Worker};
use crate::watch::Kind;

/// Changes that are shown.
const CHANGES: u32 = 8;

/// Certificates that are shown.
const CERTIFICATES: usize = 8;

/// How near the end of a certificate is soon, days.
const SOON_DAYS: u64 = 30;

pub(super) fn pages() -> Pages {
    Pages::default().see("/", show)
}

#[derive(Template)]
#[template(path = "web/overview.html")]
struct Overview {
    frame: Frame,
    plots: Vec<Curve>,
    haproxy: Line,
    manager: ManagerState,
    workers: Vec<WorkerRow>,
    revision: String,
    counts: [(&'static str, &'static str, String); 3],
    top: Arc<Top>,
    ending: Vec<EndingRow>,
    more_ending: usize,
    changes: Vec<ChangeRow>,
    is_new: bool,
    /// For admins.
    warnings: Vec<String>,
}

/// A plot with its words.
struct Curve {
    name: &'static str,
    plot: Plot,
}

/// How something is, in words.
struct Line {
    is_good: bool,
    text: String,
    advice: &'static str,
}

struct ManagerState {
    /// Why HAProxy cannot find changes that the record has.
    problem: Option<String>,
    /// What else is wrong with HAProxy, or with the rules that it has.
    reasons: Vec<String>,
    version: &'static str,
    began: Moment,
}

/// A certificate that ends soon, or is not renewed as it should be.
struct EndingRow {
    name: String,
    ends: Moment,
    has_ended: bool,
    /// When it is renewed; nobody renews what an operator brought.
    renewed: Option<Moment>,
    problem: Option<String>,
}

struct WorkerRow {
    socket: String,
    error: Option<String>,
    problems: Vec<String>,
    revision: String,
    is_behind: bool,
    rules: String,
    learned: String,
    seen: Moment,
}

struct ChangeRow {
    at: Moment,
    who: String,
    operation: String,
    target: String,
    result: String,
    is_done: bool,
}

/// What is read of the record.
struct Recorded {
    revision: u64,
    counts: RuleCounts,
    changes: Vec<AuditEntry>,
    certificates: Vec<CertificateRow>,
}

async fn show(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let now_s = now_s();
    let recorded = app
        .reading(|app| {
            let recorded = app.store.read(|view| {
                Ok::<_, StoreError>(Recorded {
                    revision: view.revision()?.unwrap_or_default(),
                    // As in the metrics: those that have ended and are kept for an hour count too.
                    counts: view.rule_counts()?,
                    changes: view.audit(&AuditSelection::default(), CHANGES)?,
                    certificates: view.certificates()?,
                })
            })?;
            Ok(recorded)
        })
        .await?;
    let workers = app.traffic.workers();
    let RuleCounts { allow, block, resource } = recorded.counts;
    let mut ending = ending(recorded.certificates, now_s);
    let more_ending = ending.len().saturating_sub(CERTIFICATES);
    ending.truncate(CERTIFICATES);
    let page = Overview {
        warnings: if visit.may(Role::Admin) { app.warnings() } else { Vec::new() },
        frame: Frame::new(&visit, "/", "Overview"),
        plots: plots(&app.traffic.series(), now_s),
        haproxy: state(&app, &workers),
        manager: ManagerState {
            problem: app.rules.lack(),
            reasons: app.watch.problems().iter().map(ToString::to_string).collect(),
            version: env!("CARGO_PKG_VERSION"),
            began: Moment::new(app.began_at_s, now_s),
        },
        workers: workers.into_iter().map(|worker| row(worker, recorded.revision, now_s)).collect(),
        revision: grouped(recorded.revision),
        counts: [
            ("Blocked clients", "/clients", grouped(block)),
            ("Allowed clients", "/clients?kind=allow", grouped(allow)),
            ("Rules on resources", "/resources?origin=manual", grouped(resource)),
        ],
        top: app.traffic.top(),
        ending,
        more_ending,
        is_new: recorded.counts.all() == 0,
        changes: recorded.changes.into_iter().map(|entry| change(entry, now_s)).collect(),
    };
    Ok(html(StatusCode::OK, &page))
}

/// One of the values of a sample.
type Value = fn(&Sample) -> f32;

fn plots(series: &Series, now_s: u32) -> Vec<Curve> {
    let values: [(&str, Value); 3] = [
        ("Requests", |sample| sample.requests),
        ("Blocked", |sample| sample.refused),
        ("Learned", |sample| sample.learned),
    ];
    let curve = |(name, value): (&'static str, Value)| {
        let samples = series.samples().map(|sample| (sample.at_s, value(sample)));
        Curve { name, plot: Plot::new(name, samples, WINDOW_S, now_s) }
    };
    values.into_iter().map(curve).collect()
}

fn state(app: &App, workers: &[Worker]) -> Line {
    let (is_good, text, advice) = match app.sites.configuration().control() {
        haproxy::Control::Supervised(supervisor) => {
            let status = supervisor.status();
            let text = match status.state {
                haproxy::State::Running { .. } => "runs, watched by the manager".to_owned(),
                haproxy::State::Waiting => "waits for a configuration".to_owned(),
                haproxy::State::Starting => "is starting".to_owned(),
                haproxy::State::BackingOff { .. } => {
                    let how = status.last_exit.unwrap_or_else(|| "has ended".to_owned());
                    format!("{how}, and is started again")
                }
                haproxy::State::Stopped => "was stopped".to_owned(),
            };
            let runs = matches!(status.state, haproxy::State::Running { .. });
            let hangs = app.watch.problems().iter().any(|problem| problem.kind == Kind::Haproxy);
            let text = if runs && hangs { "does not answer".to_owned() } else { text };
            (runs && !hangs, text, "The manager's log has what HAProxy said.")
        }
        _ if app.sockets.is_empty() => {
            (false, "is not known".to_owned(), "Name its stats socket with --socket or EDGE_SOCKET.")
        }
        _ if workers.is_empty() => {
            (false, "has not been asked yet".to_owned(), "It is asked every 5 seconds.")
        }
        _ if workers.iter().any(|worker| worker.said.is_ok()) => (true, "runs".to_owned(), ""),
        _ => (false, "does not answer".to_owned(), "Start it; see that EDGE_SOCKET is its stats socket."),
    };
    Line { is_good, text, advice: if is_good { "" } else { advice } }
}

fn row(worker: Worker, recorded: u64, now_s: u32) -> WorkerRow {
    let (socket, seen) = (worker.socket.display().to_string(), Moment::new(worker.at_s, now_s));
    let none = || "\u{2013}".to_owned();
    match worker.said {
        Ok(status) => WorkerRow {
            socket,
            seen,
            error: None,
            revision: grouped(status.revision),
            // It was asked a while ago: what was changed since cannot be told of it.
            is_behind: status.revision < worker.expected || status.revision > recorded,
            rules: grouped(status.rules.allow + status.rules.block + status.rules.resource),
            learned: grouped(status.rules.learned),
            problems: status.state.map(|state| state.problems).unwrap_or_default(),
        },
        Err(error) => WorkerRow {
            socket,
            seen,
            error: Some(error),
            revision: none(),
            is_behind: false,
            rules: none(),
            learned: none(),
            problems: Vec::new(),
        },
    }
}

/// What ends soon or has a problem, the first to end first.
fn ending(mut certificates: Vec<CertificateRow>, now_s: u32) -> Vec<EndingRow> {
    let soon_s = u64::from(now_s) + SOON_DAYS * 86_400;
    certificates.retain(|row| row.expires_at_s <= soon_s || row.problem.is_some());
    certificates.sort_by_key(|row| row.expires_at_s);
    let moment = |at_s: u64| Moment::new(at_s, now_s);
    let row = |row: CertificateRow| EndingRow {
        name: row.names.primary().to_owned(),
        ends: moment(row.expires_at_s),
        has_ended: row.expires_at_s <= now_s.into(),
        renewed: row.retry_at_s.or(row.renew_at_s).filter(|_| row.proof.is_some()).map(moment),
        problem: row.problem,
    };
    certificates.into_iter().map(row).collect()
}

fn change(entry: AuditEntry, now_s: u32) -> ChangeRow {
    ChangeRow {
        at: Moment::new(crate::clock::seconds(entry.at_us), now_s),
        who: entry.caller,
        operation: entry.operation,
        target: entry.target,
        is_done: entry.result == crate::store::DONE,
        result: entry.result,
    }
}
