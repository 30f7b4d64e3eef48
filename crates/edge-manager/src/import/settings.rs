//! The settings of a backend of the Flask manager: JSON with the names of the API, or lines of haproxy.cfg.

use serde_json::{Map, Value};

use crate::site::{BackendInput, HealthCheckInput, Text};

/// Most texts that are told of one backend.
const MAX_TOLD: usize = 20;

/// Gives the backend what is understood, and says what is not, each on one line.
pub(super) fn understand(settings: &str, backend: &mut BackendInput) -> Vec<String> {
    let settings = settings.trim();
    let mut rest = match serde_json::from_str::<Value>(settings) {
        _ if settings.is_empty() => Vec::new(),
        Ok(Value::Null) => Vec::new(),
        Ok(Value::Object(fields)) => of_object(fields, backend),
        Ok(Value::String(lines)) => of_lines(&lines, backend),
        _ => of_lines(settings, backend),
    };
    if rest.len() > MAX_TOLD {
        let more = rest.len() - MAX_TOLD;
        rest.truncate(MAX_TOLD);
        rest.push(format!("and {more} more"));
    }
    rest
}

fn of_object(fields: Map<String, Value>, backend: &mut BackendInput) -> Vec<String> {
    let mut rest = Vec::new();
    for (name, value) in fields {
        if value.is_null() {
            continue;
        }
        let told = shown(&format!("{name}: {value}"));
        if ["name", "servers"].contains(&name.as_str()) {
            rest.push(told);
            continue;
        }
        // With the others, so that a field is taken as the API takes it.
        let taken = serde_json::to_value(&*backend).and_then(|mut all| {
            all[&name] = value;
            serde_json::from_value(all)
        });
        match taken {
            Ok(taken) => *backend = taken,
            Err(_) => rest.push(told),
        }
    }
    rest
}

fn of_lines(lines: &str, backend: &mut BackendInput) -> Vec<String> {
    let mut rest = Vec::new();
    for line in lines.lines() {
        let words: Vec<&str> =
            line.split_ascii_whitespace().take_while(|word| !word.starts_with('#')).collect();
        if !words.is_empty() && !of_line(&words, backend) {
            rest.push(shown(line.trim()));
        }
    }
    rest
}

/// Whether the line is understood.
fn of_line(words: &[&str], backend: &mut BackendInput) -> bool {
    let text = |word: &str| Some(Text::from(word));
    match words {
        ["mode", "http"] | ["option", "forwardfor", ..] | ["option", "http-server-close"] => {}
        ["balance", way] => backend.balance = text(way),
        ["balance", "url_param", name] => backend.balance = text(&format!("url_param({name})")),
        ["timeout", "server", time] => backend.server_timeout = text(time),
        ["timeout", "tunnel", time] => backend.websocket_timeout = text(time),
        ["cookie", name, "insert", rest @ ..]
            if rest.iter().all(|word| ["indirect", "nocache", "httponly", "secure"].contains(word)) =>
        {
            backend.cookie = text(name);
        }
        ["option", "httpchk"] => drop(backend.health_check.get_or_insert_default()),
        ["option", "httpchk", path] => check(backend).path = text(path),
        ["option", "httpchk", method, path] | ["option", "httpchk", method, path, _] => {
            check(backend).method = text(method);
            check(backend).path = text(path);
        }
        ["http-check", "expect", "status", status] => check(backend).status = text(status),
        ["redirect", "scheme", "https", ..] | ["http-request", "redirect", "scheme", "https", ..] => {
            backend.redirect_https = true;
        }
        ["http-request", "del-header", name] if name.eq_ignore_ascii_case("upgrade") => {
            backend.websocket = Some(false);
        }
        _ => return false,
    }
    true
}

fn check(backend: &mut BackendInput) -> &mut HealthCheckInput {
    backend.health_check.get_or_insert_default()
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push_str("...");
    }
    shown
}
