//! Certificates: which there are, when they end, and their files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::certificate_forms::Typed;
use super::error::PageError;
use super::extract::Asked;
use super::frame::{Frame, html};
use super::link::link;
use super::moment::Moment;
use super::pages::Pages;
use super::visit::Visit;
use crate::access::Role;
use crate::api::{App, CertificatePart, certificate_file};
use crate::certificates::{KeyKinds, Proof, Step};
use crate::clock::now_s;
use crate::site::DomainInput;
use crate::store::{CertificateRow, OrderRow, StoreError};

/// Certificates of a page.
const PAGE: usize = 50;

/// Most domains without a certificate that are named.
const MAX_BARE: usize = 20;

/// From how many days before its end on a certificate stands out: the last of the warnings before it is serious.
const SOON_S: u64 = 7 * 86_400;

pub(super) fn pages() -> Pages {
    Pages::default()
        .see("/certificates", list)
        .see("/certificates/chain", chain)
        .see_as(Role::Admin, "/certificates/key", key)
        .see_as(Role::Admin, "/certificates/whole", whole)
}

/// Which certificates are shown, and what the form begins with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    q: String,
    /// How many come before.
    after: usize,
    /// For which domains one is to be requested.
    names: String,
}

#[derive(Template)]
#[template(path = "web/certificates.html")]
struct Certificates {
    frame: Frame,
    wanted: Wanted,
    rows: Vec<Row>,
    next: Option<String>,
    orders: Vec<Order>,
    /// Domains that are not served by TLS, and how many more there are.
    bare: Vec<String>,
    more_bare: usize,
    has_domains: bool,
    typed: Typed,
}

struct Row {
    name: String,
    /// The names that it is for.
    covers: Vec<String>,
    /// The domains that use it.
    serves: Vec<String>,
    keys: &'static str,
    source: Source,
    ends: Option<Moment>,
    end: End,
    renews: Option<Moment>,
    problem: Option<String>,
    retries: Option<Moment>,
    /// Whether its files can be had by its name.
    has_files: bool,
}

/// Where a certificate is from.
enum Source {
    /// It signs itself: it stands in until there is a real one.
    Itself,
    /// An ACME server.
    Server { issuer: String, proof: Proof },
    /// Somebody who brought it.
    Operator { issuer: String },
}

/// How near the end of a certificate is.
#[derive(PartialEq)]
enum End {
    Unknown,
    Over,
    Soon,
    Far,
}

/// An order that has not ended.
struct Order {
    name: String,
    names: String,
    step: &'static str,
    begun: Moment,
    /// Tries that failed, and when the next one is.
    failures: u32,
    retries: Option<Moment>,
    /// Whether it goes on when somebody says so.
    waits: bool,
}

/// A certificate of the record, or a file that a domain names.
#[derive(Default)]
struct Known {
    row: Option<CertificateRow>,
    serves: Vec<String>,
}

impl Known {
    fn name(&self) -> &str {
        let first = self.serves.first().map(String::as_str);
        self.row.as_ref().map(|row| row.names.primary()).or(first).unwrap_or_default()
    }

    /// Those that need somebody come first.
    fn order(&self) -> (bool, Option<u64>, &str) {
        let row = self.row.as_ref();
        (
            row.is_none_or(|row| row.problem.is_none()),
            row.filter(|row| row.problem.is_none()).map(|row| row.expires_at_s),
            self.name(),
        )
    }

    fn has(&self, text: &str) -> bool {
        let names = self.row.iter().flat_map(|row| row.names.all());
        names.chain(&self.serves).any(|name| name.contains(text))
    }
}

