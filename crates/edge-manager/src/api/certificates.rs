//! Certificates: getting, renewing and bringing them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::{Done, not_enforced, stored};
use super::error::ErrorBody;
use super::extract::JsonBody;
use super::issue::Issued;
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::certificates::{CertificateError, Names, Proof, Wish};
use crate::clock::zoneless;

/// Most certificates that are asked for at once.
const MAX_DOMAINS: usize = 100;

pub(super) fn routes() -> Routes {
    Routes::new()
        .admin(routes!(enable))
        .admin(routes!(bundle))
        .admin(routes!(request))
        .admin(routes!(renew))
        .admin(routes!(propose))
        .admin(routes!(verify))
}

impl From<CertificateError> for ApiError {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::Invalid(_) | CertificateError::Bundle(_) => Self::bad_request(error),
            // As older clients know it.
            CertificateError::UnknownDomain(_) => Self::not_found("Domain not found"),
            CertificateError::None(_) => Self::not_found(error),
            CertificateError::Busy(_) | CertificateError::Used(..) => Self::conflict(error),
            _ => Self::internal(error),
        }
    }
}

/// A domain.
#[derive(Deserialize, ToSchema)]
pub(super) struct DomainRequest {
    /// Its name, `*.` before it for every name below.
    #[schema(required = true, nullable = false)]
    pub(super) domain: Option<String>,
}

impl DomainRequest {
    pub(super) fn names(self) -> Result<Names, CertificateError> {
        Names::parse(&self.domain.into_iter().collect::<Vec<_>>())
    }
}

/// It was done.
#[derive(Serialize, ToSchema)]
#[schema(as = CertificateDone)]
pub(super) struct Success {
    /// Always `success`.
    pub(super) status: &'static str,
    /// Only where HAProxy does not use it yet: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

impl From<Issued> for Success {
    fn from(issued: Issued) -> Self {
        Self { status: "success", message: not_enforced(&issued.enforcement) }
    }
}

/// Serve a domain by TLS, with a certificate that is got for it
#[utoipa::path(post, path = "/api/ssl", tag = "certificates", request_body = DomainRequest, responses(
    (status = 200, description = "It has a certificate", body = Success),
    (status = 404, description = "There is no such domain", body = ErrorBody),
    (status = 409, description = "One is being got already", body = ErrorBody)
))]
async fn enable(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<DomainRequest>,
) -> Result<Json<Success>, ApiError> {
    let names = request.names()?;
    let issued = app.ordering(move |app| {
        let wish = app.certificates.wish(names, None, None)?;
        Ok(app.issue(&caller, &wish, false)?)
    });
    Ok(Json(issued.await?.into()))
}

/// Several names in one certificate.
#[derive(Deserialize, ToSchema)]
struct BundleRequest {
    /// The domain that it is called by.
    #[schema(required = true, nullable = false)]
    primary: Option<String>,
    /// More names.
    sans: Option<Vec<String>>,
}

/// Get one certificate for several names
#[utoipa::path(post, path = "/api/ssl/bundle", tag = "certificates", request_body = BundleRequest, responses(
    (status = 200, description = "The domains among the names have it", body = Success),
    (status = 404, description = "The primary name is no domain", body = ErrorBody),
    (status = 409, description = "One is being got already", body = ErrorBody)
))]
async fn bundle(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<BundleRequest>,
) -> Result<Json<Success>, ApiError> {
    let BundleRequest { primary, sans } = request;
    let primary = primary.ok_or_else(|| ApiError::bad_request("primary: it is missing"))?;
    let names: Vec<String> = std::iter::once(primary).chain(sans.unwrap_or_default()).collect();
    let names = Names::parse(&names)?;
    let issued = app.ordering(move |app| {
        let wish = app.certificates.wish(names, None, None)?;
        Ok(app.issue(&caller, &wish, false)?)
    });
    Ok(Json(issued.await?.into()))
}

/// Certificates that are wanted, one for each domain.
#[derive(Deserialize, ToSchema)]
struct CertificatesRequest {
    /// The domains.
    #[schema(required = true, nullable = false)]
    domains: Option<Vec<String>>,
    /// Whether to get new ones in place of those that last.
    force_renewal: Option<bool>,
    /// Whether each is for `www.` of its domain too.
    include_www: Option<bool>,
    /// `ecdsa`, `rsa`, or `both` side by side; by default as is set.
    key_type: Option<String>,
    /// How control is proven: `http-01` or `dns-01`; by default as is set.
    challenge: Option<String>,
}

