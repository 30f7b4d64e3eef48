//! Rules on resources: what backends taught, and what the record has.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use edge_filter::{Host, Target};
use serde::Deserialize;

use super::ends::end;
use super::error::PageError;
use super::explain::{Explained, explained};
use super::extract::{Asked, Filled};
use super::frame::{Frame, html};
use super::link::{back, link};
use super::moment::Moment;
use super::numbers::grouped;
use super::pages::Pages;
use super::session::Notice;
use super::visit::Visit;
use super::words::{ACTIONS, of_change};
use crate::access::Role;
use crate::api::{ApiError, App};
use crate::clock::{now_us, seconds};
use crate::json::{OriginName, ResourceJson};
use crate::learned::{ResourceId, ResourceSelection};
use crate::rules::{Change, End, IfPresent, Input, Question, text_of};

/// Rules of a page.
const PAGE: usize = 50;

/// Longest form, bytes: a path may have 4 KiB, and three bytes for each where it is escaped.
const MAX_FORM_BYTES: usize = 32 << 10;

pub(super) fn pages() -> Pages {
    Pages::default()
        .see("/resources", list)
        .change(Role::Operator, "/resources/add", MAX_FORM_BYTES, add)
        .change(Role::Operator, "/resources/remove", MAX_FORM_BYTES, remove)
        .change(Role::Operator, "/resources/pin", MAX_FORM_BYTES, pin)
}

/// Which rules are shown, and what is tested.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    host: String,
    origin: String,
    backend: String,
    after: String,
    /// To be tested.
    url: String,
    method: String,
    client: String,
    anonymous: String,
}

impl Wanted {
    fn selection(&self) -> Result<ResourceSelection, ApiError> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let host = given(&self.host).map(|host| {
            let parsed = Host::parse(&host);
            parsed
                .map(|host| host.as_str().to_owned())
                .map_err(|error| ApiError::bad_request(format_args!("host: {host:?}: {error}")))
        });
        let after =
            given(&self.after).map(|after| after.parse::<ResourceId>().map_err(ApiError::bad_request));
        Ok(ResourceSelection {
            is_learned: match self.origin.as_str() {
                "learned" => Some(true),
                "manual" => Some(false),
                _ => None,
            },
            host: host.transpose()?,
            backend: given(&self.backend),
            after: after.transpose()?,
            // One more tells whether there is another page.
            limit: PAGE as u32 + 1,
        })
    }

    fn question(&self) -> Result<Option<Question>, ApiError> {
        let url = self.url.trim();
        if url.is_empty() {
            return Ok(None);
        }
        let base = match url.parse::<Question>() {
            Ok(Question::Resource(base)) => base,
            Ok(_) => return Err(ApiError::bad_request("that is an address: ask about it among the clients")),
            Err(mut error) => {
                error.field = "url";
                return Err(error.into());
            }
        };
        if self.method.trim().is_empty() {
            return Ok(Some(Question::Resource(base)));
        }
        let client = Some(self.client.trim()).filter(|client| !client.is_empty());
        let client = client.map(|client| {
            let why =
                || ApiError::bad_request(format_args!("client: {client:?}: not an IPv4 or IPv6 address"));
            client.parse::<IpAddr>().map_err(|_| why())
        });
        Ok(Some(Question::Request {
            base,
            method: self.method.trim().to_owned(),
            is_anonymous: !self.anonymous.is_empty(),
            client: client.transpose()?,
        }))
    }

    fn link(&self, after: &str) -> String {
        let parameters =
            [("host", &*self.host), ("origin", &*self.origin), ("backend", &*self.backend), ("after", after)];
        link("/resources", &parameters)
    }
}

/// A rule that is to be made, as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct New {
    target: String,
    conditions: String,
    action: String,
    ends: String,
    reason: String,
    replace: String,
}

#[derive(Template)]
#[template(path = "web/resources.html")]
struct Resources {
    frame: Frame,
    wanted: Wanted,
    explained: Option<Explained>,
    rows: Vec<Row>,
    next: Option<String>,
    query: String,
    new: New,
    /// What is wrong with what was asked for, and with what was typed below.
    unclear: Option<String>,
    error: Option<String>,
}

struct Row {
    rule: ResourceJson,
    is_learned: bool,
    made: Moment,
    ends: Option<Moment>,
    hits: Option<String>,
    last_hit: Option<Moment>,
}

