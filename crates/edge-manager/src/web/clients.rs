//! Clients that are refused, and those that never are.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

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
use crate::clock::{now_s, now_us};
use crate::json::RuleJson;
use crate::rules::{Change, IfPresent, Input, Question};
use crate::store::{About, Kind, Order, RuleCounts, Selection, StoreError};

/// Rules of a page.
const PAGE: usize = 50;

/// Longest text that is searched for, bytes.
const MAX_SEARCH_BYTES: usize = 256;

/// Longest form that adds a rule, bytes.
const MAX_FORM_BYTES: usize = 16 << 10;

pub(super) fn pages() -> Pages {
    Pages::default().see("/clients", list).change(Role::Operator, "/clients/add", MAX_FORM_BYTES, add).change(
        Role::Operator,
        "/clients/remove",
        MAX_FORM_BYTES,
        remove,
    )
}

/// Which clients are shown, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    kind: ClientKind,
    q: String,
    list: String,
    ended: String,
    order: OrderName,
    after: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClientKind {
    #[default]
    Block,
    Allow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderName {
    #[default]
    Newest,
    Oldest,
    Address,
    Ending,
}

impl ClientKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Block => Kind::Block,
            Self::Allow => Kind::Allow,
        }
    }
}

impl OrderName {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Newest, "newest", "Newest first"),
        (Self::Oldest, "oldest", "Oldest first"),
        (Self::Address, "address", "By address, as text"),
        (Self::Ending, "ending", "Ending first"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(order, ..)| *order == self).map_or("", |(_, word, _)| word)
    }
}

impl Wanted {
    /// Texts are found along the index of texts, and come in its order. What takes in an address is told whether it ends or not.
    fn order(&self) -> OrderName {
        match self.about() {
            Some(About::Begins(_)) => OrderName::Address,
            Some(About::Covers(_)) if self.order == OrderName::Ending => OrderName::Newest,
            _ => self.order,
        }
    }

    fn about(&self) -> Option<About> {
        Some(self.q.trim()).filter(|text| !text.is_empty()).map(About::from)
    }

    fn selection(&self, now_s: u32) -> Result<Selection, PageError> {
        let wrong = |what: &str| PageError::new(StatusCode::BAD_REQUEST, what);
        if self.q.len() > MAX_SEARCH_BYTES {
            return Err(wrong("The text to search for is too long."));
        }
        let after = Some(self.after.as_str()).filter(|after| !after.is_empty());
        let number = |text: &str| text.parse().map_err(|_| wrong("There is no such page."));
        let (order, after) = match self.order() {
            OrderName::Newest => (Order::Newest, after.map(number).transpose()?),
            OrderName::Oldest => (Order::Oldest, after.map(number).transpose()?),
            OrderName::Address => (Order::Target(after.map(ToOwned::to_owned)), None),
            OrderName::Ending => {
                let place = after.map(|after| {
                    let (end_s, id) = after.split_once('-').ok_or_else(|| wrong("There is no such page."))?;
                    Ok::<_, PageError>((
                        end_s.parse().map_err(|_| wrong("There is no such page."))?,
                        number(id)?,
                    ))
                });
                (Order::End(place.transpose()?), None)
            }
        };
        Ok(Selection {
            kind: Some(self.kind.kind()),
            list: Some(self.list.trim()).filter(|list| !list.is_empty()).map(Into::into),
            about: self.about(),
            in_force_at_s: self.ended.is_empty().then_some(now_s),
            after,
            order,
            // One more tells whether there is another page.
            limit: Some(PAGE as u32 + 1),
            ..Selection::default()
        })
    }

    /// The page behind this rule.
    fn behind(&self, last: &RuleJson) -> String {
        let after = match self.order() {
            OrderName::Newest | OrderName::Oldest => last.id.to_string(),
            OrderName::Address => last.target.clone(),
            OrderName::Ending => format!("{}-{}", last.expires_at_s.unwrap_or_default(), last.id),
        };
        self.link(&after)
    }

    fn link(&self, after: &str) -> String {
        let parameters = [
            ("kind", self.kind.word()),
            ("q", self.q.trim()),
            ("list", self.list.trim()),
            ("ended", &self.ended),
            ("order", self.order.word()),
            ("after", after),
        ];
        link("/clients", &parameters)
    }

    /// The address that is asked about, if it is one.
    fn address(&self) -> Option<IpAddr> {
        self.q.trim().parse().ok()
    }
}

/// A rule that is to be made, as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct New {
    target: String,
    kind: ClientKind,
    ends: String,
    reason: String,
    action: String,
    replace: String,
}