/// What became of each.
#[derive(Serialize, ToSchema)]
struct CertificatesAnswer {
    /// Always `completed`.
    status: &'static str,
    summary: Summary,
    results: Vec<DomainResult>,
}

/// How many there are of each kind.
#[derive(Serialize, ToSchema)]
#[schema(as = CertificatesSummary)]
struct Summary {
    total: usize,
    successful: usize,
    failed: usize,
}

/// What became of one.
#[derive(Clone, Serialize, ToSchema)]
struct DomainResult {
    /// As it was sent.
    domain: String,
    /// `success` or `error`.
    status: &'static str,
    /// In words.
    message: String,
    /// What HAProxy is told for it; null where there is none.
    #[schema(required)]
    cert_path: Option<String>,
    /// The names that it is for.
    domains_covered: Vec<String>,
}

/// Get certificates, one for each domain
///
/// One that lasts is kept, unless `force_renewal`. A domain that fails keeps what it has, and does not keep others from theirs.
#[utoipa::path(post, path = "/api/certificates/request", tag = "certificates", request_body = CertificatesRequest, responses(
    (status = 200, description = "All of them have one", body = CertificatesAnswer),
    (status = 207, description = "Some of them have one", body = CertificatesAnswer),
    (status = 500, description = "None of them has", body = CertificatesAnswer)
))]
async fn request(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<CertificatesRequest>,
) -> Result<(StatusCode, Json<CertificatesAnswer>), ApiError> {
    let CertificatesRequest { domains, force_renewal, include_www, key_type, challenge } = request;
    let domains = domains.unwrap_or_default();
    if domains.is_empty() || domains.len() > MAX_DOMAINS {
        return Err(ApiError::bad_request(format_args!("domains: {}: 1 to {MAX_DOMAINS}", domains.len())));
    }
    let keys = word("key_type", key_type, |text| text.parse())?;
    let proof = word("challenge", challenge, Proof::unattended)?;
    let (is_forced, has_www) = (force_renewal.unwrap_or(false), include_www.unwrap_or(false));
    let one = move |app: &App, caller: &Caller, domain: String| {
        let wish = Names::parse(&[&domain]).and_then(|names| {
            let names = if has_www { names.with_www() } else { names };
            app.certificates.wish(names, keys, proof)
        });
        let issued = wish
            .as_ref()
            .map_err(ToString::to_string)
            .and_then(|wish| app.issue(caller, wish, is_forced).map_err(|error| error.to_string()));
        result(app, domain, wish.ok().as_ref(), issued)
    };
    // Side by side, since each waits for the server; each to its end, even where the client goes away. One that is named twice
    // is got once.
    let key =
        |domain: &String| Names::parse(&[domain]).map_or_else(|_| domain.clone(), |names| names.to_string());
    let mut tasks = HashMap::new();
    for domain in &domains {
        tasks.entry(key(domain)).or_insert_with(|| {
            let (app, caller, domain) = (app.clone(), caller.clone(), domain.clone());
            let work = async move { app.ordering(move |app| Ok(one(app, &caller, domain))).await };
            tokio::spawn(work.in_current_span())
        });
    }
    let mut done = HashMap::new();
    for (domain, task) in tasks {
        // A panic has been logged.
        done.insert(domain, task.await.map_err(ApiError::internal)??);
    }
    let result = |domain: String| {
        let result = done.get(&key(&domain))?.clone();
        Some(DomainResult { domain, ..result })
    };
    let results: Vec<DomainResult> = domains.into_iter().filter_map(result).collect();
    let successful = results.iter().filter(|result| result.status == "success").count();
    let total = results.len();
    let code = match successful {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        count if count == total => StatusCode::OK,
        _ => StatusCode::MULTI_STATUS,
    };
    let summary = Summary { total, successful, failed: total - successful };
    Ok((code, Json(CertificatesAnswer { status: "completed", summary, results })))
}

