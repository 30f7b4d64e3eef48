//! Getting, renewing and bringing certificates.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::certificates::{Wanted, shown};
use super::error::PageError;
use super::extract::Filled;
use super::moment::Moment;
use super::pages::Pages;
use super::session::Notice;
use super::visit::Visit;
use super::words::of_change;
use crate::access::Role;
use crate::api::{ApiError, App, Issued};
use crate::certificates::{CertificateError, Names};
use crate::clock::now_s;
use crate::haproxy::Enforcement;
use crate::store::StoreError;

/// Longest form, bytes: a chain and a key have 128 KiB at most, and three bytes for some of theirs where they are escaped.
const MAX_FORM_BYTES: usize = 512 << 10;

pub(super) fn pages() -> Pages {
    Pages::default()
        .change(Role::Admin, "/certificates/request", MAX_FORM_BYTES, request)
        .change(Role::Admin, "/certificates/renew", MAX_FORM_BYTES, renew)
        .change(Role::Admin, "/certificates/renew-due", MAX_FORM_BYTES, renew_due)
        .change(Role::Admin, "/certificates/upload", MAX_FORM_BYTES, upload)
        .change(Role::Admin, "/certificates/propose", MAX_FORM_BYTES, propose)
        .change(Role::Admin, "/certificates/verify", MAX_FORM_BYTES, verify)
}

/// What was typed into the forms of the page, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Typed {
    pub(super) request: Request,
    pub(super) upload: Upload,
    /// The names whose proofs somebody puts into DNS.
    pub(super) by_hand: String,
    /// The records to put there, for the domain that they prove.
    pub(super) proposal: Option<Proposal>,
    pub(super) wrong: Option<Wrong>,
}

/// Which form cannot be taken, and why.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) form: &'static str,
    pub(super) why: String,
    pub(super) status: StatusCode,
}

/// Records that prove control: names and values.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) name: String,
    pub(super) records: Vec<(String, String)>,
}

impl Typed {
    /// The form begins with these names.
    pub(super) fn for_names(names: &str) -> Self {
        let request = Request { names: names.to_owned(), ..Request::default() };
        Self { request, ..Self::default() }
    }

    fn wrong(self, form: &'static str, error: &ApiError) -> Self {
        let wrong = Wrong { form, why: error.to_string(), status: error.status() };
        Self { wrong: Some(wrong), ..self }
    }

    /// Why this form cannot be taken.
    pub(super) fn wrong_at(&self, form: &str) -> Option<&str> {
        self.wrong.as_ref().filter(|wrong| wrong.form == form).map(|wrong| &*wrong.why)
    }
}

/// A certificate that is wanted, as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    pub(super) names: String,
    pub(super) www: String,
    pub(super) keys: String,
    pub(super) proof: String,
    pub(super) force: String,
}

/// One that somebody has. The key is not given back to the browser.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Upload {
    pub(super) domain: String,
    pub(super) certificate: String,
    key: Secret,
}

/// What is typed and told to nobody.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(a secret)")
    }
}

/// Names, apart by spaces, commas or lines.
fn names(text: &str) -> Result<Names, CertificateError> {
    let texts = text.split(|at: char| at.is_whitespace() || at == ',').filter(|text| !text.is_empty());
    Names::parse(&texts.collect::<Vec<_>>())
}

/// For whoever looks at the page: what to do next.
fn told(error: CertificateError) -> ApiError {
    match error {
        CertificateError::UnknownDomain(name) => ApiError::not_found(format_args!(
            "{name} is no domain that HAProxy serves: add it among the domains first"
        )),
        error => error.into(),
    }
}

/// A word of a choice; nothing where none was made.
fn word<T: std::str::FromStr<Err = &'static str>>(text: &str) -> Result<Option<T>, ApiError> {
    Some(text).filter(|text| !text.is_empty()).map(str::parse).transpose().map_err(ApiError::bad_request)
}

fn of_issue(issued: &Issued) -> Notice {
    let name = issued.names.primary();
    let done = match issued.lasts_until_s {
        Some(at_s) => {
            let Moment { exact, words } = Moment::new(at_s, now_s());
            format!("The certificate for {name} lasts until {exact} ({words}): none was ordered.")
        }
        None => format!("The certificate for {name} is in its place."),
    };
    of_change(&done, &issued.enforcement)
}

async fn request(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(request): Filled<Request>,
) -> Result<Response, PageError> {
    match requested(&app, &visit, &request).await {
        Ok(issued) => Ok(visit.leave("/certificates", of_issue(&issued))),
        Err(error) => {
            let typed = Typed { request, ..Typed::default() }.wrong("request", &error);
            shown(&app, &visit, Wanted::default(), typed).await
        }
    }
}

