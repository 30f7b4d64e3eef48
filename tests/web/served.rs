//! What is done on the page is what HAProxy does.

use edge_e2e::{Answer, Look, Port, Request, eventually};
use serde_json::json;

use crate::Site;

/// Opens what asks once, and says yes.
fn confirm(site: &Site, ask: &str) {
    site.browser.click(&format!("{ask} summary"));
    site.browser.click(&format!("{ask} button"));
}

#[test]
fn a_client_that_is_added_is_refused_until_it_is_removed() {
    let site = Site::with_admin(Look::DESK);
    assert!(!site.refuses("203.0.113.9"));
    site.open("/clients");
    site.browser.fill("#target", "203.0.113.0/24");
    site.browser.fill("#ends", "2h");
    site.browser.fill("#reason", "scans");
    site.browser.click("form[action='/clients/add'] button");
    assert_eq!(site.browser.text_of(".notice.done"), "203.0.113.0/24 is blocked. HAProxy obeys it.");
    assert!(site.refuses("203.0.113.9"));

    site.browser.fill("#q", "203.0.113.9");
    site.browser.click("form[role=search] button");
    assert_eq!(site.browser.text_of("#why"), "203.0.113.9: deny 403");
    assert!(site.browser.text_of("pre.words").contains("203.0.113.0/24"), "HAProxy says it too");

    confirm(&site, "td details.ask");
    assert!(site.browser.text_of(".notice.done").contains("is removed"));
    assert!(!site.refuses("203.0.113.9"));
}

#[test]
fn an_allowed_client_passes_a_blocked_network() {
    let site = Site::with_admin(Look::DESK);
    for (target, kind) in [("203.0.113.0/24", "block"), ("203.0.113.7", "allow")] {
        site.open("/clients");
        site.browser.fill("#target", target);
        site.browser.choose("#kind", kind);
        site.browser.click("form[action='/clients/add'] button");
        site.browser.text_of(".notice.done");
    }
    assert!(site.refuses("203.0.113.6") && !site.refuses("203.0.113.7"));
    site.open("/clients?kind=allow");
    confirm(&site, "td details.ask");
    assert!(site.browser.text_of(".notice.done").contains("is removed"));
    assert!(site.refuses("203.0.113.7"));
}

#[test]
fn a_list_that_is_pasted_is_refused_as_a_whole() {
    let site = Site::with_admin(Look::DESK);
    site.open("/clients/paste");
    site.browser.fill("#lines", "203.0.113.1\n203.0.113.999\n");
    site.browser.click("form[action='/clients/paste/look'] button");
    assert!(site.browser.text_of("li.bad").starts_with("Line 2:"));
    assert_eq!(site.browser.count("form[action='/clients/paste/make']"), 0);
    site.browser.fill("#lines", "203.0.113.1\n203.0.113.2, mail\n");
    site.browser.click("form[action='/clients/paste/look'] button");
    assert!(!site.refuses("203.0.113.2"), "looking changes nothing");
    site.browser.click("form[action='/clients/paste/make'] button");
    site.browser.text_of(".notice.done");
    assert!(site.refuses("203.0.113.1") && site.refuses("203.0.113.2"));
    site.open("/clients/paste");
    site.browser.fill("#lines", "203.0.113.2");
    site.browser.choose("#kind", "allow");
    site.browser.click("form[action='/clients/paste/look'] button");
    site.browser.click("form[action='/clients/paste/make'] button");
    site.browser.text_of(".notice.done");
    assert!(site.refuses("203.0.113.1") && !site.refuses("203.0.113.2"));
}