fn word<T>(
    field: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, ApiError> {
    let parse = |text: String| {
        let shown: String = text.chars().take(64).collect();
        parse(&text).map_err(|why| ApiError::bad_request(format_args!("{field}: {shown:?}: {why}")))
    };
    text.map(parse).transpose()
}

fn result(app: &App, domain: String, wish: Option<&Wish>, issued: Result<Issued, String>) -> DomainResult {
    match issued {
        Ok(Issued { names, path, lasts_until_s, enforcement }) => {
            let message = match lasts_until_s {
                Some(at_s) => format!("Certificate is valid until {}", zoneless(at_s)),
                None => "Certificate obtained".to_owned(),
            };
            DomainResult {
                domain,
                status: "success",
                message: stored(message, &enforcement),
                cert_path: Some(path.display().to_string()),
                domains_covered: names.all().to_vec(),
            }
        }
        Err(message) => {
            // What is in its place still.
            let path = wish.map(|wish| app.certificates.path(&wish.names));
            let leaf = path.as_ref().and_then(|path| app.certificates.leaves(path).into_iter().next());
            DomainResult {
                domain,
                status: "error",
                message,
                cert_path: path.filter(|_| leaf.is_some()).map(|path| path.display().to_string()),
                domains_covered: leaf.map(|leaf| leaf.names).unwrap_or_default(),
            }
        }
    }
}

/// Renew the certificates that are due
#[utoipa::path(post, path = "/api/certificates/renew", tag = "certificates", responses(
    (status = 200, description = "They are renewed, or there was none to renew", body = Done)
))]
async fn renew(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Done>, ApiError> {
    let renewed = app.ordering(move |app| Ok(app.renew_certificates(&caller, false)?)).await?;
    let failed: Vec<String> =
        renewed.iter().filter_map(|renewed| renewed.as_ref().err()).map(ToString::to_string).collect();
    if !failed.is_empty() {
        return Err(ApiError::internal(failed.join("; ")));
    }
    let message = match renewed.into_iter().flatten().next() {
        Some(issued) => stored("Certificates renewed and HAProxy reloaded".to_owned(), &issued.enforcement),
        None => "No certificates needed renewal".to_owned(),
    };
    Ok(Json(Done::new(message)))
}

/// What is to be put into DNS.
#[derive(Serialize, ToSchema)]
struct Proposal {
    /// Always `success`.
    status: &'static str,
    /// The domain.
    domain: String,
    /// The records; none where control was proven lately.
    records: Vec<TextRecord>,
    /// What to do.
    message: String,
}

/// A TXT record.
#[derive(Serialize, ToSchema)]
struct TextRecord {
    /// Its name.
    #[schema(example = "_acme-challenge.shop.example")]
    name: String,
    /// Always `TXT`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its value.
    value: String,
}

/// Order a certificate whose proofs somebody puts into DNS
#[utoipa::path(post, path = "/api/ssl/dns-challenge/request", tag = "certificates", request_body = DomainRequest, responses(
    (status = 200, description = "The records to put into DNS; then ask for `verify`", body = Proposal),
    (status = 404, description = "There is no such domain", body = ErrorBody),
    (status = 409, description = "One is being got already", body = ErrorBody)
))]
async fn propose(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<DomainRequest>,
) -> Result<Json<Proposal>, ApiError> {
    let names = request.names()?;
    let domain = names.primary().to_owned();
    let records = app.ordering(move |app| Ok(app.propose_certificate(&caller, names)?)).await?;
    let message = match records.len() {
        0 => "Nothing is to be put into DNS; verify",
        _ => "Put the records into DNS, and verify when all its servers have them",
    };
    let record = |(name, value)| TextRecord { name, kind: "TXT", value };
    Ok(Json(Proposal {
        status: "success",
        domain,
        records: records.into_iter().map(record).collect(),
        message: message.to_owned(),
    }))
}

/// Get the certificate whose proofs are in DNS now
#[utoipa::path(post, path = "/api/ssl/dns-challenge/verify", tag = "certificates", request_body = DomainRequest, responses(
    (status = 200, description = "The domain has it", body = Success),
    (status = 404, description = "None was ordered", body = ErrorBody),
    (status = 409, description = "One is being got already", body = ErrorBody)
))]
async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<DomainRequest>,
) -> Result<Json<Success>, ApiError> {
    let names = request.names()?;
    let issued = app.ordering(move |app| Ok(app.go_on_with_certificate(&caller, &names)?)).await?;
    Ok(Json(issued.into()))
}
