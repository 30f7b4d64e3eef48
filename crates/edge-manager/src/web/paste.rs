//! Many clients at once: pasted, looked at, and made as one change.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::clients::ClientKind;
use super::ends::end;
use super::error::PageError;
use super::extract::Filled;
use super::frame::{Frame, html};
use super::guard::Turn;
use super::link::link;
use super::numbers::grouped;
use super::pages::Pages;
use super::visit::Visit;
use super::words::{ACTIONS, of_change, rules};
use crate::access::Role;
use crate::api::{ApiError, App};
use crate::clock::now_us;
use crate::rules::{Change, IfPresent, Input, MAX_CHANGES, NewRule, text_of};

/// Longest form, bytes.
const MAX_BYTES: usize = 8 << 20;

/// Lines that are shown.
const MAX_SHOWN: usize = 20;

pub(super) fn pages() -> Pages {
    Pages::default()
        .see_as(Role::Operator, "/clients/paste", form)
        .change_many(Role::Operator, "/clients/paste/look", MAX_BYTES, look)
        .change_many(Role::Operator, "/clients/paste/make", MAX_BYTES, make)
}

/// What was pasted, and what all of it has in common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Pasted {
    lines: String,
    kind: ClientKind,
    action: String,
    ends: String,
    reason: String,
    list: String,
}

#[derive(Template)]
#[template(path = "web/paste.html")]
struct Paste {
    frame: Frame,
    pasted: Pasted,
    /// What is wrong with all of it.
    error: Option<String>,
    preview: Option<Preview>,
}

/// What would be made.
struct Preview {
    count: u64,
    count_words: String,
    /// The first of them.
    first: Vec<String>,
    errors: Vec<(usize, String)>,
    more_errors: usize,
}

/// Lines as rules, and what is wrong with others.
struct Read {
    rules: Vec<NewRule>,
    errors: Vec<(usize, String)>,
}

async fn form(visit: Visit) -> Response {
    shown(&visit, Pasted::default(), None, None)
}

fn shown(visit: &Visit, pasted: Pasted, error: Option<ApiError>, preview: Option<Preview>) -> Response {
    let page = Paste {
        frame: Frame::new(visit, "/clients", "Paste clients"),
        pasted,
        error: error.as_ref().map(ToString::to_string),
        preview,
    };
    html(error.map_or(StatusCode::OK, |error| error.status()), &page)
}

async fn look(
    State(app): State<Arc<App>>,
    visit: Visit,
    Extension(turn): Extension<Turn>,
    Filled(pasted): Filled<Pasted>,
) -> Result<Response, PageError> {
    let (by, copy, kept) = (visit.caller.name.clone(), pasted.clone(), turn.clone());
    let read = app.reading(move |_| {
        let read = copy.read(&by, now_us());
        drop(kept);
        read
    });
    let read = read.await;
    Ok(match read {
        Ok(read) => shown(&visit, pasted, None, Some(Preview::of(read))),
        Err(error) => shown(&visit, pasted, Some(error), None),
    })
}

async fn make(
    State(app): State<Arc<App>>,
    visit: Visit,
    Extension(turn): Extension<Turn>,
    Filled(pasted): Filled<Pasted>,
) -> Result<Response, PageError> {
    let (caller, copy, kept) = (visit.caller.clone(), pasted.clone(), turn.clone());
    let made = app.blocking(move |app| {
        let now_us = now_us();
        let Read { rules, errors } = copy.read(&caller.name, now_us)?;
        if let Some((line, why)) = errors.into_iter().next() {
            return Err(ApiError::bad_request(format_args!("line {line}: {why}")));
        }
        let changes = rules.into_iter().map(|rule| Change::Put(rule, IfPresent::Prolong)).collect();
        let changed = app.change_rules(&caller, changes, now_us)?;
        drop(kept);
        Ok((changed.entries.len() as u64, changed.enforcement))
    });
    Ok(match made.await {
        Ok((count, enforcement)) => {
            let done = format!("{}: each is in the record.", rules(count));
            visit.leave(&link("/clients", &[("kind", pasted.kind.word())]), of_change(&done, &enforcement))
        }
        Err(error) => shown(&visit, pasted, Some(error), None),
    })
}