async fn requested(app: &Arc<App>, visit: &Visit, request: &Request) -> Result<Issued, ApiError> {
    let (keys, proof) = (word(&request.keys)?, word(&request.proof)?);
    let names = names(&request.names)?;
    let names = if request.www.is_empty() { names } else { names.with_www() };
    let (caller, is_forced) = (visit.caller.clone(), !request.force.is_empty());
    let issue = app.ordering(move |app| {
        let wish = app.certificates.wish(names, keys, proof)?;
        app.issue(&caller, &wish, is_forced).map_err(told)
    });
    issue.await
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

async fn renew(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(Named { name }): Filled<Named>,
) -> Result<Response, PageError> {
    let caller = visit.caller.clone();
    let renewed = app.ordering(move |app| {
        let row = app.store.read::<_, StoreError>(|view| view.certificate(&name))?;
        let row = row.ok_or(CertificateError::None(name))?;
        let wish = app.certificates.wish(row.names, Some(row.keys), row.proof)?;
        app.issue(&caller, &wish, true).map_err(told)
    });
    Ok(visit.leave(
        "/certificates",
        match renewed.await {
            Ok(issued) => of_issue(&issued),
            Err(error) => of_failure(&error),
        },
    ))
}

/// The one before stays.
fn of_failure(error: &dyn std::fmt::Display) -> Notice {
    Notice::warning(format!("There is no new certificate, and what HAProxy uses stays: {error}"))
}

async fn renew_due(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let caller = visit.caller.clone();
    let renewed = app.ordering(move |app| Ok(app.renew_certificates(&caller, false)?)).await?;
    Ok(visit.leave("/certificates", of_renewals(renewed)))
}

fn of_renewals(renewed: Vec<Result<Issued, CertificateError>>) -> Notice {
    if renewed.is_empty() {
        return Notice::done("No certificate is due.");
    }
    let (mut names, mut failures, mut enforcement) = (Vec::new(), Vec::new(), Enforcement::InForce);
    for renewed in renewed {
        match renewed {
            Ok(issued) => {
                names.push(issued.names.primary().to_owned());
                if issued.enforcement != Enforcement::InForce {
                    enforcement = issued.enforcement;
                }
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    let done = match names.is_empty() {
        true => String::new(),
        false => format!("Renewed: {}.", names.join(", ")),
    };
    match failures.is_empty() {
        true => of_change(&done, &enforcement),
        false => Notice::warning(format!("{done} Not renewed: {}", failures.join("; ")).trim_start()),
    }
}

async fn upload(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(upload): Filled<Upload>,
) -> Result<Response, PageError> {
    let (caller, copy) = (visit.caller.clone(), upload.clone());
    let taken = app.ordering(move |app| {
        let Upload { domain, certificate, key } = copy;
        let names = names(&domain)?;
        app.take_certificate(&caller, names, &[certificate, key.0].join("\n")).map_err(told)
    });
    match taken.await {
        Ok(issued) => Ok(visit.leave("/certificates", of_issue(&issued))),
        Err(error) => {
            let typed = Typed { upload, ..Typed::default() }.wrong("upload", &error);
            shown(&app, &visit, Wanted::default(), typed).await
        }
    }
}

/// A certificate whose proofs somebody puts into DNS.
#[derive(Deserialize)]
struct ByHand {
    #[serde(default)]
    names: String,
}

async fn propose(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(ByHand { names: by_hand }): Filled<ByHand>,
) -> Result<Response, PageError> {
    let text = by_hand.clone();
    let caller = visit.caller.clone();
    let proposed = app.ordering(move |app| {
        let names = names(&text)?;
        let name = names.primary().to_owned();
        let records = app.propose_certificate(&caller, names).map_err(told)?;
        Ok(Proposal { name, records })
    });
    let typed = Typed { by_hand, ..Typed::default() };
    let typed = match proposed.await {
        Ok(proposal) => Typed { proposal: Some(proposal), ..typed },
        Err(error) => typed.wrong("by-hand", &error),
    };
    shown(&app, &visit, Wanted::default(), typed).await
}

async fn verify(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(Named { name }): Filled<Named>,
) -> Result<Response, PageError> {
    let caller = visit.caller.clone();
    let issued = app.ordering(move |app| {
        let names = names(&name)?;
        app.go_on_with_certificate(&caller, &names).map_err(told)
    });
    Ok(visit.leave(
        "/certificates",
        match issued.await {
            Ok(issued) => of_issue(&issued),
            Err(error) => of_failure(&error),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_typed_apart_as_one_likes() {
        let parsed = names(" shop.example, www.shop.example\r\n*.shop.example ").unwrap();
        assert_eq!(parsed.all(), ["shop.example", "www.shop.example", "*.shop.example"]);
        assert!(names(" , ").is_err());
    }

    #[test]
    fn what_is_renewed_and_what_is_not_are_told_together() {
        let issued = || Issued {
            names: Names::parse(&["a.example"]).unwrap(),
            path: "a".into(),
            lasts_until_s: None,
            enforcement: Enforcement::InForce,
        };
        let failed = || CertificateError::Busy("b.example".to_owned());
        let told = |renewed| {
            let notice = of_renewals(renewed);
            (notice.is_warning, notice.text)
        };
        assert_eq!(told(Vec::new()), (false, "No certificate is due.".to_owned()));
        assert_eq!(told(vec![Ok(issued())]), (false, "Renewed: a.example. HAProxy obeys it.".to_owned()));
        let why = "b.example: a certificate for it is being ordered already";
        assert_eq!(told(vec![Err(failed())]), (true, format!("Not renewed: {why}")));
        let both = format!("Renewed: a.example. Not renewed: {why}");
        assert_eq!(told(vec![Ok(issued()), Err(failed())]), (true, both));
    }

    #[test]
    fn a_key_is_not_told_by_debug() {
        let upload = Upload { key: Secret("-----BEGIN".to_owned()), ..Upload::default() };
        assert!(!format!("{upload:?}").contains("BEGIN"));
    }
}