#[test]
fn what_a_backend_taught_is_seen_pinned_and_removed() {
    let site = Site::with_admin(Look::DESK);
    site.backend.answer("/probe", Answer::teaching("false;ttl=600"));
    site.manager.send(&Request::get("/probe").host("www.example"));
    assert!(!site.serves("www.example", "/probe"));
    eventually("the lesson is in the record", || {
        site.open("/resources");
        site.browser.text().contains("www.example/probe").then_some(())
    });
    let row = site.browser.text_of("tbody tr");
    assert!(row.contains("backend site, server s1") && row.contains("GET www.example/probe"), "{row}");
    site.browser.click("tbody details.ask:nth-of-type(1) summary");
    site.browser.click("form[action='/resources/pin'] button");
    assert!(site.browser.text_of(".notice.done").contains("is pinned"));
    assert!(!site.serves("www.example", "/probe"));
    confirm(&site, "tbody details.ask");
    assert!(site.browser.text_of(".notice.done").contains("is removed"));
    site.backend.answer("/probe", Answer::status(200));
    assert!(site.serves("www.example", "/probe"));

    // One that nobody has pinned.
    site.backend.answer("/other", Answer::teaching("false;ttl=600"));
    site.manager.send(&Request::get("/other").host("www.example"));
    site.backend.answer("/other", Answer::status(200));
    assert!(!site.serves("www.example", "/other"));
    eventually("the lesson is in the record", || {
        site.open("/resources?origin=learned");
        site.browser.text().contains("www.example/other").then_some(())
    });
    confirm(&site, "details:has(form[action='/resources/remove'])");
    assert!(site.browser.text_of(".notice.done").contains("www.example/other is taken back"));
    assert!(site.serves("www.example", "/other"));
}

#[test]
fn a_rule_on_a_resource_is_made_and_a_url_is_tested() {
    let site = Site::with_admin(Look::DESK);
    site.open("/resources");
    site.browser.fill("#target", "https://www.example/wp-login.php");
    site.browser.fill("#conditions", "method=POST");
    site.browser.choose("#action", "deny 404");
    site.browser.click("form[action='/resources/add'] button");
    site.browser.text_of(".notice.done");
    let post = Request::new("POST", "/wp-login.php").host("www.example").body("x");
    assert_eq!(site.manager.send(&post).status, 404);
    assert!(site.serves("www.example", "/wp-login.php"));
    site.open("/resources?url=www.example/wp-login.php&method=POST");
    assert!(site.browser.text_of("#why").ends_with("deny 404"));
    site.open("/resources?url=www.example/wp-login.php&method=GET");
    assert!(site.browser.text_of("#why").ends_with("pass"));
}

#[test]
fn a_domain_is_looked_at_before_haproxy_serves_it() {
    let site = Site::with_admin(Look::DESK);
    site.open("/domains/edit");
    site.browser.fill("#domain", "new.example");
    site.browser.fill("#backend_name", "new");
    site.browser.fill("#servers", &format!("s1 {} check", site.backend.addr()));
    site.browser.click("form[action='/domains/look'] button");
    assert!(site.browser.text_of("pre").contains("+backend new"), "{}", site.browser.text());
    assert!(!site.serves("new.example", "/"), "looking changes nothing");
    site.browser.click("form[action='/domains/apply'] button");
    assert!(site.browser.text_of(".notice.done").contains("new.example is published"));
    assert!(site.serves("new.example", "/"));
    eventually("its server is up", || {
        site.open("/domains");
        site.browser.text().contains("UP").then_some(())
    });

    site.open("/domains/edit?domain=new.example");
    site.browser.fill("#servers", "s1 192.0.2.1:80 check blance");
    site.browser.click("form[action='/domains/look'] button");
    assert!(site.browser.text_of("[role=alert]").contains("blance"), "{}", site.browser.text());
    assert!(site.serves("new.example", "/"), "what is refused changes nothing");

    site.open("/domains?q=new.example");
    confirm(&site, "tbody details.ask");
    assert!(site.browser.text_of(".notice.done").contains("served no longer"));
    assert!(!site.serves("new.example", "/"));
}

#[test]
fn the_options_of_a_backend_are_those_of_its_answers() {
    let site = Site::with_admin(Look::DESK);
    let cookie =
        || site.manager.send(&Request::get("/").host("www.example")).header("set-cookie").map(str::to_owned);
    assert_eq!(cookie(), None);
    site.open("/domains/edit?backend=site");
    site.browser.fill("#cookie", "SERVER");
    site.browser.click("form[action='/domains/look'] button");
    assert!(site.browser.text_of("pre .added").contains("cookie SERVER"), "{}", site.browser.text());
    assert_eq!(cookie(), None, "looking changes nothing");
    site.browser.click("form[action='/domains/apply'] button");
    assert!(site.browser.text_of(".notice.done").contains("site is published"));
    assert!(cookie().is_some_and(|cookie| cookie.starts_with("SERVER=s1")), "{:?}", cookie());
}