#[derive(Template)]
#[template(path = "web/clients.html")]
struct Clients {
    frame: Frame,
    wanted: Wanted,
    kinds: [(ClientKind, &'static str, String); 2],
    lists: Vec<Arc<str>>,
    explained: Option<Explained>,
    rows: Vec<Row>,
    next: Option<String>,
    query: String,
    new: New,
    error: Option<String>,
}

struct Row {
    rule: RuleJson,
    made: Moment,
    ends: Option<Moment>,
    has_ended: bool,
}

/// What is read of the record.
struct Recorded {
    rules: Vec<RuleJson>,
    counts: RuleCounts,
    lists: Vec<Arc<str>>,
    explained: Option<Explained>,
}

async fn list(
    State(app): State<Arc<App>>,
    visit: Visit,
    RawQuery(query): RawQuery,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, PageError> {
    let new = New { kind: wanted.kind, target: wanted.q.trim().to_owned(), ..New::default() };
    shown(&app, &visit, wanted, query.unwrap_or_default(), new, None).await
}

async fn shown(
    app: &Arc<App>,
    visit: &Visit,
    wanted: Wanted,
    query: String,
    new: New,
    error: Option<ApiError>,
) -> Result<Response, PageError> {
    let now_s = now_s();
    let selection = wanted.selection(now_s)?;
    let question = wanted.address().map(Question::Address);
    let read = move |app: &App| read(app, &selection, question.as_ref(), now_s);
    // HAProxy is asked too, and may take its time.
    let recorded =
        if wanted.address().is_some() { app.blocking(read).await } else { app.reading(read).await }?;
    let Recorded { mut rules, counts, lists, explained } = recorded;
    let has_more = rules.len() > PAGE;
    rules.truncate(PAGE);
    let next = rules.last().filter(|_| has_more).map(|last| wanted.behind(last));
    let row = |rule: RuleJson| Row {
        made: Moment::new(rule.created_at_s, now_s),
        ends: rule.expires_at_s.map(|end_s| Moment::new(end_s, now_s)),
        has_ended: rule.expires_at_s.is_some_and(|end_s| end_s <= now_s),
        rule,
    };
    let page = Clients {
        frame: Frame::new(visit, "/clients", "Clients"),
        kinds: [
            (ClientKind::Block, "Blocked", grouped(counts.block)),
            (ClientKind::Allow, "Allowed", grouped(counts.allow)),
        ],
        lists,
        explained,
        rows: rules.into_iter().map(row).collect(),
        next,
        query,
        new,
        error: error.as_ref().map(ToString::to_string),
        wanted,
    };
    Ok(html(error.map_or(StatusCode::OK, |error| error.status()), &page))
}

fn read(
    app: &App,
    selection: &Selection,
    question: Option<&Question>,
    now_s: u32,
) -> Result<Recorded, ApiError> {
    let explained = question.map(|question| explained(app, question, now_s)).transpose()?;
    let recorded = app.store.read(|view| {
        Ok::<_, StoreError>(Recorded {
            rules: view.with_entries(selection, |entries| {
                entries.map(|entry| Ok::<_, StoreError>(RuleJson::from(&entry?))).collect::<Result<_, _>>()
            })??,
            counts: view.rule_counts()?,
            lists: view.lists()?,
            explained,
        })
    })?;
    Ok(recorded)
}

async fn add(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(new): Filled<New>,
) -> Result<Response, PageError> {
    match made(&app, &visit, &new).await {
        Ok(notice) => Ok(visit.leave(&link("/clients", &[("kind", new.kind.word())]), notice)),
        Err(error) => {
            let wanted = Wanted { kind: new.kind, ..Wanted::default() };
            shown(&app, &visit, wanted, String::new(), new, Some(error)).await
        }
    }
}

async fn made(app: &Arc<App>, visit: &Visit, new: &New) -> Result<Notice, ApiError> {
    let now_us = now_us();
    let input = Input {
        allows: new.kind == ClientKind::Allow,
        target: new.target.trim(),
        action: if new.kind == ClientKind::Allow { "" } else { &new.action },
        end: end(&new.ends).map_err(ApiError::bad_request)?,
        reason: new.reason.trim(),
        by: &visit.caller.name,
        ..Input::default()
    };
    let rule = input.parse(now_us)?;
    if !matches!(rule.rule.target, edge_filter::Target::Client(..)) {
        let why = format_args!("target: {:?}: not an IPv4 or IPv6 address or CIDR", new.target.trim());
        return Err(ApiError::bad_request(why));
    }
    let what = crate::rules::text_of(&rule.rule.target);
    let if_present = if new.replace.is_empty() { IfPresent::Refuse } else { IfPresent::Replace };
    let (caller, change) = (visit.caller.clone(), Change::Put(rule, if_present));
    let changed = app.blocking(move |app| Ok(app.change_rules(&caller, vec![change], now_us)?)).await?;
    let done = match new.kind {
        ClientKind::Block => format!("{what} is blocked."),
        ClientKind::Allow => format!("{what} is allowed."),
    };
    Ok(of_change(&done, &changed.enforcement))
}

#[derive(Deserialize)]
struct Removed {
    id: i64,
    #[serde(default)]
    back: String,
}

async fn remove(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(Removed { id, back: query }): Filled<Removed>,
) -> Result<Response, PageError> {
    let caller = visit.caller.clone();
    let changed = app
        .blocking(move |app| Ok(app.change_rules(&caller, vec![Change::RemoveNumber(id)], now_us())?))
        .await?;
    let what = changed.entries.first().map(|entry| entry.rule.target.to_string()).unwrap_or_default();
    let notice = of_change(&format!("The rule {what} is removed."), &changed.enforcement);
    Ok(visit.leave(&back("/clients", &query), notice))
}
