//! A domain or a backend, as it is typed.

use serde::Deserialize;

use super::domains::endpoint;
use crate::api::ApiError;
use crate::site::{BackendInput, DomainInput, HealthCheckInput, HstsInput, ServerInput, SiteInput, Text};
use crate::sites::NewDomain;

/// A domain with the servers of its backend, or a backend with its options. Everything is as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct SiteForm {
    /// `domain` or `backend`.
    pub(super) what: String,
    /// Not empty where it must not be there yet.
    pub(super) is_new: String,
    pub(super) domain: String,
    pub(super) backend_name: String,
    pub(super) template_override: String,
    /// One on each line: name, address with port, options.
    pub(super) servers: String,
    pub(super) mode: String,
    pub(super) listen: String,
    pub(super) balance: String,
    pub(super) check_method: String,
    pub(super) check_path: String,
    pub(super) check_host: String,
    pub(super) check_status: String,
    pub(super) server_timeout: String,
    pub(super) websocket_timeout: String,
    pub(super) sse_timeout: String,
    pub(super) wait_for_body: String,
    pub(super) cookie: String,
    pub(super) hsts_max_age_s: String,
    pub(super) hsts_include_subdomains: String,
    pub(super) hsts_preload: String,
    pub(super) rdp_cookie: String,
    pub(super) redirect_https: String,
    pub(super) resolve: String,
    pub(super) learn: String,
    pub(super) websocket: String,
}

/// What the record has, as it is typed.
fn text(value: Option<&Text>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// What was typed, as the record has it.
fn given(text: &str) -> Option<Text> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(Text::from)
}

/// A choice that may be left to the default.
fn choice(value: Option<bool>) -> String {
    match value {
        None => "",
        Some(true) => "yes",
        Some(false) => "no",
    }
    .to_owned()
}