async fn list(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, PageError> {
    let typed = Typed::for_names(&wanted.names);
    shown(&app, &visit, wanted, typed).await
}

/// The page, with what was typed into its forms and what is wrong with that.
pub(super) async fn shown(
    app: &Arc<App>,
    visit: &Visit,
    wanted: Wanted,
    typed: Typed,
) -> Result<Response, PageError> {
    let (now_s, text, after) = (now_s(), wanted.q.trim().to_ascii_lowercase(), wanted.after);
    let read = app.reading(move |app| {
        let (rows, orders, domains) = app.store.read::<_, StoreError>(|view| {
            let domains = view.domains()?.into_iter().map(|recorded| recorded.domain);
            Ok((view.certificates()?, view.orders()?, domains.collect::<Vec<_>>()))
        })?;
        let mut known: Vec<_> =
            known(app, rows, &domains).into_iter().filter(|(_, known)| known.has(&text)).collect();
        known.sort_by(|(_, one), (_, other)| one.order().cmp(&other.order()));
        let has_more = known.len() > after.saturating_add(PAGE);
        let page = known.into_iter().skip(after).take(PAGE);
        let rows: Vec<Row> = page.map(|(path, known)| row(app, &path, known, &domains, now_s)).collect();
        Ok((rows, has_more, orders, domains))
    });
    let (rows, has_more, orders, domains) = read.await?;
    let behind = (wanted.after + PAGE).to_string();
    let all_bare = || domains.iter().filter(|domain| !domain.ssl_enabled);
    let status = typed.wrong.as_ref().map_or(StatusCode::OK, |wrong| wrong.status);
    let page = Certificates {
        frame: Frame::new(visit, "/certificates", "Certificates"),
        next: has_more.then(|| link("/certificates", &[("q", &*wanted.q), ("after", &*behind)])),
        rows,
        orders: orders_of(orders, now_s),
        more_bare: all_bare().count().saturating_sub(MAX_BARE),
        bare: all_bare().take(MAX_BARE).map(|domain| domain.domain.to_string()).collect(),
        has_domains: !domains.is_empty(),
        typed,
        wanted,
    };
    Ok(html(status, &page))
}

/// By the path that HAProxy is told.
fn known(app: &App, rows: Vec<CertificateRow>, domains: &[DomainInput]) -> BTreeMap<PathBuf, Known> {
    let mut found = BTreeMap::<PathBuf, Known>::new();
    for row in rows {
        found.insert(app.certificates.path(&row.names), Known { row: Some(row), serves: Vec::new() });
    }
    for domain in domains.iter().filter(|domain| domain.ssl_enabled) {
        if let Some(path) = &domain.ssl_cert_path {
            let path = PathBuf::from(path.to_string());
            found.entry(path).or_default().serves.push(domain.domain.to_string());
        }
    }
    found
}

fn row(app: &App, path: &std::path::Path, known: Known, domains: &[DomainInput], now_s: u32) -> Row {
    let name = known.name().to_owned();
    let leaves = app.certificates.leaves(path);
    let Known { row, serves } = known;
    let ends_s = leaves.iter().map(|leaf| leaf.not_after_s).min();
    let proof = row.as_ref().and_then(|row| row.proof);
    let issuer = || leaves.first().map(|leaf| leaf.issuer.clone()).unwrap_or_default();
    let source = match proof {
        _ if leaves.iter().any(|leaf| leaf.is_self_signed) => Source::Itself,
        Some(proof) => Source::Server { issuer: issuer(), proof },
        None => Source::Operator { issuer: issuer() },
    };
    let end = match ends_s {
        None => End::Unknown,
        Some(at_s) if at_s <= now_s.into() => End::Over,
        Some(at_s) if at_s <= u64::from(now_s) + SOON_S => End::Soon,
        Some(_) => End::Far,
    };
    let at = |at_s: u64| Moment::new(at_s, now_s);
    Row {
        has_files: end != End::Unknown
            && domains.iter().any(|domain| domain.domain.as_str() == name && domain.ssl_cert_path.is_some()),
        covers: leaves.into_iter().next().map(|leaf| leaf.names).unwrap_or_default(),
        keys: row.as_ref().map(|row| words(row.keys)).unwrap_or_default(),
        ends: ends_s.map(at),
        renews: row.as_ref().and_then(|row| row.renew_at_s).map(at),
        retries: row.as_ref().and_then(|row| row.retry_at_s).map(at),
        problem: row.and_then(|row| row.problem),
        name,
        serves,
        source,
        end,
    }
}

/// One for each certificate: keys of both kinds are ordered beside each other.
fn orders_of(rows: Vec<OrderRow>, now_s: u32) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::new();
    for row in rows {
        let name = row.names.primary();
        if orders.last().is_some_and(|order| order.name == name) {
            continue;
        }
        let waits = row.proof == Some(Proof::Manual) && row.step == Step::Ordered;
        let step = match row.step {
            _ if waits => "It waits for records in DNS.",
            Step::Begun => "It is to be made.",
            Step::Ordered => "The server has it, and looks at the proofs.",
            Step::Issued => "The certificate has come, and is put in its place.",
            Step::Installed => "The certificate is in its place; HAProxy is told of it.",
        };
        orders.push(Order {
            name: name.to_owned(),
            names: row.names.all().join(", "),
            step,
            begun: Moment::new(row.begun_at_s, now_s),
            failures: row.failures,
            retries: row.retry_at_s.map(|at_s| Moment::new(at_s, now_s)),
            waits,
        });
    }
    orders
}

