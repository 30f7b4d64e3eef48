//! The files of certificates: brought, taken away, removed. Whoever gets a private key is in the audit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::certificates::{DomainRequest, Success};
use super::error::ErrorBody;
use super::extract::{JsonBody, Segments};
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::certificates::{Bundle, Files, Names};
use crate::clock::now_us;
use crate::store::{DONE, Deed, StoreError};

pub(super) fn routes() -> Routes {
    Routes::new()
        .admin(routes!(whole))
        .admin(routes!(key))
        .reader(routes!(chain))
        .admin(routes!(upload))
        .admin(routes!(remove))
}

/// What of a certificate is wanted.
#[derive(Clone, Copy)]
pub(crate) enum CertificatePart {
    /// The chain and the key, as HAProxy reads them.
    Whole,
    /// The private key.
    Key,
    /// The certificate with those who signed it.
    Chain,
}

/// Get the certificate of a domain with its chain and its private key
#[utoipa::path(get, path = "/api/certificates/{name}/download", tag = "certificates", params(("name" = String, Path)), responses(
    (status = 200, description = "PEM, as HAProxy reads it", body = String, content_type = "application/x-pem-file"),
    (status = 404, description = "There is no such domain, or it has no certificate", body = ErrorBody)
))]
async fn whole(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    answer(app, Some(caller), name, CertificatePart::Whole).await
}

/// Get the private key of a domain's certificate
#[utoipa::path(get, path = "/api/certificates/{name}/key", tag = "certificates", params(("name" = String, Path)), responses(
    (status = 200, description = "PEM", body = String, content_type = "application/x-pem-file"),
    (status = 404, description = "There is no such domain, or it has no certificate", body = ErrorBody)
))]
async fn key(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    answer(app, Some(caller), name, CertificatePart::Key).await
}

/// Get the certificate of a domain with its chain
#[utoipa::path(get, path = "/api/certificates/{name}/cert", tag = "certificates", params(("name" = String, Path)), responses(
    (status = 200, description = "PEM", body = String, content_type = "application/x-pem-file"),
    (status = 404, description = "There is no such domain, or it has no certificate", body = ErrorBody)
))]
async fn chain(State(app): State<Arc<App>>, Segments(name): Segments<String>) -> Result<Response, ApiError> {
    answer(app, None, name, CertificatePart::Chain).await
}

/// The files of a domain's certificate. `caller`: who gets a key, for the audit.
pub(crate) async fn answer(
    app: Arc<App>,
    caller: Option<Caller>,
    name: String,
    part: CertificatePart,
) -> Result<Response, ApiError> {
    let (name, text) = app
        .blocking(move |app| {
            let began = Instant::now();
            let no_domain = || ApiError::not_found("Domain not found");
            let name = Names::parse(&[&name]).map_err(|_| no_domain())?.primary().to_owned();
            let domains = app.store.read::<_, StoreError>(|view| view.domains())?;
            let domain = domains.into_iter().map(|recorded| recorded.domain);
            let domain =
                domain.into_iter().find(|domain| domain.domain.as_str() == name).ok_or_else(no_domain)?;
            let no_certificate = || ApiError::not_found("Certificate not found");
            let path = domain.ssl_cert_path.ok_or_else(no_certificate)?;
            let bundles = bundles(Path::new(path.as_str()))?;
            if bundles.is_empty() {
                return Err(no_certificate());
            }
            if let Some(caller) = &caller {
                let operation = "certificate.key";
                let (at_us, took) = (now_us(), began.elapsed());
                let deed = Deed { caller, operation, target: &name, result: DONE, at_us, took };
                // Nobody gets a key whose name is not noted.
                app.store.write::<_, StoreError>(|record| record.note(&deed))?;
            }
            let text = bundles.iter().map(|bundle| match part {
                CertificatePart::Whole => bundle.pem(),
                CertificatePart::Key => bundle.key().to_owned(),
                CertificatePart::Chain => bundle.chain().to_owned(),
            });
            Ok((name, text.collect::<String>()))
        })
        .await?;
    let ending = match part {
        CertificatePart::Whole => "pem",
        CertificatePart::Key => "key",
        CertificatePart::Chain => "crt",
    };
    // Names are of letters, digits, dots, `-` and `_`, but for the asterisk.
    let disposition = format!("attachment; filename=\"{}.{ending}\"", name.replace('*', "_"));
    let headers = [
        (header::CONTENT_TYPE, "application/x-pem-file".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, text).into_response())
}

/// Those in the files that HAProxy reads for this path.
fn bundles(path: &Path) -> Result<Vec<Bundle>, ApiError> {
    let read = |file: PathBuf| {
        let text = Files::read(&file)
            .map_err(|error| ApiError::internal(format_args!("{}: {error}", file.display())))?;
        Bundle::parse(&text).map_err(|error| ApiError::internal(format_args!("{}: {error}", file.display())))
    };
    Files::in_force(path).into_iter().map(read).collect()
}

/// A certificate that somebody bought.
#[derive(Deserialize, ToSchema)]
#[schema(as = CertificateUpload)]
struct Upload {
    /// The domain that it is for.
    #[schema(required = true, nullable = false)]
    domain: Option<String>,
    /// PEM: the domain's own, then who signed it.
    #[schema(required = true, nullable = false)]
    certificate: Option<String>,
    /// PEM of its private key.
    #[schema(required = true, nullable = false)]
    key: Option<String>,
}

/// Bring a certificate with its key
///
/// It takes the place of what the domain has, and is not renewed by the manager.
#[utoipa::path(post, path = "/api/certificates/upload", tag = "certificates", request_body = Upload, responses(
    (status = 200, description = "The domain has it", body = Success),
    (status = 400, description = "It is no certificate for the domain: what is wrong", body = ErrorBody),
    (status = 404, description = "There is no such domain", body = ErrorBody),
    (status = 409, description = "One is being got for it", body = ErrorBody)
))]
async fn upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(upload): JsonBody<Upload>,
) -> Result<Json<Success>, ApiError> {
    let Upload { domain, certificate, key } = upload;
    let names = DomainRequest { domain }.names()?;
    let missing = |field| move || ApiError::bad_request(format_args!("{field}: it is missing"));
    let chain = certificate.ok_or_else(missing("certificate"))?;
    let text = [chain, key.ok_or_else(missing("key"))?].join("\n");
    let taken = app.ordering(move |app| Ok(app.take_certificate(&caller, names, &text)?)).await?;
    Ok(Json(taken.into()))
}

/// Remove a certificate with its keys
///
/// For one that no domain names any more; `name` is its first name.
#[utoipa::path(delete, path = "/api/certificates/{name}", tag = "certificates", params(("name" = String, Path)), responses(
    (status = 200, description = "It is gone", body = Success),
    (status = 404, description = "There is no such certificate", body = ErrorBody),
    (status = 409, description = "A domain names it, or one is being got for it", body = ErrorBody)
))]
async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<Success>, ApiError> {
    let names = Names::parse(&[&name])?;
    app.blocking(move |app| Ok(app.remove_certificate(&caller, &names)?)).await?;
    Ok(Json(Success { status: "success", message: None }))
}
