//! Domains, and the configuration that is made of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use edge_e2e::{Request, eventually, shipped};
use serde_json::json;

use super::{Supervised, is, refused};

const REMOVED: &str = r#"{"status":"success","message":"Domain configuration removed"}"#;
const RELOADED: &str = r#"{"status":"success","message":"HAProxy configuration reloaded safely"}"#;

#[test]
fn a_domain_is_served_from_its_answer_until_it_is_removed() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    assert!(served.is_served("www.example") && !served.is_served("shop.example"));
    is(&api.post("/api/domain", &served.domain("shop.example", "shop").to_string()), 200, &added(2));
    assert!(served.is_served("shop.example") && served.is_served("www.example"));
    is(
        &api.get("/api/domains"),
        200,
        &format!("[{},{}]", row(1, "www.example", "site"), row(2, "shop.example", "shop")),
    );
    is(&api.delete("/api/domain", r#"{"domain":"shop.example"}"#), 200, REMOVED);
    assert!(!served.is_served("shop.example") && served.is_served("www.example"));
    is(&api.get("/api/domains"), 200, &format!("[{}]", row(1, "www.example", "site")));
    // Ids are not given twice.
    let again = api.post("/api/domain", &served.domain("shop.example", "shop").to_string());
    is(&again, 200, &added(3));
    assert!(served.is_served("shop.example"));
}

#[test]
fn a_domain_that_is_there_is_replaced_as_panels_repeat_themselves() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    let elsewhere = json!({
        "domain": "www.example",
        "backend_name": "site",
        // Nobody listens there.
        "servers": [{"name": "s1", "address": "127.0.0.1", "port": 1, "options": ""}],
    });
    is(&api.post("/api/domain", &elsewhere.to_string()), 200, &added(1));
    assert!(!served.is_served("www.example"));
    is(&api.post("/api/domain", &served.domain("www.example", "site").to_string()), 200, &added(1));
    assert!(served.is_served("www.example"));
    is(&api.get("/api/domains"), 200, &format!("[{}]", row(1, "www.example", "site")));
}

