//! What holds for all backends.

use std::collections::BTreeSet;

use edge_filter::ClientNet;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::address::{Bind, Endpoint, LogTarget, ServerAddress, ValidationServer, port};
use super::fields::Place;
use super::input::{FilterInput, GlobalInput, MailersInput, MemberInput, PageInput, PeersInput, Text};
use super::proxies::{ProxyGroup, groups, keep_headers};
use super::refusal::{FieldError, Refusal};
use super::words::{FieldName, FilePath, MailAddress, Name, PageText, SettingName, SettingValue, UserName};

const MAX_BINDS: usize = 64;
pub(super) const MAX_NETS: usize = 10_000;
const MAX_NAMESERVERS: usize = 16;
const MAX_MEMBERS: usize = 64;
const MAX_SETTINGS: usize = 64;

/// What holds for all backends: what [`GlobalInput`] says, its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Global {
    /// Where to listen for HTTP.
    pub http_bind: Vec<Bind>,
    /// Where to listen for HTTPS.
    pub https_bind: Vec<Bind>,
    /// Where statistics are shown, on loopback.
    pub stats_bind: Bind,
    /// The runtime socket.
    pub stats_socket: Option<FilePath>,
    /// Where to log to.
    pub log: LogTarget,
    /// Connections in all.
    pub maxconn: Option<u32>,
    /// User that HAProxy becomes.
    pub user: Option<UserName>,
    /// Group that HAProxy becomes.
    pub group: Option<UserName>,
    /// Directory that HAProxy locks itself in.
    pub chroot: Option<FilePath>,
    /// Whose word on the client's address is taken.
    pub trusted_proxies: Vec<ProxyGroup>,
    /// Whose connections begin with a header of the PROXY protocol.
    #[serde(serialize_with = "as_texts")]
    pub proxy_protocol: Vec<ClientNet>,
    /// Headers of clients that are not deleted.
    pub keep_headers: Vec<FieldName>,
    /// Whom no limit holds for, private addresses not named.
    #[serde(serialize_with = "as_texts")]
    pub exempt: Vec<ClientNet>,
    /// Whether private and loopback addresses are exempt too.
    pub exempt_private: bool,
    /// What a client may do.
    pub limits: Limits,
    /// Name servers for the addresses of servers.
    pub nameservers: Vec<Endpoint>,
    /// The server that answers ACME validation by HTTP.
    pub acme_validation_server: Option<ValidationServer>,
    /// Whether clients get the trailers of responses.
    pub response_trailers: bool,
    /// File that keeps the state of servers.
    pub server_state_file: Option<FilePath>,
    /// HAProxy processes that share the counts of clients.
    pub peers: Option<Peers>,
    /// Who gets mail on the state of servers.
    pub mailers: Option<Mailers>,
    /// The page for unknown domains. Templates of haproxy.cfg do not see it: its texts may hold what HAProxy expands.
    #[serde(skip_serializing)]
    pub page: Page,
    /// The filter.
    pub filter: Option<Filter>,
}

/// What one client may do before it is slowed down or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests in 10 s; above it requests are answered late (tarpit).
    pub slow_requests: u32,
    /// Requests in 10 s; above it they are refused.
    pub requests: u32,
    /// New connections in 10 s.
    pub connections: u32,
    /// Connections, and requests, at the same time.
    pub concurrent: u32,
    /// Answers 400 to 499 in 30 s.
    pub errors: u32,
    /// Requests that are answered late (tarpit) at the same time, of all clients, but at most a quarter of `maxconn`; above it
    /// they are refused at once, as with 0.
    pub tarpits: u32,
    /// The same of one client.
    pub tarpits_per_client: u32,
    /// Clients that are counted at once, each some 200 bytes of memory. An IPv6 /64 is one client.
    pub clients: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            slow_requests: 3000,
            requests: 5000,
            connections: 500,
            concurrent: 500,
            errors: 100,
            tarpits: 200,
            tarpits_per_client: 5,
            clients: 100_000,
        }
    }
}

/// HAProxy processes that share the counts of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peers {
    /// Which of the members this one is.
    pub local: Name,
    /// All of them.
    pub members: Vec<Member>,
}

/// A peer or a mail server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its name.
    pub name: Name,
    /// Where it is.
    pub address: ServerAddress,
    /// Its port.
    pub port: u16,
}

/// Who gets mail on the state of servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mailers {
    /// The mail servers.
    pub members: Vec<Member>,
    /// Sender.
    pub from: MailAddress,
    /// Recipient.
    pub to: MailAddress,
}

/// The page for unknown domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Title.
    pub title: PageText,
    /// What happened.
    pub main_message: PageText,
    /// What to do.
    pub secondary_message: PageText,
}

/// The filter inside HAProxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Directory of `edge_filter.so` and `edge_filter.lua`.
    pub module_dir: FilePath,
    /// The state directory.
    pub state_dir: Option<FilePath>,
    /// Settings by name.
    pub settings: Vec<(SettingName, SettingValue)>,
}

