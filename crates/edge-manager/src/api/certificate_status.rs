//! What is known of certificates.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{ApiError, App, Routes};
use crate::clock::{now_s, zoneless};
use crate::site::DomainInput;
use crate::store::CertificateRow;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(status)).reader(routes!(list))
}

/// The certificates of the domains that are served by TLS.
#[derive(Serialize, ToSchema)]
#[schema(as = CertificatesStatus)]
struct StatusAnswer {
    certificates: Vec<DomainStatus>,
}

/// The certificate of a domain.
#[derive(Serialize, ToSchema)]
struct DomainStatus {
    domain: String,
    /// Whether it is served by TLS.
    ssl_enabled: bool,
    /// What HAProxy is told for it.
    #[schema(required)]
    cert_path: Option<String>,
    /// Its end, in UTC; null where no certificate can be read.
    #[schema(required, example = "2024-12-31T23:59:59")]
    expires: Option<String>,
    /// Whole days until then; negative once it is over.
    #[schema(required)]
    days_until_expiry: Option<i64>,
}

/// See when certificates end
#[utoipa::path(get, path = "/api/certificates/status", tag = "certificates", responses(
    (status = 200, description = "The domains that are served by TLS", body = StatusAnswer)
))]
async fn status(State(app): State<Arc<App>>) -> Result<Json<StatusAnswer>, ApiError> {
    let certificates = app.reading(|app| {
        let domains = app.store.read(|view| view.domains())?.into_iter().map(|recorded| recorded.domain);
        let mut ends = HashMap::<PathBuf, Option<u64>>::new();
        let of = |domain: DomainInput| {
            let path = domain.ssl_cert_path.as_ref().map(|path| path.to_string());
            let end_s = path.as_ref().and_then(|path| {
                let path = PathBuf::from(path);
                let end =
                    |path: &Path| app.certificates.leaves(path).iter().map(|leaf| leaf.not_after_s).min();
                *ends.entry(path.clone()).or_insert_with(|| end(&path))
            });
            DomainStatus {
                domain: domain.domain.to_string(),
                ssl_enabled: domain.ssl_enabled,
                cert_path: path,
                expires: end_s.map(zoneless),
                days_until_expiry: end_s
                    .map(|end_s| (end_s.cast_signed() - i64::from(now_s())).div_euclid(DAY_S)),
            }
        };
        Ok(domains.filter(|domain| domain.ssl_enabled).map(of).collect())
    });
    Ok(Json(StatusAnswer { certificates: certificates.await? }))
}

/// A certificate that the manager keeps.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
struct CertificateJson {
    /// What it is called by: its first name.
    name: String,
    names: Vec<String>,
    /// `ecdsa`, `rsa` or `both`.
    key_type: &'static str,
    /// How control is proven: `http-01`, `dns-01` or `manual`; null of one that was brought.
    #[schema(required)]
    challenge: Option<&'static str>,
    /// Its end, seconds since the Unix epoch.
    expires_at_s: u64,
    /// When it is to be renewed, seconds since the Unix epoch; null where nobody does.
    #[schema(required)]
    renew_at_s: Option<u64>,
    /// Renewals that failed one after the other.
    failures: u32,
    /// Why the last one failed.
    #[schema(required)]
    problem: Option<String>,
}

impl From<CertificateRow> for CertificateJson {
    fn from(row: CertificateRow) -> Self {
        let CertificateRow { names, keys, proof, expires_at_s, renew_at_s, failures, problem, .. } = row;
        Self {
            name: names.primary().to_owned(),
            names: names.all().to_vec(),
            key_type: keys.name(),
            challenge: proof.map(|proof| proof.name()),
            expires_at_s,
            renew_at_s,
            failures,
            problem,
        }
    }
}

/// List the certificates that the manager keeps
#[utoipa::path(get, path = "/api/certificates", tag = "certificates", responses(
    (status = 200, description = "In the order of their names", body = [CertificateJson])
))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<CertificateJson>>, ApiError> {
    let rows = app.reading(|app| Ok(app.store.read(|view| view.certificates())?)).await?;
    Ok(Json(rows.into_iter().map(CertificateJson::from).collect()))
}