#[test]
fn what_is_no_domain_is_refused_and_nothing_has_changed() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    let good = served.domain("shop.example", "shop");
    let with = |field: &str, value: serde_json::Value| {
        let mut domain = good.clone();
        domain[field] = value;
        domain
    };
    let with_server = |field: &str, value: serde_json::Value| {
        let mut domain = good.clone();
        domain["servers"][0][field] = value;
        domain
    };
    let bad = [
        json!({}),
        json!({"domain": "shop.example"}),
        json!({"backend_name": "shop"}),
        with("domain", json!("")),
        with("domain", json!("shop example")),
        with("domain", json!("shop.example\n  bind :1")),
        with("backend_name", json!("")),
        with("backend_name", json!("shop\n")),
        with("backend_name", json!("edge_refused")),
        with("template_override", json!("../../etc/passwd")),
        with("template_override", json!("no-such-template")),
        with("servers", json!("127.0.0.1:80")),
        with_server("name", json!("s 1")),
        with_server("address", json!("")),
        with_server("address", json!("127.0.0.1\"")),
        with_server("port", json!(0)),
        with_server("port", json!(65536)),
        with_server("port", json!("http")),
        with_server("options", json!("check\n  server evil 192.0.2.1:80")),
        with_server("options", json!("crt /etc/shadow")),
        with_server("options", json!("check inter")),
    ];
    for body in bad {
        refused(&api.post("/api/domain", &body.to_string()), 400);
    }
    refused(&api.post("/api/domain", "{\"domain\":"), 400);
    refused(&api.post("/api/domain", ""), 400);
    for body in ["", "{}", "[]", r#"{"domain":""}"#, r#"{"domain":[]}"#] {
        refused(&api.delete("/api/domain", body), 400);
    }
    refused(&api.delete("/api/domain", r#"{"domain":"nobody.example"}"#), 404);
    is(&api.get("/api/domains"), 200, &format!("[{}]", row(1, "www.example", "site")));
    assert!(served.is_served("www.example"));
}

#[test]
fn an_unknown_domain_gets_a_page_with_its_name() {
    let served = Supervised::start_with(|builder| {
        builder
            .env("HAPROXY_DEFAULT_PAGE_TITLE", "Nothing <here>")
            .env("HAPROXY_DEFAULT_MAIN_MESSAGE", "This is the main message.")
            .env("HAPROXY_DEFAULT_SECONDARY_MESSAGE", "This is the other message.")
    });
    let page = served.manager.send(&Request::get("/").host("nobody.example"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
    for text in
        ["nobody.example", "Nothing &lt;here&gt;", "This is the main message.", "This is the other message."]
    {
        assert!(page.body.contains(text), "no {text:?} in {}", page.body);
    }
}

#[test]
fn a_reload_is_answered_when_it_is_done() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    let before = served.manager.haproxy();
    for target in ["/api/regenerate", "/api/reload"] {
        is(&api.get(target), 200, r#"{"status":"success"}"#);
        assert!(served.is_served("www.example"));
    }
    is(&api.post("/api/config/reload", ""), 200, RELOADED);
    assert!(served.is_served("www.example"));
    // Other workers serve now.
    eventually("the end of the first worker", || {
        let now = served.manager.haproxy();
        before.iter().any(|pid| !now.contains(pid)).then_some(())
    });
}

#[test]
fn a_template_that_haproxy_refuses_is_told_and_the_last_good_one_serves_on() {
    let templates = tempfile::tempdir().unwrap();
    let path = templates.path().to_owned();
    let served = Supervised::start_with(|builder| builder.env("EDGE_TEMPLATE_DIR", path));
    let mut api = served.manager.api();
    let before = api.get("/api/configuration");
    let file = templates.path().join("limits.cfg.j2");
    fs::write(&file, "backend edge_connections\n  no-such-keyword here\n").unwrap();
    let shop = served.domain("shop.example", "shop").to_string();
    for (answer, status) in [(api.get("/api/regenerate"), 500), (api.post("/api/domain", &shop), 400)] {
        let message = refused(&answer, status);
        assert!(message.contains("no-such-keyword"), "what HAProxy said is not in {message:?}");
    }
    assert!(served.is_served("www.example") && !served.is_served("shop.example"));
    is(&api.get("/api/domains"), 200, &format!("[{}]", row(1, "www.example", "site")));
    assert_eq!(api.get("/api/configuration").body, before.body);
    fs::remove_file(&file).unwrap();
    is(&api.get("/api/regenerate"), 200, r#"{"status":"success"}"#);
    assert_eq!(api.post("/api/domain", &shop).status, 200);
    assert!(served.is_served("shop.example"));
}

#[test]
fn a_reload_that_haproxy_refuses_says_why_and_haproxy_serves_on() {
    let served = Supervised::start_with(|builder| {
        let dir = builder.dir().to_owned();
        builder.env("EDGE_ALLOW_DIRS", dir)
    });
    let mut api = served.manager.api();
    let certificate = served.manager.dir().join("www.pem");
    fs::copy(shipped("crates/edge-manager/tests/render/certificate.pem"), &certificate).unwrap();
    fs::set_permissions(&certificate, fs::Permissions::from_mode(0o600)).unwrap();
    let mut site = api.get("/api/site").json();
    site["domains"][0]["ssl_enabled"] = json!(true);
    site["domains"][0]["ssl_cert_path"] = json!(certificate);
    let answer = api.call("PUT", "/api/site", &site.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    is(&api.post("/api/config/reload", ""), 200, RELOADED);
    fs::write(&certificate, "no certificate\n").unwrap();
    let message = refused(&api.post("/api/config/reload", ""), 500);
    assert!(message.starts_with("Safe reload failed: "), "{message}");
    assert!(message.contains("www.pem"), "what HAProxy said is not in {message:?}");
    assert!(served.is_served("www.example"));
    fs::copy(shipped("crates/edge-manager/tests/render/certificate.pem"), &certificate).unwrap();
    is(&api.post("/api/config/reload", ""), 200, RELOADED);
    assert!(served.is_served("www.example"));
}

fn added(id: u32) -> String {
    format!(r#"{{"status":"success","domain_id":{id}}}"#)
}

fn row(id: u32, domain: &str, backend_name: &str) -> String {
    format!(
        r#"{{"id":{id},"domain":"{domain}","ssl_enabled":0,"ssl_cert_path":null,"template_override":null,"backend_name":"{backend_name}"}}"#
    )
}