#[test]
fn a_backend_without_a_domain_is_removed_with_where_it_listens() {
    let site = Site::with_admin(Look::DESK);
    let listen = Port::reserve().expect("a free port");
    let to = site.backend.addr();
    let body = json!({"name": "plain", "mode": "tcp", "listen": listen.addr().to_string(),
        "servers": [{"name": "s1", "address": to.ip(), "port": to.port()}]});
    let answer = site.manager.api().call("PUT", "/api/backends/plain", &body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(Request::get("/").send(listen.addr()).expect("an answer").is_from_backend());
    site.open("/domains");
    confirm(&site, "details:has(form[action='/backends/remove'])");
    assert!(site.browser.text_of(".notice.done").contains("The backend plain is removed"));
    // The worker before may take its time to go.
    eventually("nobody listens", || Request::get("/").send(listen.addr()).is_err().then_some(()));
    assert!(site.serves("www.example", "/"));
}

#[test]
fn a_template_that_was_changed_in_its_file_is_rendered_when_that_is_asked_for() {
    let site = Site::with_admin(Look::DESK);
    let source = "<!doctype html><title>{{ page.title }}</title>From a file.";
    std::fs::write(site.templates.path().join("default.html.j2"), source).expect("a file of ours");
    let unknown = || site.manager.send(&Request::get("/").host("nobody.example")).body;
    assert!(!unknown().contains("From a file."));
    site.open("/configuration");
    confirm(&site, "details:has(form[action='/configuration/regenerate'])");
    assert!(site.browser.text_of(".notice.done").contains("Rendered anew"));
    assert!(unknown().contains("From a file."), "{}", unknown());
}

#[test]
fn a_configuration_is_compared_and_gone_back_to() {
    let site = Site::with_admin(Look::DESK);
    let domain = json!({"domain": "other.example", "backend_name": "site"});
    assert_eq!(site.manager.api().post("/api/domain", &domain.to_string()).status, 200);
    assert!(site.serves("other.example", "/"));
    site.open("/configuration");
    site.browser.click("tbody tr:first-child a");
    assert!(site.browser.text_of("pre .added").contains("other.example"), "{}", site.browser.text());
    site.open("/configuration");
    confirm(&site, "tbody tr:nth-child(2) details.ask");
    assert!(site.browser.text_of(".notice.done").contains("are published once more"));
    assert!(!site.serves("other.example", "/") && site.serves("www.example", "/"));
    site.open("/configuration/file?path=haproxy.cfg");
    assert!(site.browser.text_of("pre").contains("frontend edge_web"));
}

#[test]
fn a_template_is_checked_before_it_is_saved() {
    let site = Site::with_admin(Look::DESK);
    site.open("/configuration/template?name=default.html.j2");
    site.browser.fill("#source", "{{ nonsense");
    site.browser.click("form[action='/configuration/template/look'] button");
    assert!(site.browser.text_of("[role=alert]").contains("default.html.j2"), "{}", site.browser.text());
    site.browser.fill("#source", "<!doctype html><title>{{ page.title }}</title>Nobody lives here.");
    site.browser.click("form[action='/configuration/template/look'] button");
    assert!(site.browser.text_of("pre .added").contains("Nobody lives here."));
    assert!(!site.templates.path().join("default.html.j2").exists(), "looking changes nothing");
    site.browser.click("form[action='/configuration/template/save'] button");
    assert!(site.browser.text_of(".notice.done").contains("is in its place"));
    let unknown = site.manager.send(&Request::get("/").host("nobody.example"));
    assert!(unknown.body.contains("Nobody lives here."), "{unknown:?}");
    site.open("/configuration/template?name=default.html.j2");
    confirm(&site, "details.ask");
    site.browser.text_of(".notice.done");
    assert!(!site.templates.path().join("default.html.j2").exists());
}
