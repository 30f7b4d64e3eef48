//! Who may do what: every route of the API, without a key, with a wrong one, with one of a lesser role.

use edge_e2e::{Api, ManagerServer, Request, Response};

use super::{alone, blocked, refused};

const KEY: &str = "correct-horse-battery-staple";

/// What anybody may ask for.
const OPEN: [&str; 1] = ["/health"];

/// Legacy routes that do something although they are asked for with `GET`.
const CHANGING_GETS: [&str; 2] = ["/api/regenerate", "/api/reload"];

/// From the least to the most.
const ROLES: [&str; 3] = ["read", "operator", "admin"];

struct Route {
    method: String,
    path: String,
    /// The place in [`ROLES`] of the role that it needs, as its description says.
    role: usize,
}

impl Route {
    /// With something in place of its parameters.
    fn target(&self) -> String {
        let part = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    fn changes(&self) -> bool {
        self.method != "GET" || CHANGING_GETS.contains(&self.path.as_str())
    }

    fn call(&self, api: &mut Api) -> Response {
        api.call(&self.method, &self.target(), if self.method == "GET" { "" } else { "{}" })
    }
}

/// Every route that needs a key.
fn routes(api: &mut Api) -> Vec<Route> {
    let document = api.get("/openapi.json");
    assert_eq!(document.status, 200, "{document:?}");
    let document = document.json();
    let paths = document["paths"].as_object().expect("paths");
    let methods = ["get", "post", "put", "delete", "patch"];
    let routes = paths.iter().flat_map(|(path, item)| {
        let of = move |method: &str| {
            let text = item.get(method)?["description"].as_str().unwrap_or_default();
            let says = |role: &&str| text.ends_with(&format!("Needs a key of the role {role}."));
            let role = ROLES.iter().position(says);
            assert!(role.is_some() || OPEN.contains(&path.as_str()), "{method} {path} names no role");
            Some(Route { method: method.to_uppercase(), path: path.clone(), role: role.unwrap_or(0) })
        };
        methods.iter().copied().filter_map(of)
    });
    let closed: Vec<Route> = routes.filter(|route| !OPEN.contains(&route.path.as_str())).collect();
    assert!(closed.len() >= 14, "only {} routes", closed.len());
    closed
}

/// A key made on the command line.
fn key(manager: &ManagerServer, role: &str) -> String {
    let said = manager.command(&["key", "add", &format!("{role}-key"), "--role", role]);
    assert!(said.status.success(), "{said:?}");
    // The last word of what is printed, and the longest.
    let out = String::from_utf8(said.stdout).unwrap();
    let key = out.split_whitespace().max_by_key(|word| word.len()).expect("a key").to_owned();
    assert!(key.len() >= 43, "{out:?} has no 256 bits");
    key
}

#[test]
fn without_its_key_nothing_is_answered_but_health_and_page() {
    let manager = alone().key(KEY).start();
    let routes = routes(&mut manager.api());
    let almost = [&KEY[..KEY.len() - 1], &format!("{KEY}x"), &KEY.to_uppercase(), "x", ""];
    let mut strangers: Vec<Api> = almost.iter().map(|key| Api::new(manager.addr()).key(key)).collect();
    let mut without = Api::new(manager.addr());
    for route in &routes {
        refused(&route.call(&mut without), 401);
    }
    // A client that goes on with wrong keys has to wait: `who_tries_many_keys_has_to_wait`.
    for route in &routes[..2] {
        for stranger in &mut strangers {
            refused(&route.call(stranger), 401);
        }
    }
    assert_eq!(blocked(&mut manager.api()), Vec::<String>::new());
    for path in OPEN {
        let answer = Api::new(manager.addr()).get(path);
        assert!([200, 404, 500].contains(&answer.status), "{path}: {answer:?}");
    }
}

#[test]
fn a_key_stands_behind_bearer_only() {
    let manager = alone().key(KEY).start();
    let ask = |value: &str| {
        let request = Request::get("/api/blocked-ips").header("Authorization", value);
        request.send(manager.addr()).unwrap().status
    };
    assert_eq!(ask(&format!("Bearer {KEY}")), 200);
    for value in
        [KEY.to_owned(), format!("Basic {KEY}"), format!("Bearer{KEY}"), format!("Bearer {KEY} {KEY}")]
    {
        assert_eq!(ask(&value), 401, "{value}");
    }
    let target = format!("/api/blocked-ips?key={KEY}");
    assert_eq!(Request::get(&target).send(manager.addr()).unwrap().status, 401);
}

#[test]
fn a_key_opens_what_its_role_allows_and_nothing_else() {
    let manager = alone().key(KEY).start();
    let routes = routes(&mut manager.api());
    let mut apis = ROLES.map(|role| Api::new(manager.addr()).key(&key(&manager, role)));
    // Events do not end.
    for route in routes.iter().filter(|route| route.path != "/api/events") {
        assert!(!route.changes() || route.role > 0, "readers change {}", route.path);
        for (role, api) in apis.iter_mut().enumerate() {
            let answer = route.call(api);
            if role < route.role {
                refused(&answer, 403);
            } else {
                assert!(![401, 403].contains(&answer.status), "{} {}: {answer:?}", route.method, route.path);
            }
        }
    }
    let [reader, operator, _] = &mut apis;
    let body = r#"{"ip_address":"192.0.2.1"}"#;
    refused(&reader.post("/api/blocked-ips", body), 403);
    assert_eq!(operator.post("/api/blocked-ips", body).status, 200);
    assert_eq!(blocked(reader), ["192.0.2.1"]);
    refused(&operator.post("/api/domain", "{}"), 403);
}

#[test]
fn a_key_that_is_removed_opens_nothing_any_more() {
    let manager = alone().key(KEY).start();
    let key = key(&manager, "operator");
    let mut api = Api::new(manager.addr()).key(&key);
    assert_eq!(api.get("/api/blocked-ips").status, 200);
    let listed = manager.command(&["key", "list"]);
    let out = String::from_utf8(listed.stdout).unwrap();
    assert!(out.contains("operator-key") && !out.contains(&key), "{out}");
    assert!(manager.command(&["key", "remove", "operator-key"]).status.success());
    refused(&api.get("/api/blocked-ips"), 401);
}

#[test]
fn without_any_key_it_listens_on_loopback_only() {
    let failure = alone().argument("--listen").argument("0.0.0.0:0").try_start().unwrap_err();
    assert!(failure.status.is_some_and(|status| !status.success()), "{failure:?}");
    assert!(failure.log.contains("edge-manager key add"), "{}", failure.log);
    let manager = alone().key(KEY).argument("--listen").argument("0.0.0.0:0").start();
    assert_eq!(manager.addr().ip().to_string(), "0.0.0.0");
}

#[test]
fn every_answer_to_a_body_that_makes_no_sense_is_an_error_of_the_client() {
    let manager = alone().key(KEY).start();
    let mut api = manager.api();
    let routes = routes(&mut api);
    // Without HAProxy none is reloaded, whatever is asked for.
    for route in routes.iter().filter(|route| route.method != "GET" && route.path != "/api/config/reload") {
        for body in ["{", "[]", "7", "\"x\"", "null", r#"{"":{}}"#, "\u{0}", &"[".repeat(10_000)] {
            let answer = api.call(&route.method, &route.target(), body);
            assert!(answer.status < 500, "{} {} {body:.20}: {answer:?}", route.method, route.path);
        }
    }
}

#[test]
fn who_tries_many_keys_has_to_wait() {
    let manager = alone().key(KEY).start();
    let made = key(&manager, "read");
    let mut guesser = Api::new(manager.addr()).key("a-wrong-key");
    let refusals: Vec<u16> = (0..40).map(|_| guesser.get("/api/blocked-ips").status).collect();
    let looked_at = refusals.iter().filter(|status| **status == 401).count();
    assert!((11..16).contains(&looked_at) && refusals[11] == 429, "{refusals:?}");
    let told = guesser.get("/api/blocked-ips");
    let wait: u64 = told.header("retry-after").expect("when to come back").parse().expect("seconds");
    assert!(told.status == 429 && (1..=61).contains(&wait), "{told:?}");
    // What a person has chosen may be guessed, so that even the right one waits. A key of the manager's own cannot be.
    assert_eq!(manager.api().get("/api/blocked-ips").status, 429);
    assert_eq!(Api::new(manager.addr()).key(&made).get("/api/blocked-ips").status, 200);
    // Who has no key yet loses nothing, and the command line is not concerned.
    assert_eq!(Api::new(manager.addr()).get("/api/blocked-ips").status, 401);
    let blocked = manager.command(&["block", "192.0.2.1", "--wait", "0s"]);
    assert!([Some(0), Some(3)].contains(&blocked.status.code()), "{blocked:?}");
}

#[test]
fn a_short_key_is_taken_and_warned_of() {
    for (key, is_short) in [("x", true), ("fifteen-letters", true), ("sixteen--letters", false)] {
        let manager = alone().key(key).start();
        assert_eq!(manager.api().get("/api/blocked-ips").status, 200);
        assert_eq!(manager.log().contains("HAPROXY_API_KEY is shorter than 16 bytes"), is_short, "{key}");
    }
}
