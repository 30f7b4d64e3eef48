use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use edge_manager::access::{Caller, Role, remove_key};
use edge_manager::web::list;

use super::{Visitor, form, token};
use crate::harness::{Manager, request};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[test]
fn without_a_session_every_page_leads_to_the_login() {
    let manager = Manager::with_key(Some("secret"));
    let pages: Vec<_> = list().into_iter().filter(|page| page.role.is_some()).collect();
    assert!(pages.len() >= 12, "{pages:?}");
    for page in pages {
        let mut visitor = Visitor::new(&manager);
        let answer = visitor.ask(page.method.as_str(), page.path, &[], "");
        assert_eq!(answer.status, 303, "{page:?} {answer:?}");
        assert!(answer.location().unwrap().starts_with("/login"), "{page:?} {answer:?}");
    }
    let answer = Visitor::new(&manager).get("/clients?q=192.0.2.1&kind=allow");
    assert_eq!(answer.location(), Some("/login?next=/clients%3fq%3d192.0.2.1%26kind%3dallow"));
}

#[test]
fn a_key_logs_in_and_its_cookie_is_for_this_site_alone() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::new(&manager);
    let page = visitor.get("/login?next=/audit");
    assert_eq!(page.status, 200);
    let token = token(&page.body).unwrap();
    let before = visitor.cookie.clone();
    let fields = [("token", token.as_str()), ("key", " secret\n"), ("next", "/audit")];
    let answer = visitor.post("/login", &fields);
    assert_eq!((answer.status, answer.location()), (303, Some("/audit")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; path=/; httponly; samesite=strict"), "{cookie}");
    assert_ne!(visitor.cookie, before, "the one before the login is worth nothing");
    assert_eq!(visitor.get("/audit").status, 200);
    let mut other = Visitor { manager: &manager, cookie: before };
    assert_eq!(other.get("/audit").status, 303);

    let mut behind_tls = Visitor::new(&manager);
    let answer = behind_tls.ask("GET", "/login", &["X-Forwarded-Proto: https"], "");
    assert!(answer.header("set-cookie").unwrap().ends_with("; secure"), "{answer:?}");
}

#[test]
fn who_follows_a_link_of_another_site_stays_logged_in() {
    let manager = Manager::with_key(Some("secret"));
    // A browser sends the session along with nothing that another site begins.
    let answer = Visitor::new(&manager).get("/login");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(!cookie.starts_with("edge_session="), "it would take the place of the session: {cookie}");
}

#[test]
fn a_login_never_leads_to_another_site() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::with_key(&manager, "secret");
    assert_eq!(visitor.get("/login?next=/audit").location(), Some("/audit"), "who is logged in goes on");
    for dropped in ["", "%09", "%0D", "%0A", "%00", "%5C"] {
        let there = format!("/{dropped}/evil.example");
        assert_eq!(visitor.get(&format!("/login?next={there}")).location(), Some("/"), "{there}");
    }
    let next = ("next", "/\t/evil.example");
    let answer = Visitor::new(&manager).send("/login", "/login", &[("key", "secret"), next]);
    assert_eq!((answer.status, answer.location()), (303, Some("/")), "{answer:?}");
}

#[test]
fn a_form_that_comes_after_its_session_is_told_to_be_lost() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::with_key(&manager, "secret");
    let mut other_tab = Visitor { manager: &manager, cookie: visitor.cookie.clone() };
    let token = token(&visitor.get("/clients?q=10.").body).unwrap();
    other_tab.send("/", "/logout", &[]);
    let referer = format!("Referer: http://{}/clients?q=10.", manager.address);
    let body = form(&[("token", &token), ("target", "192.0.2.1")]);
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let answer = visitor.ask("POST", "/clients/add", &[kind, &referer], &body);
    let way = "/login?lost=yes&next=/clients%3fq%3d10.";
    assert_eq!((answer.status, answer.location()), (303, Some(way)), "{answer:?}");
    let page = visitor.get(way).body;
    assert!(page.contains("nothing was changed") && page.contains("value=\"/clients?q=10.\""), "{page}");
    assert!(!visitor.get("/login").body.contains("nothing was changed"));
}

#[test]
fn a_page_that_refreshes_itself_leaves_the_notice_for_somebody_who_sees_it() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    visitor.send("/clients", "/clients/add", &[("target", "192.0.2.1")]);
    let refreshed = visitor.ask("GET", "/", &["X-Edge-Refresh: 1"], "");
    assert!(refreshed.status == 200 && !refreshed.body.contains("HAProxy obeys it."), "{refreshed:?}");
    assert!(visitor.get("/clients").body.contains("HAProxy obeys it."));
}