async fn list(
    State(app): State<Arc<App>>,
    visit: Visit,
    RawQuery(query): RawQuery,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, PageError> {
    shown(&app, &visit, wanted, query.unwrap_or_default(), New::default(), None).await
}

async fn shown(
    app: &Arc<App>,
    visit: &Visit,
    wanted: Wanted,
    query: String,
    new: New,
    error: Option<ApiError>,
) -> Result<Response, PageError> {
    let now_us = now_us();
    let now_s = seconds(now_us);
    let asked = wanted.selection().and_then(|selection| Ok((selection, wanted.question()?)));
    let (selection, question, unclear) = match asked {
        Ok((selection, question)) => (selection, question, None),
        Err(error) => (ResourceSelection { limit: PAGE as u32 + 1, ..Default::default() }, None, Some(error)),
    };
    let (mut items, explained) = app
        .blocking(move |app| {
            let explained = question.map(|question| explained(app, &question, now_s)).transpose()?;
            Ok((app.learned.list(&selection, now_us)?, explained))
        })
        .await?;
    let has_more = items.len() > PAGE;
    items.truncate(PAGE);
    let next = items.last().filter(|_| has_more).map(|(last, _)| wanted.link(&last.id().to_string()));
    let rows = items.iter().map(|(item, seen)| {
        let rule = ResourceJson::new(item, *seen, now_s);
        Row {
            is_learned: rule.origin == OriginName::Learned,
            made: Moment::new(rule.created_at_s, now_s),
            ends: rule.expires_at_s.map(|end_s| Moment::new(end_s, now_s)),
            hits: rule.hits.map(grouped),
            last_hit: rule.last_hit_s.map(|at_s| Moment::new(at_s, now_s)),
            rule,
        }
    });
    let status = error.as_ref().or(unclear.as_ref()).map_or(StatusCode::OK, ApiError::status);
    let page = Resources {
        frame: Frame::new(visit, "/resources", "Resources"),
        explained,
        rows: rows.collect(),
        next,
        query,
        new,
        unclear: unclear.map(|error| error.to_string()),
        error: error.map(|error| error.to_string()),
        wanted,
    };
    Ok(html(status, &page))
}

async fn add(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(new): Filled<New>,
) -> Result<Response, PageError> {
    match made(&app, &visit, &new).await {
        Ok(notice) => Ok(visit.leave("/resources?origin=manual", notice)),
        Err(error) => shown(&app, &visit, Wanted::default(), String::new(), new, Some(error)).await,
    }
}

async fn made(app: &Arc<App>, visit: &Visit, new: &New) -> Result<Notice, ApiError> {
    let now_us = now_us();
    let input = Input {
        target: new.target.trim(),
        conditions: new.conditions.trim(),
        action: &new.action,
        end: end(&new.ends).map_err(ApiError::bad_request)?,
        reason: new.reason.trim(),
        by: &visit.caller.name,
        ..Input::default()
    };
    let rule = input.parse(now_us)?;
    if !matches!(rule.rule.target, Target::Resource(..)) {
        return Err(ApiError::bad_request("that is a client: add it among the clients"));
    }
    let what = text_of(&rule.rule.target);
    let if_present = if new.replace.is_empty() { IfPresent::Refuse } else { IfPresent::Replace };
    let (caller, change) = (visit.caller.clone(), Change::Put(rule, if_present));
    let changed = app.blocking(move |app| Ok(app.change_rules(&caller, vec![change], now_us)?)).await?;
    Ok(of_change(&format!("The rule on {what} is made."), &changed.enforcement))
}

/// A rule of the list.
#[derive(Deserialize)]
struct Chosen {
    id: String,
    #[serde(default)]
    ends: String,
    #[serde(default)]
    back: String,
}

impl Chosen {
    fn id(&self) -> Result<ResourceId, ApiError> {
        self.id.parse().map_err(ApiError::bad_request)
    }
}

async fn remove(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(chosen): Filled<Chosen>,
) -> Result<Response, PageError> {
    let (id, caller) = (chosen.id()?, visit.caller.clone());
    let (what, enforcement) = app
        .blocking(move |app| {
            let (item, enforcement) = app.remove_resource(&caller, id, now_us())?;
            Ok((text_of(item.target()), enforcement))
        })
        .await?;
    let done = match id {
        ResourceId::Learned(_) => format!("{what} is taken back; a backend may teach it again."),
        ResourceId::Rule(_) => format!("The rule on {what} is removed."),
    };
    Ok(visit.leave(&back("/resources", &chosen.back), of_change(&done, &enforcement)))
}

async fn pin(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(chosen): Filled<Chosen>,
) -> Result<Response, PageError> {
    let ResourceId::Learned(number) = chosen.id()? else {
        return Err(ApiError::bad_request("only what was learned can be pinned").into());
    };
    let end: End = end(&chosen.ends).map_err(ApiError::bad_request)?;
    let caller = visit.caller.clone();
    let (what, enforcement) = app
        .blocking(move |app| {
            let (entry, enforcement) = app.pin_lesson(&caller, number, end, now_us())?;
            Ok((text_of(&entry.rule.target), enforcement))
        })
        .await?;
    let done = format!("{what} is pinned: it stays, whatever backends say.");
    Ok(visit.leave(&back("/resources", &chosen.back), of_change(&done, &enforcement)))
}

impl Row {
    /// What becomes of it when it is removed.
    fn what_goes(&self) -> &'static str {
        if self.is_learned {
            "It is taken back in every worker; a backend may teach it again."
        } else {
            "It is gone for good."
        }
    }
}