fn chosen(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn check(is_set: bool) -> String {
    if is_set { "yes".to_owned() } else { String::new() }
}

impl SiteForm {
    /// Of the domain or else the backend of this name; empty, where neither is named. `None` if there is none.
    pub(super) fn of(input: &SiteInput, domain: &str, backend: &str) -> Option<Self> {
        let find = |name: &str| input.backends.iter().find(|backend| backend.name.as_str() == name);
        if !backend.is_empty() {
            return find(backend).map(Self::of_backend);
        }
        let mut form = Self { what: "domain".to_owned(), ..Self::default() };
        if domain.is_empty() {
            form.is_new = check(true);
            return Some(form);
        }
        let found = input.domains.iter().find(|known| known.domain.as_str() == domain)?;
        form.domain = found.domain.to_string();
        form.backend_name = found.backend_name.to_string();
        form.template_override = text(found.template_override.as_ref());
        form.servers = find(&form.backend_name).map(|backend| lines(&backend.servers)).unwrap_or_default();
        Some(form)
    }

    /// Empty, for a backend that needs no domain, such as one for TCP.
    pub(super) fn of_new_backend() -> Self {
        Self { what: "backend".to_owned(), is_new: check(true), ..Self::default() }
    }

    fn of_backend(backend: &BackendInput) -> Self {
        let health = backend.health_check.clone().unwrap_or_default();
        let hsts = backend.hsts.clone().unwrap_or_default();
        Self {
            what: "backend".to_owned(),
            backend_name: backend.name.to_string(),
            servers: lines(&backend.servers),
            mode: text(backend.mode.as_ref()),
            listen: text(backend.listen.as_ref()),
            balance: text(backend.balance.as_ref()),
            check_method: text(health.method.as_ref()),
            // A check is there where it has a path.
            check_path: match &backend.health_check {
                Some(check) => check.path.as_ref().map_or_else(|| "/".to_owned(), ToString::to_string),
                None => String::new(),
            },
            check_host: text(health.host.as_ref()),
            check_status: text(health.status.as_ref()),
            server_timeout: text(backend.server_timeout.as_ref()),
            websocket_timeout: text(backend.websocket_timeout.as_ref()),
            sse_timeout: text(backend.sse_timeout.as_ref()),
            wait_for_body: text(backend.wait_for_body.as_ref()),
            cookie: text(backend.cookie.as_ref()),
            hsts_max_age_s: match &backend.hsts {
                Some(hsts) => hsts.max_age_s.unwrap_or(31_536_000).to_string(),
                None => String::new(),
            },
            hsts_include_subdomains: check(hsts.include_subdomains),
            hsts_preload: check(hsts.preload),
            rdp_cookie: check(backend.rdp_cookie),
            redirect_https: check(backend.redirect_https),
            resolve: check(backend.resolve),
            learn: choice(backend.learn),
            websocket: choice(backend.websocket),
            ..Self::default()
        }
    }

    /// Whether it is a backend alone.
    pub(super) fn is_backend(&self) -> bool {
        self.what == "backend"
    }

    /// Every field, for a form that sends them once more.
    pub(super) fn fields(&self) -> [(&'static str, &str); 26] {
        [
            ("what", &self.what),
            ("is_new", &self.is_new),
            ("domain", &self.domain),
            ("backend_name", &self.backend_name),
            ("template_override", &self.template_override),
            ("servers", &self.servers),
            ("mode", &self.mode),
            ("listen", &self.listen),
            ("balance", &self.balance),
            ("check_method", &self.check_method),
            ("check_path", &self.check_path),
            ("check_host", &self.check_host),
            ("check_status", &self.check_status),
            ("server_timeout", &self.server_timeout),
            ("websocket_timeout", &self.websocket_timeout),
            ("sse_timeout", &self.sse_timeout),
            ("wait_for_body", &self.wait_for_body),
            ("cookie", &self.cookie),
            ("hsts_max_age_s", &self.hsts_max_age_s),
            ("hsts_include_subdomains", &self.hsts_include_subdomains),
            ("hsts_preload", &self.hsts_preload),
            ("rdp_cookie", &self.rdp_cookie),
            ("redirect_https", &self.redirect_https),
            ("resolve", &self.resolve),
            ("learn", &self.learn),
            ("websocket", &self.websocket),
        ]
    }

    /// The domain. Without servers the backend keeps those that it has; so does another one that is there, where the servers
    /// are left as they are: they are those of the backend of before.
    pub(super) fn domain(&self, input: &SiteInput) -> Result<NewDomain, ApiError> {
        for (field, value) in [("domain", &self.domain), ("backend", &self.backend_name)] {
            if value.trim().is_empty() {
                return Err(ApiError::bad_request(format_args!("{field}: it is needed")));
            }
        }
        let new = DomainInput { domain: self.domain.trim().into(), ..DomainInput::default() };
        // Whoever publishes it says why a name is none.
        let name = new.name().map(|name| name.to_string()).unwrap_or_default();
        let known = input.domains.iter().find(|domain| domain.domain.as_str() == name);
        if known.is_some() && !self.is_new.is_empty() {
            return Err(ApiError::conflict(format_args!(
                "domain: {name:?}: it is served already: edit it in the list"
            )));
        }
        let servers = self.read_servers()?;
        let backend_name = self.backend_name.trim();
        let find = |name: &str| input.backends.iter().find(|backend| backend.name.as_str() == name);
        let before =
            known.map(|domain| domain.backend_name.as_str()).filter(|before| *before != backend_name);
        let before = before.filter(|_| find(backend_name).is_some()).and_then(find);
        let is_of_before = before.is_some_and(|before| lines(&before.servers) == lines(&servers));
        Ok(NewDomain {
            domain: new.domain,
            is_wildcard: false,
            backend_name: backend_name.into(),
            template_override: given(&self.template_override),
            servers: (!servers.is_empty() && !is_of_before).then_some(servers),
        })
    }

    /// The backend: what cannot be typed here stays as the record has it.
    pub(super) fn backend(&self, input: &SiteInput) -> Result<BackendInput, ApiError> {
        let name = self.backend_name.trim();
        let known = input.backends.iter().find(|backend| backend.name.as_str() == name).cloned();
        if known.is_some() && !self.is_new.is_empty() {
            return Err(ApiError::conflict(format_args!(
                "backend: {name:?}: it is there already: edit it in the list"
            )));
        }
        let known = known.unwrap_or_else(|| BackendInput { name: name.into(), ..BackendInput::default() });
        let health_check = given(&self.check_path).map(|path| HealthCheckInput {
            method: given(&self.check_method),
            path: Some(path),
            host: given(&self.check_host),
            status: given(&self.check_status),
        });
        Ok(BackendInput {
            mode: given(&self.mode),
            listen: given(&self.listen),
            balance: given(&self.balance),
            health_check,
            server_timeout: given(&self.server_timeout),
            websocket_timeout: given(&self.websocket_timeout),
            sse_timeout: given(&self.sse_timeout),
            wait_for_body: given(&self.wait_for_body),
            cookie: given(&self.cookie),
            hsts: self.hsts()?,
            rdp_cookie: !self.rdp_cookie.is_empty(),
            redirect_https: !self.redirect_https.is_empty(),
            resolve: !self.resolve.is_empty(),
            learn: chosen(&self.learn),
            websocket: chosen(&self.websocket),
            servers: self.read_servers()?,
            ..known
        })
    }

    fn hsts(&self) -> Result<Option<HstsInput>, ApiError> {
        let wrong = |why: &str| {
            ApiError::bad_request(format_args!("hsts_max_age_s: {:?}: {why}", self.hsts_max_age_s.trim()))
        };
        let (include_subdomains, preload) =
            (!self.hsts_include_subdomains.is_empty(), !self.hsts_preload.is_empty());
        match given(&self.hsts_max_age_s) {
            Some(age) => {
                let max_age_s = age.as_str().parse().map_err(|_| wrong("write whole seconds"))?;
                Ok(Some(HstsInput { max_age_s: Some(max_age_s), include_subdomains, preload }))
            }
            None if include_subdomains || preload => Err(wrong("how long does it hold, in seconds?")),
            None => Ok(None),
        }
    }

    fn read_servers(&self) -> Result<Vec<ServerInput>, ApiError> {
        let lines = (1..).zip(self.servers.lines()).filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(number, line)| server(line).map_err(|why| of_line(number, why))).collect()
    }
}

fn of_line(number: usize, why: &str) -> ApiError {
    ApiError::bad_request(format_args!("servers, line {number}: {why}"))
}

fn lines(servers: &[ServerInput]) -> String {
    let line = |server: &ServerInput| {
        let endpoint = endpoint(server.address.as_str(), server.port.as_str());
        let line = format!("{} {endpoint} {}", server.name, text(server.options.as_ref()));
        line.trim_end().to_owned()
    };
    servers.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn server(line: &str) -> Result<ServerInput, &'static str> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(endpoint)) = (words.next(), words.next()) else {
        return Err("write its name, a space, and its address with the port, such as web1 192.0.2.10:8080");
    };
    let (address, port) =
        endpoint.rsplit_once(':').ok_or("its port is missing: write it as 192.0.2.10:8080")?;
    let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let options: Vec<&str> = words.collect();
    Ok(ServerInput {
        name: name.into(),
        address: address.into(),
        port: port.into(),
        options: given(&options.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> SiteInput {
        let site = r#"{
            "domains": [{"domain": "shop.example", "backend_name": "shop"}],
            "backends": [{"name": "shop", "balance": "leastconn", "rdp_cookie": true, "hsts": {"max_age_s": 60, "preload": true},
                "learn": false, "websocket": false, "health_check": {"host": "shop.example"}, "redirect_https": true,
                "servers": [{"name": "a", "address": "192.0.2.1", "port": 80, "options": "check inter 5s"},
                            {"name": "b", "address": "2001:db8::1", "port": "81"}]},
                {"name": "api", "servers": [{"name": "c", "address": "192.0.2.3", "port": 82}]}]
        }"#;
        serde_json::from_str(site).unwrap()
    }

    #[test]
    fn what_is_not_touched_comes_back_as_it_was() {
        let input = input();
        let form = SiteForm::of(&input, "", "shop").unwrap();
        assert_eq!(form.servers, "a 192.0.2.1:80 check inter 5s\nb [2001:db8::1]:81");
        let mut expected = input.backends[0].clone();
        // A path is what says that there is a check.
        expected.health_check.as_mut().unwrap().path = Some("/".into());
        assert_eq!(form.backend(&input).unwrap(), expected);
        let form = SiteForm::of(&input, "shop.example", "").unwrap();
        assert_eq!(form.domain(&input).unwrap().servers, Some(expected.servers));
        assert!(SiteForm::of(&input, "no.example", "").is_none() && SiteForm::of(&input, "", "no").is_none());
    }

    #[test]
    fn another_backend_keeps_its_servers_unless_they_are_typed() {
        let input = input();
        let form = SiteForm::of(&input, "shop.example", "").unwrap();
        let servers = |backend: &str, servers: &str| {
            let form = SiteForm { backend_name: backend.into(), servers: servers.into(), ..form.clone() };
            form.domain(&input).unwrap().servers.map(|servers| lines(&servers))
        };
        let as_prefilled = form.servers.replace('\n', "\r\n") + "\r\n";
        assert_eq!(servers("api", &as_prefilled), None);
        assert_eq!(servers("api", "d 192.0.2.4:80"), Some("d 192.0.2.4:80".to_owned()));
        assert_eq!(servers("fresh", &as_prefilled), Some(form.servers.clone()), "a new one begins with them");
        assert_eq!(servers("shop", &as_prefilled), Some(form.servers.clone()));
    }

    #[test]
    fn what_is_new_replaces_nothing() {
        let input = input();
        let backend = SiteForm { backend_name: "shop".into(), ..SiteForm::of_new_backend() };
        let error = backend.backend(&input).unwrap_err();
        assert!(error.status() == 409 && error.to_string().contains("there already"), "{error}");
        assert!(SiteForm { backend_name: "new".into(), ..backend }.backend(&input).is_ok());
        let form = SiteForm { backend_name: "shop".into(), ..SiteForm::of(&input, "", "").unwrap() };
        let domain = |domain: &str| SiteForm { domain: domain.into(), ..form.clone() }.domain(&input);
        assert_eq!(domain("SHOP.example").unwrap_err().status(), 409);
        assert!(domain("other.example").is_ok());
    }

    #[test]
    fn what_holds_for_names_below_needs_to_be_said_how_long() {
        let form = SiteForm { hsts_preload: "yes".into(), ..SiteForm::of_new_backend() };
        assert!(form.hsts().unwrap_err().to_string().starts_with("hsts_max_age_s: "));
        let form = SiteForm { hsts_max_age_s: "60".into(), ..form };
        let expected = HstsInput { max_age_s: Some(60), preload: true, include_subdomains: false };
        assert_eq!(form.hsts().unwrap(), Some(expected));
    }

    #[test]
    fn what_is_left_empty_is_left_out() {
        let form = SiteForm { domain: "a.example".into(), backend_name: "a".into(), ..SiteForm::default() };
        assert_eq!(form.domain(&input()).unwrap().servers, None);
        assert!(SiteForm::default().domain(&input()).is_err());
        let form = SiteForm { what: "backend".into(), backend_name: "shop".into(), ..SiteForm::default() };
        let backend = form.backend(&input()).unwrap();
        assert_eq!((backend.hsts, backend.health_check, backend.balance), (None, None, None));
    }

    #[test]
    fn a_server_that_is_not_understood_is_told_with_its_line() {
        let form = |servers: &str| SiteForm { servers: servers.into(), ..SiteForm::default() };
        let error = form("a 192.0.2.1:80\n\nb\n").read_servers().unwrap_err().to_string();
        assert!(error.starts_with("servers, line 3: write its name"), "{error}");
        assert!(form("a 192.0.2.1").read_servers().is_err());
    }
}