/// A request whose answer is read as it comes.
fn begin(manager: &Manager, method: &str, path: &str, headers: &[&str]) -> TcpStream {
    let mut stream = TcpStream::connect(manager.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(&request(manager.address, method, path, headers, b"")).unwrap();
    stream
}

/// Reads on until this comes.
fn read_until(stream: &mut TcpStream, words: &str) {
    let (mut bytes, mut piece) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&bytes).contains(words) {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "{:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&piece[..count]);
    }
}

#[test]
fn events_end_with_the_session_and_with_the_key() {
    let manager = Manager::with_key(Some("secret"));
    let key = manager.add_key("night", Role::Reader);
    let mut visitor = Visitor::with_key(&manager, &key);
    let mut logged_out = Visitor::with_key(&manager, "secret");
    let cookies = [&visitor, &logged_out].map(|visitor| format!("Cookie: {}", visitor.cookie));
    let bearer = format!("Authorization: Bearer {key}");
    let mut streams = [
        begin(&manager, "GET", "/events", &[&cookies[0]]),
        begin(&manager, "GET", "/events", &[&cookies[1]]),
        begin(&manager, "GET", "/api/events", &[&bearer]),
    ];
    for stream in &mut streams {
        read_until(stream, "text/event-stream");
    }
    assert_eq!(visitor.get("/").status, 200);
    logged_out.send("/", "/logout", &[]);
    remove_key(&manager.app.store, &Caller::command_line(), "night", 1).unwrap();
    for mut stream in streams {
        // It ends, and does not break off.
        read_until(&mut stream, "0\r\n\r\n");
    }
    eventually_nobody_listens(&manager);
}

fn eventually_nobody_listens(manager: &Manager) {
    edge_e2e::eventually("nobody listens", || (manager.app.events.listeners() == 0).then_some(()));
}

#[test]
fn of_forms_with_thousands_of_lines_few_are_read_at_the_same_time() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let token = token(&visitor.get("/clients/paste").body).unwrap();
    let cookie = format!("Cookie: {}", visitor.cookie);
    let kind = "Content-Type: application/x-www-form-urlencoded";
    // The server asks for a body as soon as it reads it.
    let headers = [kind, &cookie, "Content-Length: 1000", "Expect: 100-continue"];
    let mut slow =
        ["look", "make"].map(|what| begin(&manager, "POST", &format!("/clients/paste/{what}"), &headers));
    for stream in &mut slow {
        read_until(stream, "100 Continue");
    }
    let body = form(&[("token", &token), ("lines", "192.0.2.1\n")]);
    let (told, answered) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| told.send(visitor.ask("POST", "/clients/paste/look", &[kind], &body).status));
        // Others are answered meanwhile.
        for _ in 0..50 {
            assert_eq!(manager.get("/login").status, 200);
            let early = answered.try_recv();
            assert!(early.is_err(), "it was read beside two others: {early:?}");
        }
        drop(slow);
        assert_eq!(answered.recv(), Ok(200));
    });
}

#[test]
fn what_is_not_there_is_told_to_browsers_as_a_page() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::new(&manager);
    let html = "Accept: text/html,application/xhtml+xml";
    for (path, status, words) in
        [("/nowhere", 404, "no such path: /nowhere"), ("/clients/add", 405, "href=\"/clients\"")]
    {
        let page = visitor.ask("GET", path, &[html], "");
        assert_eq!(page.status, status, "{page:?}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
        assert_eq!(page.header("content-security-policy"), Some(POLICY), "{page:?}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("allow"), (status == 405).then_some("post"));
        assert!(page.body.contains(words), "{page:?}");
        let json = visitor.ask("GET", path, &["Accept: */*"], "");
        assert_eq!((json.status, json.json()["status"].as_str()), (status, Some("error")), "{json:?}");
    }
    let json = visitor.ask("GET", "/api/nowhere", &[html], "");
    assert_eq!((json.status, json.json()["status"].as_str()), (404, Some("error")), "{json:?}");
}

#[test]
fn a_key_that_is_not_known_and_a_form_from_elsewhere_log_nobody_in() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::new(&manager);
    let answer = visitor.send("/login", "/login", &[("key", "<script>guess")]);
    assert!(answer.status == 403 && answer.body.contains("This key is not known"), "{answer:?}");
    assert!(!answer.body.contains("<script>guess"));
    assert_eq!(visitor.get("/").status, 303);
    let other = token(&Visitor::new(&manager).get("/login").body).unwrap();
    for forged in [other.as_str(), "", "0"] {
        let answer = visitor.post("/login", &[("token", forged), ("key", "secret")]);
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let answer = Visitor::new(&manager).post("/login", &[("token", &other), ("key", "secret")]);
    assert_eq!(answer.status, 403, "without a cookie: {answer:?}");
    let token = token(&visitor.get("/login").body).unwrap();
    let body = form(&[("token", &token), ("key", "secret")]);
    let kind = "Content-Type: application/x-www-form-urlencoded";
    for foreign in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let answer = visitor.ask("POST", "/login", &[kind, foreign], &body);
        assert_eq!(answer.status, 403, "{foreign}: {answer:?}");
    }
    assert_eq!(visitor.ask("POST", "/login", &[kind], &body).status, 303, "it was good but for that");
}