impl Global {
    pub(super) fn parse(input: &GlobalInput, place: &Place) -> Result<Self, FieldError> {
        let or = |text: &Option<Text>, default: &str| text.clone().unwrap_or_else(|| default.into());
        let binds = |name: &str, texts: &Option<Vec<Text>>, default: &str| match texts {
            Some(texts) => place.list(name, texts, MAX_BINDS),
            None => place.list(name, &[default.into()], MAX_BINDS),
        };
        let stats_bind = or(&input.stats_bind, "127.0.0.1:8404");
        let global = Self {
            http_bind: binds("http_bind", &input.http_bind, ":80")?,
            https_bind: binds("https_bind", &input.https_bind, ":443")?,
            stats_bind: place.required("stats_bind", &stats_bind)?,
            stats_socket: place.optional("stats_socket", &input.stats_socket)?,
            log: place.required("log", &or(&input.log, "stdout"))?,
            maxconn: input.maxconn,
            user: place.optional("user", &input.user)?,
            group: place.optional("group", &input.group)?,
            chroot: place.optional("chroot", &input.chroot)?,
            trusted_proxies: groups(&input.trusted_proxies, place)?,
            proxy_protocol: nets("proxy_protocol", &input.proxy_protocol, place)?,
            keep_headers: keep_headers(&input.keep_headers, place)?,
            exempt: nets("exempt", &input.exempt, place)?,
            exempt_private: input.exempt_private.unwrap_or(true),
            limits: input.limits,
            nameservers: place.list("nameservers", &input.nameservers, MAX_NAMESERVERS)?,
            acme_validation_server: place
                .optional("acme_validation_server", &input.acme_validation_server)?,
            response_trailers: input.response_trailers,
            server_state_file: place.optional("server_state_file", &input.server_state_file)?,
            peers: input.peers.as_ref().map(|peers| Peers::parse(peers, place)).transpose()?,
            mailers: input.mailers.as_ref().map(|mailers| Mailers::parse(mailers, place)).transpose()?,
            page: Page::parse(&input.page, place)?,
            filter: input.filter.as_ref().map(|filter| Filter::parse(filter, place)).transpose()?,
        };
        if !global.stats_bind.is_loopback() {
            return Err(place.refuse("stats_bind", stats_bind.as_str(), "is no loopback address"));
        }
        if input.maxconn == Some(0) {
            return Err(place.refuse("maxconn", "0", "lets nobody in"));
        }
        global.limits.check(&place.part("limits"))?;
        Ok(global)
    }
}

impl Limits {
    fn check(&self, place: &Place) -> Result<(), FieldError> {
        let Self { slow_requests, requests, connections, concurrent, errors, clients, .. } = *self;
        let limits = [
            ("slow_requests", slow_requests),
            ("requests", requests),
            ("connections", connections),
            ("concurrent", concurrent),
            ("errors", errors),
            ("clients", clients),
        ];
        match limits.into_iter().find(|&(_, limit)| limit == 0) {
            Some((name, _)) => Err(place.refuse(name, "0", "lets nobody in")),
            None => Ok(()),
        }
    }
}

impl Peers {
    fn parse(input: &PeersInput, place: &Place) -> Result<Self, FieldError> {
        let place = place.part("peers");
        let (local, members): (Name, _) =
            (place.required("local", &input.local)?, members(&input.members, &place)?);
        if !members.iter().any(|member| member.name == local) {
            return Err(place.refuse("local", local.as_str(), "is not the name of a member"));
        }
        Ok(Self { local, members })
    }
}

impl Mailers {
    fn parse(input: &MailersInput, place: &Place) -> Result<Self, FieldError> {
        let place = place.part("mailers");
        let (from, to) = (place.required("from", &input.from)?, place.required("to", &input.to)?);
        Ok(Self { members: members(&input.members, &place)?, from, to })
    }
}

fn members(inputs: &[MemberInput], place: &Place) -> Result<Vec<Member>, FieldError> {
    place.check_len("members", inputs.len(), MAX_MEMBERS)?;
    let mut names = BTreeSet::new();
    let mut members = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.iter().enumerate() {
        let place = place.entry::<Name>("members", i, &input.name);
        let member = Member {
            name: place.required("name", &input.name)?,
            address: place.required("address", &input.address)?,
            port: place.with("port", &input.port, port)?,
        };
        if !names.insert(member.name.clone()) {
            return Err(place.refuse("name", input.name.as_str(), "is the name of another member"));
        }
        members.push(member);
    }
    Ok(members)
}

impl Page {
    fn parse(input: &PageInput, place: &Place) -> Result<Self, FieldError> {
        let place = place.part("page");
        let text = |name, text: &Option<Text>, default: &str| {
            place.required(name, text.as_ref().unwrap_or(&default.into()))
        };
        let secondary = "If you expected a web site here, please tell whoever runs it.";
        Ok(Self {
            title: text("title", &input.title, "Site not configured")?,
            main_message: text("main_message", &input.main_message, "This domain is not configured here.")?,
            secondary_message: text("secondary_message", &input.secondary_message, secondary)?,
        })
    }
}

impl Filter {
    fn parse(input: &FilterInput, place: &Place) -> Result<Self, FieldError> {
        let place = place.part("filter");
        place.check_len("settings", input.settings.len(), MAX_SETTINGS)?;
        let mut settings = Vec::with_capacity(input.settings.len());
        for (i, setting) in input.settings.iter().enumerate() {
            let place = place.entry::<SettingName>("settings", i, &setting.name);
            settings.push((place.required("name", &setting.name)?, place.required("value", &setting.value)?));
        }
        Ok(Self {
            module_dir: place.required("module_dir", &input.module_dir)?,
            state_dir: place.optional("state_dir", &input.state_dir)?,
            settings,
        })
    }
}

pub(super) fn nets(name: &str, texts: &[Text], place: &Place) -> Result<Vec<ClientNet>, FieldError> {
    place.check_len(name, texts.len(), MAX_NETS)?;
    let entry = |(i, text)| place.with(&format!("{name}[{i}]"), text, net);
    texts.iter().enumerate().map(entry).collect()
}

pub(super) fn net(text: &str) -> Result<ClientNet, Refusal> {
    text.parse().map_err(|_| "is no IP address or network such as 192.0.2.0/24".into())
}

pub(super) fn as_texts<S: Serializer>(nets: &[ClientNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nets.iter().map(ToString::to_string))
}
