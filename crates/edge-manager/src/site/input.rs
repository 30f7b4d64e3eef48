//! What clients send and the record holds, not yet looked at.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{OneOfBuilder, Schema, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::domain::DomainName;
use super::global::Limits;
use super::refusal::Refusal;

/// A text, or a number that stands for one: clients send ports in both forms.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "TextOrNumber")]
pub struct Text(String);

impl PartialSchema for Text {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let text = ObjectBuilder::new().schema_type(Type::String);
        OneOfBuilder::new()
            .item(text)
            .item(number)
            .description(Some("A text, or a number that stands for one."))
            .into()
    }
}

impl ToSchema for Text {}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a whole number")]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

impl From<TextOrNumber> for Text {
    fn from(input: TextOrNumber) -> Self {
        match input {
            TextOrNumber::Text(text) => Self(text),
            TextOrNumber::Number(number) => Self(number.to_string()),
        }
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl Text {
    /// The text, a number as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none, which is how clients say that they leave a field out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that haproxy.cfg is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SiteInput {
    /// What holds for all backends.
    pub global: GlobalInput,
    /// The domains served, each by a backend.
    pub domains: Vec<DomainInput>,
    /// The backends with their servers.
    pub backends: Vec<BackendInput>,
}

/// A domain; the names are those of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DomainInput {
    /// `shop.example`, or `*.shop.example` for every name below it.
    pub domain: Text,
    /// Whether every name below it is meant, `*.` written or not.
    pub is_wildcard: bool,
    /// Whether it is served by TLS; it needs a certificate then.
    pub ssl_enabled: bool,
    /// A PEM file with certificate and key.
    pub ssl_cert_path: Option<Text>,
    /// A template of the operator's in place of `backend.cfg.j2`, for this domain's backend.
    pub template_override: Option<Text>,
    /// The backend that serves it.
    pub backend_name: Text,
}

impl DomainInput {
    /// Its name in canonical form.
    ///
    /// # Errors
    /// It is no host name, nor one behind `*.`.
    pub fn name(&self) -> Result<DomainName, Refusal> {
        DomainName::parse(self.domain.as_str(), self.is_wildcard)
    }
}

/// A backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackendInput {
    /// Its name, unique.
    pub name: Text,
    /// `http` (default) or `tcp`, which has a port of its own.
    pub mode: Option<Text>,
    /// What a TCP backend listens on, such as `:3389`.
    pub listen: Option<Text>,
    /// `roundrobin` (default), `leastconn`, `source`, `uri`, `hdr(NAME)`, `url_param(NAME)`, ...
    pub balance: Option<Text>,
    /// How servers are checked; without it only those whose options have `check`, by connecting.
    pub health_check: Option<HealthCheckInput>,
    /// Longest silence of a websocket or other tunnel; 1h.
    pub websocket_timeout: Option<Text>,
    /// Longest silence of a stream of server-sent events; 1h.
    pub sse_timeout: Option<Text>,
    /// Longest wait for a server's answer; that of the defaults.
    pub server_timeout: Option<Text>,
    /// `Strict-Transport-Security` on answers by TLS.
    pub hsts: Option<HstsInput>,
    /// Whether requests without TLS are redirected, those of ACME challenges excepted.
    pub redirect_https: bool,
    /// How long to wait for a request's body before a server is given the request: a slow sender does not hold a server.
    pub wait_for_body: Option<Text>,
    /// Name of the cookie that keeps a client with its server.
    pub cookie: Option<Text>,
    /// Whether the cookie of a remote desktop session keeps a client with its server; TCP only.
    pub rdp_cookie: bool,
    /// Whether server names are followed by DNS; needs `nameservers`.
    pub resolve: bool,
    /// Whether its answers may teach the filter, about its own domains.
    pub learn: Option<bool>,
    /// Whether clients may open WebSockets; they may unless `false` is said. No other upgrade reaches a server.
    pub websocket: Option<bool>,
    /// From how many client networks a resource is to be asked for, and answered alike, before there is a rule: 1 to 16; 1.
    pub learn_confirm: Option<u8>,
    /// Its servers.
    pub servers: Vec<ServerInput>,
}

/// A health check by HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheckInput {
    /// `GET` (default), `HEAD` or `OPTIONS`.
    pub method: Option<Text>,
    /// The path; `/`.
    pub path: Option<Text>,
    /// The Host; `localhost`.
    pub host: Option<Text>,
    /// The statuses that are healthy; `200-399`.
    pub status: Option<Text>,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HstsInput {
    /// Seconds; a year if none are named.
    pub max_age_s: Option<u32>,
    /// Whether names below the domain are included.
    pub include_subdomains: bool,
    /// Whether browsers may take the domain into their lists.
    pub preload: bool,
}

/// A server; the names are those of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerInput {
    /// Its name, unique in the backend.
    pub name: Text,
    /// IP address or host name.
    pub address: Text,
    /// Port.
    pub port: Text,
    /// Words of HAProxy's `server` line, such as `check inter 5s`.
    pub options: Option<Text>,
}

