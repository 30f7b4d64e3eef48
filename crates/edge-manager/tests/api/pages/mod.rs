//! The page, as a browser without JavaScript would use it.

mod certificates;
mod clients;
mod domains;
mod escaping;
mod explained;
mod overview;
mod roles;
mod session;

use crate::harness::{Answer, Manager};

/// Somebody with a cookie, who sends forms as the pages have them.
pub(crate) struct Visitor<'m> {
    manager: &'m Manager,
    cookie: String,
}

impl<'m> Visitor<'m> {
    /// Without a cookie.
    pub(crate) fn new(manager: &'m Manager) -> Self {
        Self { manager, cookie: String::new() }
    }

    /// Logged in with this key.
    pub(crate) fn with_key(manager: &'m Manager, key: &str) -> Self {
        let mut visitor = Self::new(manager);
        visitor.get("/login");
        let answer = visitor.send("/login", "/login", &[("key", key)]);
        assert_eq!((answer.status, answer.location()), (303, Some("/")), "{answer:?}");
        visitor
    }

    /// A page.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// A form of the page `on`, with its token.
    pub(crate) fn send(&mut self, on: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(on);
        let token = token(&page.body).unwrap_or_else(|| panic!("no form on {on}: {page:?}"));
        let fields = [&[("token", token.as_str())][..], fields].concat();
        self.post(path, &fields)
    }

    /// A form with these fields.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask("POST", path, &["Content-Type: application/x-www-form-urlencoded"], &form(fields))
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let cookie = format!("Cookie: other=1; {}", self.cookie);
        let mut headers = headers.to_vec();
        if !self.cookie.is_empty() {
            headers.push(&cookie);
        }
        let answer = self.manager.ask(method, path, &headers, body.as_bytes());
        if let Some(set) = answer.header("set-cookie") {
            set.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
        }
        answer
    }
}

/// What a form carries.
pub(crate) fn token(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("name=\"token\" value=\"")?;
    Some(rest.split('"').next()?.to_owned())
}

/// As browsers encode it.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Answer {
    /// A header of the answer, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn location(&self) -> Option<&str> {
        self.header("location")
    }
}