fn words(keys: KeyKinds) -> &'static str {
    match keys {
        KeyKinds::Ecdsa => "ECDSA",
        KeyKinds::Rsa => "RSA",
        KeyKinds::Both => "ECDSA and RSA",
    }
}

impl Row {
    /// Whether it is for other names than the one that it is called by.
    fn is_for_more(&self) -> bool {
        self.covers.iter().any(|name| *name != self.name)
    }

    /// Whether other domains use it.
    fn has_others(&self) -> bool {
        self.serves.iter().any(|name| *name != self.name)
    }

    /// Whether the manager renews it.
    fn is_renewed(&self) -> bool {
        let is_by_hand = matches!(self.source, Source::Server { proof: Proof::Manual, .. });
        self.renews.is_some() && !is_by_hand
    }
}

/// A domain.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

async fn chain(
    State(app): State<Arc<App>>,
    Asked(Named { name }): Asked<Named>,
) -> Result<Response, PageError> {
    Ok(certificate_file(app, None, name, CertificatePart::Chain).await?)
}

async fn key(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(Named { name }): Asked<Named>,
) -> Result<Response, PageError> {
    Ok(certificate_file(app, Some(visit.caller), name, CertificatePart::Key).await?)
}

async fn whole(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(Named { name }): Asked<Named>,
) -> Result<Response, PageError> {
    Ok(certificate_file(app, Some(visit.caller), name, CertificatePart::Whole).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::{KeyKind, Names};

    fn known(name: &str, expires_at_s: u64, problem: Option<&str>) -> Known {
        let row = CertificateRow {
            names: Names::parse(&[name]).unwrap(),
            keys: KeyKinds::Ecdsa,
            proof: Some(Proof::Http),
            expires_at_s,
            renew_at_s: None,
            failures: 0,
            retry_at_s: None,
            problem: problem.map(ToOwned::to_owned),
            warned_days: None,
        };
        Known { row: Some(row), serves: Vec::new() }
    }

    #[test]
    fn what_needs_somebody_comes_first() {
        let foreign = Known { row: None, serves: vec!["d.example".to_owned()] };
        let mut all = [
            known("a.example", 30, None),
            known("b.example", 20, None),
            known("c.example", 40, Some("refused")),
            foreign,
        ];
        all.sort_by(|one, other| one.order().cmp(&other.order()));
        assert_eq!(all.each_ref().map(Known::name), ["c.example", "d.example", "b.example", "a.example"]);
    }

    #[test]
    fn an_order_with_two_keys_is_one_and_waits_only_for_an_operator() {
        let order = |name: &str, key, proof, step| OrderRow {
            names: Names::parse(&[name]).unwrap(),
            key,
            proof: Some(proof),
            begun_at_s: 0,
            step,
            url: None,
            failures: 0,
            retry_at_s: None,
        };
        let orders = orders_of(
            vec![
                order("a.example", KeyKind::Ecdsa, Proof::Http, Step::Ordered),
                order("a.example", KeyKind::Rsa, Proof::Http, Step::Begun),
                order("b.example", KeyKind::Ecdsa, Proof::Manual, Step::Ordered),
                order("c.example", KeyKind::Ecdsa, Proof::Manual, Step::Issued),
            ],
            0,
        );
        let seen: Vec<_> = orders.iter().map(|order| (&*order.name, order.waits)).collect();
        assert_eq!(seen, [("a.example", false), ("b.example", true), ("c.example", false)]);
    }
}