/// What holds for all backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GlobalInput {
    /// Where to listen for HTTP; `:80`.
    pub http_bind: Option<Vec<Text>>,
    /// Where to listen for HTTPS, once a domain has a certificate; `:443`.
    pub https_bind: Option<Vec<Text>>,
    /// Where statistics are shown, a loopback address; `127.0.0.1:8404`.
    pub stats_bind: Option<Text>,
    /// Path of the runtime socket.
    pub stats_socket: Option<Text>,
    /// `stdout` (default), `stderr`, the path of a syslog socket, or ADDRESS:PORT.
    pub log: Option<Text>,
    /// Connections in all; by default what the limit on descriptors allows.
    pub maxconn: Option<u32>,
    /// User that HAProxy becomes.
    pub user: Option<Text>,
    /// Group that HAProxy becomes.
    pub group: Option<Text>,
    /// Directory that HAProxy locks itself in.
    pub chroot: Option<Text>,
    /// Proxies whose word on the client's address is taken: networks of those that append to `X-Forwarded-For`, and groups of
    /// those that write another header.
    pub trusted_proxies: Vec<ProxyInput>,
    /// Addresses and networks whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Vec<Text>,
    /// Headers of clients that servers get, of those that are deleted by default, such as `X-Forwarded-Host`.
    pub keep_headers: Vec<Text>,
    /// Addresses and networks that no limit holds for.
    pub exempt: Vec<Text>,
    /// Whether private and loopback addresses are exempt; they are unless `false` is said.
    pub exempt_private: Option<bool>,
    /// What a client may do.
    pub limits: Limits,
    /// Name servers that follow the addresses of servers, ADDRESS:PORT each.
    pub nameservers: Vec<Text>,
    /// File that keeps the state of servers over a reload.
    pub server_state_file: Option<Text>,
    /// HAProxy processes that share the counts of clients.
    pub peers: Option<PeersInput>,
    /// Who gets mail on the state of servers.
    pub mailers: Option<MailersInput>,
    /// The page for unknown domains.
    pub page: PageInput,
    /// The server that answers ACME validation by HTTP: ADDRESS:PORT, or the path of a Unix socket as HAProxy sees it from
    /// within its chroot; the manager. `challenge_server` is its former name.
    #[serde(alias = "challenge_server")]
    pub acme_validation_server: Option<Text>,
    /// Whether clients get the trailers of responses, which gRPC needs. Without it, HAProxy drops them from 3.2 on: it cannot
    /// remove X-Edge-Resource alone.
    pub response_trailers: bool,
    /// The filter; without it nothing of it is rendered.
    pub filter: Option<FilterInput>,
}

/// A network of trusted proxies, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a network, or an object with header, networks and, if need be, own_requests")]
pub enum ProxyInput {
    /// An address or network; its header is `X-Forwarded-For`.
    Network(Text),
    /// Proxies that name the client in the same header.
    Group(ProxyGroupInput),
}

/// Proxies that name the client in the same header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyGroupInput {
    /// `X-Forwarded-For`, `X-Real-IP`, `CF-Connecting-IP`, `True-Client-IP`, ...
    pub header: Text,
    /// Their addresses and networks.
    pub networks: Vec<Text>,
    /// Whether a request without the header is the proxy's own, such as a health check; it is refused otherwise.
    pub own_requests: bool,
}

/// HAProxy processes that share the counts of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeersInput {
    /// Which of the members this one is.
    pub local: Text,
    /// All of them.
    pub members: Vec<MemberInput>,
}

/// A peer or a mail server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemberInput {
    /// Its name.
    pub name: Text,
    /// IP address or host name.
    pub address: Text,
    /// Port.
    pub port: Text,
}

/// Who gets mail on the state of servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailersInput {
    /// The mail servers.
    pub members: Vec<MemberInput>,
    /// Sender.
    pub from: Text,
    /// Recipient.
    pub to: Text,
}

/// The page for unknown domains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PageInput {
    /// Title.
    pub title: Option<Text>,
    /// What happened.
    pub main_message: Option<Text>,
    /// What to do.
    pub secondary_message: Option<Text>,
}

impl PageInput {
    /// The fields, and the variables of the environment that go before them.
    pub(crate) const VARIABLES: [(&str, &str); 3] = [
        ("title", "HAPROXY_DEFAULT_PAGE_TITLE"),
        ("main_message", "HAPROXY_DEFAULT_MAIN_MESSAGE"),
        ("secondary_message", "HAPROXY_DEFAULT_SECONDARY_MESSAGE"),
    ];

    /// What the environment says in [`PageInput::VARIABLES`].
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let [title, main_message, secondary_message] =
            Self::VARIABLES.map(|(_, name)| variable(name).map(Text::from));
        Self { title, main_message, secondary_message }
    }
}

/// The filter inside HAProxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterInput {
    /// Directory of `edge_filter.so` and `edge_filter.lua`.
    pub module_dir: Text,
    /// The state directory.
    pub state_dir: Option<Text>,
    /// Settings of the filter, `EDGE_...`.
    pub settings: Vec<SettingInput>,
}

/// A setting of the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingInput {
    /// `EDGE_...`
    pub name: Text,
    /// Its value.
    pub value: Text,
}
