//! Rules on resources: what backends taught, and what the record has.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use edge_filter::Host;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::extract::{Params, Segments, json, object};
use super::rules::limit;
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::{now_us, seconds};
use crate::haproxy::Enforcement;
use crate::json::{OriginName, ResourceChangeJson, ResourceJson, ResourcePageJson};
use crate::learned::{Item, LearnedError, ResourceId, ResourceSelection};
use crate::rules::{Change, End};

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(list)).operator(routes!(remove)).operator(routes!(pin))
}

impl From<LearnedError> for ApiError {
    fn from(error: LearnedError) -> Self {
        match error {
            LearnedError::Absent(_) => Self::not_found(error),
            LearnedError::Invalid(invalid) => invalid.into(),
            LearnedError::Rules(rules) => rules.into(),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only what is about resources of this host
    host: Option<String>,
    /// Only what was learned, or only what the record has
    #[param(inline)]
    origin: Option<OriginName>,
    /// Only what this backend taught
    backend: Option<String>,
    /// Only what comes behind this id: `next` of the page before
    after: Option<String>,
    /// At most so many; 100, if it is not said
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

impl Wanted {
    fn selection(self) -> Result<ResourceSelection, ApiError> {
        let host = self.host.as_deref().map(|host| {
            let parsed = Host::parse(host)
                .map_err(|error| ApiError::bad_request(format_args!("host: {host:?}: {error}")));
            parsed.map(|host| host.as_str().to_owned())
        });
        let after = self.after.as_deref().map(|after| {
            after.parse().map_err(|error| ApiError::bad_request(format_args!("after: {error}")))
        });
        let limit = limit(self.limit)?;
        Ok(ResourceSelection {
            is_learned: self.origin.map(|origin| origin == OriginName::Learned),
            host: host.transpose()?,
            backend: self.backend,
            after: after.transpose()?,
            limit,
        })
    }
}

/// List rules on resources that are in force
///
/// What backends taught, and what somebody made; each with how often it was obeyed. A tenth of a second may pass until what
/// a worker has learned is seen here.
#[utoipa::path(
    get,
    path = "/api/resources",
    tag = "resources",
    params(Wanted),
    responses(
        (status = 200, description = "A page of those for which all of this holds", body = ResourcePageJson),
        (status = 400, description = "A parameter cannot be taken", body = ErrorBody)
    )
)]
async fn list(
    State(app): State<Arc<App>>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<ResourcePageJson>, ApiError> {
    let mut selection = wanted.selection()?;
    let limit = selection.limit as usize;
    // One more tells whether there is another page.
    selection.limit += 1;
    let now_us = now_us();
    let mut items = app.reading(move |app| Ok(app.learned.list(&selection, now_us)?)).await?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|(last, _)| last.id().to_string());
    let resources =
        items.iter().map(|(item, seen)| ResourceJson::new(item, *seen, seconds(now_us))).collect();
    Ok(Json(ResourcePageJson { resources, next }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Name {
    /// The id of the rule, such as `learned-7`
    id: String,
}

impl Name {
    fn id(&self) -> Result<ResourceId, ApiError> {
        self.id.parse().map_err(|error| ApiError::bad_request(format_args!("id: {error}")))
    }
}

/// Remove a rule on a resource
///
/// What was learned is taken back in every worker; a backend may teach it again. A rule of the record, such as a pinned one, is
/// removed for good.
#[utoipa::path(
    delete,
    path = "/api/resources/{id}",
    tag = "resources",
    params(Name),
    responses(
        (status = 200, description = "It is removed", body = ResourceChangeJson),
        (status = 400, description = "That is no id", body = ErrorBody),
        (status = 404, description = "There is none of this id in force", body = ErrorBody)
    )
)]
async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(name): Segments<Name>,
) -> Result<Json<ResourceChangeJson>, ApiError> {
    let (id, now_us) = (name.id()?, now_us());
    let changed = app.blocking(move |app| {
        let (item, enforcement) = app.remove_resource(&caller, id, now_us)?;
        let resource = ResourceJson::new(&item, None, seconds(now_us));
        Ok(ResourceChangeJson::new(resource, &enforcement))
    });
    Ok(Json(changed.await?))
}

/// How long a pinned rule stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PinRequest {
    /// Seconds; without it, the rule has no end
    #[schema(minimum = 1)]
    ttl: Option<u64>,
}

/// Make a learned rule a rule of the record, of the list `pinned`
///
/// It does the same as before, until it is removed or its own end comes, whatever backends say; its reason says what taught it.
#[utoipa::path(
    post,
    path = "/api/resources/{id}/pin",
    tag = "resources",
    params(Name),
    request_body(content = Option<PinRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "It is pinned, as this rule", body = ResourceChangeJson),
        (status = 400, description = "That is no id of a learned rule, or the ttl cannot be taken", body = ErrorBody),
        (status = 404, description = "There is none of this id in force", body = ErrorBody),
        (status = 409, description = "The record has a rule with this target, or as many as the filter has room for", body = ErrorBody)
    )
)]
async fn pin(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(name): Segments<Name>,
    request: Request,
) -> Result<Json<ResourceChangeJson>, ApiError> {
    let (id, now_us) = (name.id()?, now_us());
    let ResourceId::Learned(number) = id else {
        return Err(ApiError::bad_request(format_args!("id: {id}: only what was learned can be pinned")));
    };
    let PinRequest { ttl } = pin_request(&json(request).await?)?;
    let end = ttl.map_or(End::Never, End::Ttl);
    let changed = app.blocking(move |app| {
        let (entry, enforcement) = app.pin_lesson(&caller, number, end, now_us)?;
        let resource = ResourceJson::new(&Item::Rule(entry), None, seconds(now_us));
        Ok(ResourceChangeJson::new(resource, &enforcement))
    });
    Ok(Json(changed.await?))
}

impl App {
    /// Removes a rule on a resource, and waits until HAProxy obeys, for [`App::wait`] at most. Whoever listens to events hears of it.
    ///
    /// # Errors
    /// There is no such rule in force, or the record cannot be written: nothing has changed.
    pub fn remove_resource(
        &self,
        caller: &Caller,
        id: ResourceId,
        now_us: u64,
    ) -> Result<(Item, Enforcement), LearnedError> {
        Ok(match id {
            ResourceId::Learned(number) => {
                let (lesson, enforcement) = self.delete_lesson(caller, number, now_us)?;
                (Item::Learned(lesson), enforcement)
            }
            ResourceId::Rule(number) => {
                let entry = self.learned.rule(number)?;
                let changed = self.change_rules(caller, vec![Change::RemoveNumber(number)], now_us)?;
                (Item::Rule(entry), changed.enforcement)
            }
        })
    }
}

/// Nothing at all is as good as an empty object.
fn pin_request(body: &[u8]) -> Result<PinRequest, ApiError> {
    if body.is_empty() {
        return Ok(PinRequest::default());
    }
    object(body)
}
