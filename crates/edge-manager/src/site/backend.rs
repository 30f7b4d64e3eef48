//! Backends.

use std::collections::BTreeSet;

use edge_filter::MAX_CONFIRM;
use serde::Serialize;

use super::MAX_SERVERS_PER_BACKEND;
use super::address::Bind;
use super::balance::Balance;
use super::fields::Place;
use super::input::{BackendInput, HealthCheckInput, HstsInput, ServerInput};
use super::refusal::FieldError;
use super::server::Server;
use super::time::TimeSpan;
use super::words::{BackendName, CheckPath, CheckStatus, FieldName, HostName, Name};

/// A backend with its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// Its name, unique.
    pub name: BackendName,
    /// Whether HAProxy reads the requests.
    pub mode: Mode,
    /// What a TCP backend listens on; `None` for HTTP.
    pub listen: Option<Bind>,
    /// How requests are spread.
    pub balance: Balance,
    /// How servers are checked by HTTP.
    pub health_check: Option<HealthCheck>,
    /// Longest silence of a tunnel.
    pub websocket_timeout: TimeSpan,
    /// Longest silence of a stream of server-sent events.
    pub sse_timeout: TimeSpan,
    /// Longest wait for a server; `None`: that of the defaults.
    pub server_timeout: Option<TimeSpan>,
    /// `Strict-Transport-Security`.
    pub hsts: Option<Hsts>,
    /// Whether requests without TLS are redirected.
    pub redirect_https: bool,
    /// How long a body is waited for.
    pub wait_for_body: Option<TimeSpan>,
    /// The cookie that keeps a client with its server.
    pub cookie: Option<FieldName>,
    /// Whether the cookie of a remote desktop session does.
    pub rdp_cookie: bool,
    /// Whether server names are followed by DNS.
    pub resolve: bool,
    /// Whether its answers may teach the filter.
    pub learn: bool,
    /// Whether clients may open WebSockets.
    pub websocket: bool,
    /// How many client networks have to be answered alike before there is a rule.
    pub learn_confirm: u8,
    /// Its servers.
    pub servers: Vec<Server>,
}

/// Whether HAProxy reads the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does; domains lead to such backends.
    Http,
    /// It passes bytes on, from a port of the backend's own.
    Tcp,
}

/// A health check by HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// `GET`, `HEAD` or `OPTIONS`.
    pub method: &'static str,
    /// The path.
    pub path: CheckPath,
    /// The Host.
    pub host: HostName,
    /// The statuses that are healthy.
    pub status: CheckStatus,
}

/// `Strict-Transport-Security` (RFC 6797 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hsts {
    /// Seconds.
    pub max_age_s: u32,
    /// Whether names below the domain are included.
    pub include_subdomains: bool,
    /// Whether browsers may take the domain into their lists.
    pub preload: bool,
}

const HOUR: TimeSpan = TimeSpan::from_s(3600);
const YEAR_S: u32 = 31_536_000;

impl Backend {
    pub(super) fn parse(input: &BackendInput, place: &Place) -> Result<Self, FieldError> {
        let mode = match input.mode.as_ref().map(|mode| mode.as_str()) {
            None | Some("" | "http") => Mode::Http,
            Some("tcp") => Mode::Tcp,
            Some(other) => return Err(place.refuse("mode", other, "is neither http nor tcp")),
        };
        let backend = Self {
            name: place.required("name", &input.name)?,
            mode,
            listen: place.optional("listen", &input.listen)?,
            balance: place.optional("balance", &input.balance)?.unwrap_or_default(),
            health_check: input.health_check.as_ref().map(|check| health_check(check, place)).transpose()?,
            websocket_timeout: place.optional("websocket_timeout", &input.websocket_timeout)?.unwrap_or(HOUR),
            sse_timeout: place.optional("sse_timeout", &input.sse_timeout)?.unwrap_or(HOUR),
            server_timeout: place.optional("server_timeout", &input.server_timeout)?,
            hsts: input.hsts.as_ref().map(|hsts| Hsts::parse(hsts, place)).transpose()?,
            redirect_https: input.redirect_https,
            wait_for_body: place.optional("wait_for_body", &input.wait_for_body)?,
            cookie: place.optional("cookie", &input.cookie)?,
            rdp_cookie: input.rdp_cookie,
            resolve: input.resolve,
            learn: input.learn.unwrap_or(mode == Mode::Http),
            websocket: input.websocket.unwrap_or(mode == Mode::Http),
            learn_confirm: learn_confirm(input.learn_confirm, place)?,
            servers: servers(&input.servers, place)?,
        };
        match backend.misfit(input) {
            Some((field, reason)) => Err(place.refuse(field, "", reason)),
            None => Ok(backend),
        }
    }

