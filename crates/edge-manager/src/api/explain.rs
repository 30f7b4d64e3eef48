//! Why a client or a request is refused or not.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::extract::Params;
use super::{ApiError, App, Routes};
use crate::clock::now_s;
use crate::json::ExplanationJson;
use crate::rules::{Invalid, Question, RulesError, explain};

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(get))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// An address; this or `url`
    #[param(value_type = Option<String>)]
    ip: Option<String>,
    /// A URL, `host/path` or `/path`, with the query if there is one; this or `ip`
    url: Option<String>,
    /// Of a request for the URL: with it, conditions are decided too, and without it they are only told
    #[param(max_length = 32)]
    method: Option<String>,
    /// Whether that request is without a session
    anonymous: Option<bool>,
    /// The client that makes it
    #[param(value_type = Option<String>)]
    client: Option<IpAddr>,
}

impl Asked {
    fn question(self) -> Result<Question, ApiError> {
        let Self { ip, url, method, anonymous, client } = self;
        if method.is_none() && (anonymous.is_some() || client.is_some()) || ip.is_some() && method.is_some() {
            return Err(ApiError::bad_request(
                "method: anonymous and client go with it, and it goes with a url",
            ));
        }
        match (ip, url) {
            (Some(ip), None) => {
                let addr = ip.parse();
                addr.map(Question::Address).map_err(|_| {
                    ApiError::bad_request(format_args!("ip: {ip:?}: not an IPv4 or IPv6 address"))
                })
            }
            (None, Some(url)) => match (url.parse().map_err(of_url)?, method) {
                (Question::Resource(base), Some(method)) => {
                    let is_anonymous = anonymous.unwrap_or(false);
                    Ok(Question::Request { base, method, is_anonymous, client })
                }
                (Question::Address(_), _) => {
                    Err(ApiError::bad_request(format_args!("url: {url:?}: an address, which goes in ip")))
                }
                (question, _) => Ok(question),
            },
            _ => Err(ApiError::bad_request("ip: one of ip and url is needed, and only one")),
        }
    }
}

/// Under the name that the client knows.
fn of_url(error: Invalid) -> Invalid {
    Invalid { field: "url", ..error }
}

/// Say what the rules of the record do with a client or a request, and why
///
/// By the matcher of the data path. Lessons of backends, and lists in files, are not in the record.
#[utoipa::path(
    get,
    path = "/api/explain",
    tag = "rules",
    params(Asked),
    responses(
        (status = 200, description = "The verdict, and all rules that take it in", body = ExplanationJson),
        (status = 400, description = "A parameter is missing or cannot be taken", body = ErrorBody)
    )
)]
async fn get(
    State(app): State<Arc<App>>,
    Params(asked): Params<Asked>,
) -> Result<Json<ExplanationJson>, ApiError> {
    let question = asked.question()?;
    let now_s = now_s();
    let explanation = app
        .reading(move |app| {
            let answer = app.store.read::<_, RulesError>(|view| explain(view, &question, now_s))?;
            Ok(ExplanationJson::new(&answer, now_s))
        })
        .await?;
    Ok(Json(explanation))
}