#[test]
fn a_session_ends_with_its_key_and_with_the_log_out() {
    let manager = Manager::with_key(Some("secret"));
    let key = manager.add_key("night", Role::Operator);
    let mut visitor = Visitor::with_key(&manager, &key);
    assert!(visitor.get("/").body.contains("night"));
    remove_key(&manager.app.store, &Caller::command_line(), "night", 1).unwrap();
    assert_eq!(visitor.get("/").status, 303);

    let mut visitor = Visitor::with_key(&manager, "secret");
    let kept = visitor.cookie.clone();
    let answer = visitor.send("/", "/logout", &[]);
    assert_eq!((answer.status, answer.location()), (303, Some("/login")));
    assert!(answer.header("set-cookie").unwrap().contains("max-age=0"));
    assert_eq!(
        Visitor { manager: &manager, cookie: kept }.get("/").status,
        303,
        "whoever kept it has nothing"
    );
}

#[test]
fn a_form_without_the_token_of_its_session_changes_nothing() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let stranger = token(&Visitor::with_key(&manager, "secret").get("/").body).unwrap();
    for page in list().into_iter().filter(|page| page.method == "POST" && page.role.is_some()) {
        for forged in [&[][..], &[("token", "")], &[("token", stranger.as_str())]] {
            let answer = visitor.post(page.path, forged);
            assert!(
                answer.status == 403 && answer.body.contains("session that has ended"),
                "{page:?} {answer:?}"
            );
        }
    }
    let token = token(&visitor.get("/").body).unwrap();
    let body = form(&[("token", &token), ("target", "192.0.2.1")]);
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let foreign = visitor.ask("POST", "/clients/add", &[kind, "Origin: https://evil.example"], &body);
    assert!(foreign.status == 403 && foreign.body.contains("another site"), "{foreign:?}");
    assert_eq!(manager.audit(1).len(), 0, "nothing was changed");
    assert_eq!(visitor.ask("POST", "/clients/add", &[kind], &body).status, 303, "it was good but for that");
}

#[test]
fn while_there_is_no_key_nobody_logs_in_and_other_sites_are_refused() {
    let manager = Manager::start().with_haproxy();
    let mut visitor = Visitor::new(&manager);
    assert_eq!(visitor.get("/login").location(), Some("/"));
    let page = visitor.get("/");
    assert!(page.status == 200 && page.body.contains("Without a key: rules and domains only"), "{page:?}");
    let added = visitor.send("/clients", "/clients/add", &[("target", "192.0.2.1")]);
    assert_eq!((added.status, added.location()), (303, Some("/clients?kind=block")));
    assert!(visitor.get("/clients").body.contains("192.0.2.1 is blocked."));
    let rebound = format!(
        "GET / HTTP/1.1\r\nHost: evil.example:{}\r\nConnection: close\r\n\r\n",
        manager.address.port()
    );
    let stream = TcpStream::connect(manager.address).unwrap();
    let answer = crate::harness::ask(stream, rebound.as_bytes());
    assert!(answer.status == 403 && !answer.body.contains("192.0.2.1"), "{answer:?}");
    let token = token(&page.body);
    assert!(token.is_some() || !page.body.contains("<form"), "forms carry their token without keys too");
}

#[test]
fn every_page_says_what_browsers_may_do_with_it() {
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::with_key(&manager, "secret");
    let assets: Vec<String> = {
        let page = visitor.get("/").body;
        let after = |mark: &str| page.split(mark).nth(1).unwrap().split('"').next().unwrap().to_owned();
        vec![after("stylesheet\" href=\""), after("script src=\"")]
    };
    let pages = list().into_iter().filter(|page| page.method == "GET" && !page.path.contains('{'));
    let paths = pages.map(|page| page.path.to_owned()).filter(|path| path != "/events");
    for path in paths.chain(assets.clone()).chain(["/assets/none.css".to_owned()]) {
        let answer = visitor.get(&path);
        assert_eq!(answer.header("content-security-policy"), Some(POLICY), "{path} {answer:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("deny"), "{path}");
        let is_asset = assets.contains(&path) || path == "/favicon.ico";
        let cache = match &*path {
            "/favicon.ico" => "public, max-age=86400",
            _ if is_asset => "public, max-age=31536000, immutable",
            _ => "no-store",
        };
        assert_eq!(answer.header("cache-control"), Some(cache), "{path}");
        for inline in ["<style", " style=", "<script>", " onclick=", "javascript:"] {
            assert!(!answer.body.contains(inline) || is_asset, "{path} has {inline}");
        }
    }
    let answer = visitor.ask("GET", &assets[0], &[&format!("If-None-Match: \"{}\"", assets[0])], "");
    assert_eq!(answer.status, 304);
}