impl Pasted {
    /// A rule for each line: an address or network, and its reason behind a space, comma, semicolon or `#`. Lines that are
    /// empty or begin with `#` are no matter.
    fn read(&self, by: &str, now_us: u64) -> Result<Read, ApiError> {
        let end = end(&self.ends).map_err(ApiError::bad_request)?;
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(self.lines.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let is_end = |c: char| c.is_whitespace() || ",;#".contains(c);
            let (target, rest) = line.split_at(line.find(is_end).unwrap_or(line.len()));
            let own = rest.trim_start_matches(is_end).trim();
            let input = Input {
                allows: self.kind == ClientKind::Allow,
                target,
                action: if self.kind == ClientKind::Allow { "" } else { &self.action },
                end,
                reason: if own.is_empty() { self.reason.trim() } else { own },
                list: self.list.trim(),
                by,
                ..Input::default()
            };
            match input.parse(now_us) {
                Ok(rule) if matches!(rule.rule.target, edge_filter::Target::Client(..)) => rules.push(rule),
                Ok(_) => errors.push((number, format!("{target:?}: not an IPv4 or IPv6 address or CIDR"))),
                Err(error) => errors.push((number, error.to_string())),
            }
            if rules.len() + errors.len() > MAX_CHANGES {
                return Err(ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format_args!("more than {MAX_CHANGES} lines at once: paste them in parts"),
                ));
            }
        }
        if rules.is_empty() && errors.is_empty() {
            return Err(ApiError::bad_request("there is no address in it: paste one on each line"));
        }
        Ok(Read { rules, errors })
    }
}

impl Preview {
    fn of(Read { rules: made, mut errors }: Read) -> Self {
        let first = made.iter().take(MAX_SHOWN).map(|new| text_of(&new.rule.target)).collect();
        let more_errors = errors.len().saturating_sub(MAX_SHOWN);
        errors.truncate(MAX_SHOWN);
        let count = made.len() as u64;
        Self { count, count_words: rules(count), first, errors, more_errors }
    }

    fn more(&self) -> String {
        grouped(self.count.saturating_sub(MAX_SHOWN as u64))
    }
}

impl Paste {
    fn is_good(&self) -> bool {
        self.preview.as_ref().is_some_and(|preview| preview.errors.is_empty() && preview.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<Read, ApiError> {
        let pasted = Pasted { lines: lines.to_owned(), reason: "all".to_owned(), ..Pasted::default() };
        pasted.read("me", 1_000_000_000)
    }

    #[test]
    fn each_line_is_a_client_with_its_own_reason_or_that_of_all() {
        let text = "192.0.2.1\r\n\n# a list\n192.0.2.0/24, scans\n2001:db8::1 # mail, too\n198.51.100.7;x\n";
        let rules = read(text).unwrap().rules;
        let words: Vec<_> =
            rules.iter().map(|new| format!("{}: {}", new.rule.target, new.rule.reason)).collect();
        let expected = [
            "block 192.0.2.1: all",
            "block 192.0.2.0/24: scans",
            "block 2001:db8::1: mail, too",
            "block 198.51.100.7: x",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let read_errors = |text: &str| read(text).map(|read| read.errors);
        let errors = read_errors("192.0.2.1\n\n192.0.2.300\n/admin\n").unwrap();
        assert_eq!(errors.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4]);
        assert!(errors[0].1.contains("192.0.2.300"), "{errors:?}");
        assert!(read_errors(" \n# nothing\n").is_err());
        assert!(read_errors(&"::1\n".repeat(MAX_CHANGES + 1)).is_err());
    }
}