    /// A setting that does not go with the mode.
    fn misfit(&self, input: &BackendInput) -> Option<(&'static str, &'static str)> {
        const HTTP: &str = "is for HTTP, and the mode is tcp";
        const TCP: &str = "is for TCP, and the mode is http";
        let misfits: &[(&str, bool, &str)] = match self.mode {
            Mode::Http => &[
                ("listen", self.listen.is_some(), TCP),
                ("balance", self.balance == Balance::RdpCookie, TCP),
                ("rdp_cookie", self.rdp_cookie, TCP),
            ],
            Mode::Tcp => &[
                ("listen", self.listen.is_none(), "is missing, and the mode is tcp"),
                ("balance", self.balance.needs_http(), HTTP),
                ("sse_timeout", input.sse_timeout.as_ref().is_some_and(|time| !time.is_empty()), HTTP),
                ("hsts", self.hsts.is_some(), HTTP),
                ("redirect_https", self.redirect_https, HTTP),
                ("wait_for_body", self.wait_for_body.is_some(), HTTP),
                ("cookie", self.cookie.is_some(), HTTP),
                ("learn", self.learn, HTTP),
                ("websocket", self.websocket, HTTP),
                ("learn_confirm", input.learn_confirm.is_some(), HTTP),
            ],
        };
        misfits.iter().find(|(_, is_misfit, _)| *is_misfit).map(|&(field, _, reason)| (field, reason))
    }
}

fn learn_confirm(input: Option<u8>, place: &Place) -> Result<u8, FieldError> {
    match input {
        None => Ok(1),
        Some(networks @ 1..=MAX_CONFIRM) => Ok(networks),
        Some(networks) => {
            let reason = format!("is not from 1 to {MAX_CONFIRM}");
            Err(place.refuse("learn_confirm", &networks.to_string(), reason))
        }
    }
}

fn servers(inputs: &[ServerInput], place: &Place) -> Result<Vec<Server>, FieldError> {
    place.check_len("servers", inputs.len(), MAX_SERVERS_PER_BACKEND)?;
    let mut names = BTreeSet::new();
    let mut servers = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.iter().enumerate() {
        let place = place.entry::<Name>("servers", i, &input.name);
        let server = Server::parse(input, &place)?;
        if !names.insert(server.name.clone()) {
            return Err(place.refuse(
                "name",
                input.name.as_str(),
                "is the name of another server of this backend",
            ));
        }
        servers.push(server);
    }
    Ok(servers)
}

fn health_check(input: &HealthCheckInput, place: &Place) -> Result<HealthCheck, FieldError> {
    let place = place.part("health_check");
    let method = match input.method.as_ref().map(|method| method.as_str()) {
        None | Some("" | "GET") => "GET",
        Some("HEAD") => "HEAD",
        Some("OPTIONS") => "OPTIONS",
        Some(other) => return Err(place.refuse("method", other, "is not GET, HEAD or OPTIONS")),
    };
    let default = |text: &str| text.into();
    Ok(HealthCheck {
        method,
        path: place.required("path", input.path.as_ref().unwrap_or(&default("/")))?,
        host: place.required("host", input.host.as_ref().unwrap_or(&default("localhost")))?,
        status: place.required("status", input.status.as_ref().unwrap_or(&default("200-399")))?,
    })
}

impl Hsts {
    fn parse(input: &HstsInput, place: &Place) -> Result<Self, FieldError> {
        let max_age_s = input.max_age_s.unwrap_or(YEAR_S);
        // https://hstspreload.org refuses others, and a browser keeps what it took into its list for long.
        if input.preload && (max_age_s < YEAR_S || !input.include_subdomains) {
            let reason = "needs include_subdomains and a max_age_s of a year, 31536000";
            return Err(place.part("hsts").refuse("preload", "true", reason));
        }
        Ok(Self { max_age_s, include_subdomains: input.include_subdomains, preload: input.preload })
    }
}
