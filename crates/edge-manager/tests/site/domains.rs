//! Domains, as older clients know them: byte for byte.

use serde_json::json;

use crate::manager::Manager;

const SHOP: &str = r#"{"domain": "Shop.example", "backend_name": "shop", "template_override": null, "servers": [
    {"name": "web1", "address": "192.0.2.10", "port": 8080, "options": "check inter 5s"},
    {"name": "web2", "address": "192.0.2.11", "port": "8080", "options": null, "weight": 3}]}"#;

/// Of a domain that was added while there is no HAProxy.
fn added(id: i64) -> (u16, String) {
    ok(&format!(
        r#"{{"status":"success","domain_id":{id},"message":"stored, not yet enforced: no HAProxy is attached"}}"#
    ))
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

fn backends(manager: &Manager) -> Vec<String> {
    let backends = manager.json("GET", "/api/backends", "");
    backends.as_array().unwrap().iter().map(|backend| backend["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_domain_is_added_listed_and_removed() {
    let manager = Manager::new();
    assert_eq!(manager.call("GET", "/api/domains", ""), ok("[]"));
    assert_eq!(manager.call("POST", "/api/domain", SHOP), added(1));
    let listed = r#"[{"id":1,"domain":"shop.example","ssl_enabled":0,"ssl_cert_path":null,"template_override":null,"backend_name":"shop"}]"#;
    assert_eq!(manager.call("GET", "/api/domains", ""), ok(listed));
    let cfg = manager.haproxy_cfg();
    assert!(cfg.contains("backend shop\n") && cfg.contains("server web2 192.0.2.11:8080"), "{cfg}");
    let (status, removed) = manager.call("DELETE", "/api/domain", r#"{"domain": "SHOP.example"}"#);
    assert_eq!(status, 200);
    let stored = " (stored, not yet enforced: no HAProxy is attached)";
    assert_eq!(
        removed,
        format!(r#"{{"status":"success","message":"Domain configuration removed{stored}"}}"#)
    );
    assert_eq!(manager.call("GET", "/api/domains", ""), ok("[]"));
    assert!(!manager.haproxy_cfg().contains("backend shop"));
    assert_eq!(manager.call("POST", "/api/domain", SHOP), added(2));
}

#[test]
fn what_is_missing_or_unknown_is_told() {
    let manager = Manager::new();
    for body in [
        r#"{"domain": "a.example"}"#,
        r#"{"backend_name": "a"}"#,
        r#"{"domain": "", "backend_name": "a"}"#,
        "{}",
    ] {
        assert_eq!(manager.refused(400, "POST", "/api/domain", body), "Domain and backend_name are required");
    }
    assert_eq!(manager.refused(400, "DELETE", "/api/domain", "{}"), "Domain is required");
    let unknown = r#"{"status":"error","message":"Domain not found"}"#;
    let answer = manager.call("DELETE", "/api/domain", r#"{"domain": "a.example"}"#);
    assert_eq!(answer, (404, unknown.to_owned()));
    for body in
        ["", "[]", "x", r#"{"domain": {}}"#, r#"{"domain": "a.example", "backend_name": "a", "servers": 7}"#]
    {
        manager.refused(400, "POST", "/api/domain", body);
    }
}

#[test]
fn a_domain_that_is_there_is_replaced() {
    let manager = Manager::new();
    manager.json("POST", "/api/domain", SHOP);
    let other = r#"{"domain": "shop.example", "backend_name": "shop", "servers": [{"name": "web3", "address": "localhost", "port": 80}]}"#;
    assert_eq!(manager.call("POST", "/api/domain", other), added(1));
    let cfg = manager.haproxy_cfg();
    assert!(cfg.contains("web3 localhost:80") && !cfg.contains("web1"), "{cfg}");
    let moved = r#"{"domain": "shop.example", "backend_name": "new", "servers": []}"#;
    assert_eq!(manager.call("POST", "/api/domain", moved), added(1));
    assert_eq!(backends(&manager), ["new"], "the backend that was left is gone");
}

#[test]
fn a_backend_stays_until_its_last_domain_goes() {
    let manager = Manager::new();
    let add = |domain: &str| {
        manager.json("POST", "/api/domain", &json!({"domain": domain, "backend_name": "shared"}).to_string());
    };
    let remove = |domain: &str| {
        manager.json("DELETE", "/api/domain", &json!({"domain": domain}).to_string());
    };
    let first = r#"{"domain": "a.example", "backend_name": "shared", "servers": [{"name": "s", "address": "192.0.2.1", "port": 80}]}"#;
    manager.json("POST", "/api/domain", first);
    add("b.example");
    assert!(manager.haproxy_cfg().contains("server s 192.0.2.1:80"), "servers stay where none are named");
    remove("a.example");
    assert_eq!(backends(&manager), ["shared"]);
    remove("b.example");
    assert_eq!(backends(&manager), [""; 0]);
    manager.json("PUT", "/api/backends/shared", "{}");
    add("a.example");
    remove("a.example");
    assert_eq!(backends(&manager), ["shared"], "one that was made by itself stays");
}

#[test]
fn wildcards_have_a_name_of_their_own() {
    let manager = Manager::new();
    for (id, body) in [
        (1, r#"{"domain": "*.a.example", "backend_name": "a"}"#),
        (2, r#"{"domain": "a.example", "backend_name": "a"}"#),
        (1, r#"{"domain": "a.example", "is_wildcard": true, "backend_name": "a"}"#),
    ] {
        assert_eq!(manager.json("POST", "/api/domain", body)["domain_id"], id);
    }
    assert_eq!(manager.json("GET", "/api/domains", "")[0]["domain"], "*.a.example");
    manager.json("DELETE", "/api/domain", r#"{"domain": "*.a.example"}"#);
    assert_eq!(manager.json("GET", "/api/domains", "").as_array().unwrap().len(), 1);
}

#[test]
fn a_wildcard_is_removed_under_the_name_that_it_was_made_with() {
    let manager = Manager::new();
    let wildcard = r#"{"domain": "a.example", "is_wildcard": true, "backend_name": "a"}"#;
    let exact = r#"{"domain": "a.example", "backend_name": "a"}"#;
    let names = || -> Vec<String> {
        let domains = manager.json("GET", "/api/domains", "");
        domains
            .as_array()
            .unwrap()
            .iter()
            .map(|domain| domain["domain"].as_str().unwrap().to_owned())
            .collect()
    };
    for (removed, left) in [
        (r#"{"domain": "a.example"}"#, "*.a.example"),
        (r#"{"domain": "a.example", "is_wildcard": "0"}"#, "*.a.example"),
        (r#"{"domain": "a.example", "is_wildcard": true}"#, "a.example"),
        (r#"{"domain": "A.example", "is_wildcard": 1}"#, "a.example"),
    ] {
        manager.json("POST", "/api/domain", wildcard);
        manager.json("POST", "/api/domain", exact);
        manager.json("DELETE", "/api/domain", removed);
        assert_eq!(names(), [left], "{removed}");
        manager.json("DELETE", "/api/domain", r#"{"domain": "a.example"}"#);
        assert_eq!(names(), [""; 0], "what else is of this name goes where there is nothing else");
    }
    // Who says which one gets no other.
    manager.json("POST", "/api/domain", wildcard);
    manager.refused(404, "DELETE", "/api/domain", r#"{"domain": "a.example", "is_wildcard": false}"#);
    manager.refused(404, "DELETE", "/api/domains", r#"{"domain": "a.example"}"#);
    manager.json("DELETE", "/api/domains", r#"{"domain": "*.a.example"}"#);
    manager.json("POST", "/api/domain", exact);
    manager.refused(404, "DELETE", "/api/domain", r#"{"domain": "a.example", "is_wildcard": true}"#);
    manager.refused(404, "DELETE", "/api/domain", r#"{"domain": "*.a.example"}"#);
    assert_eq!(names(), ["a.example"]);
}

#[test]
fn whether_it_is_a_wildcard_is_said_in_any_form_that_clients_have() {
    let manager = Manager::new();
    for (said, name) in [
        ("true", "*.a.example"),
        ("1", "*.a.example"),
        (r#""1""#, "*.a.example"),
        (r#""True""#, "*.a.example"),
        ("false", "a.example"),
        ("0", "a.example"),
        (r#""0""#, "a.example"),
        (r#""false""#, "a.example"),
        (r#""""#, "a.example"),
        ("null", "a.example"),
    ] {
        let body = format!(r#"{{"domain": "a.example", "is_wildcard": {said}, "backend_name": "a"}}"#);
        manager.json("POST", "/api/domain", &body);
        assert_eq!(manager.json("GET", "/api/domains", "")[0]["domain"], name, "{said}");
        manager.json("DELETE", "/api/domain", &json!({"domain": name}).to_string());
    }
    for said in ["2", "-1", "1.0", r#""yes""#, "[]", "{}"] {
        for method in ["POST", "DELETE"] {
            let body = format!(r#"{{"domain": "a.example", "is_wildcard": {said}, "backend_name": "a"}}"#);
            let told = manager.refused(400, method, "/api/domain", &body);
            assert_eq!(told, format!("is_wildcard: {said}: true, false, 1 or 0 is wanted"));
        }
    }
}

#[test]
fn what_is_no_name_is_no_domain_that_could_be_removed() {
    let manager = Manager::new();
    for name in ["a b", "a.example\n", "*.", "-", "x".repeat(300).as_str(), "/etc/passwd"] {
        let body = json!({"domain": name}).to_string();
        assert_eq!(manager.refused(404, "DELETE", "/api/domain", &body), "Domain not found", "{name}");
    }
}

#[test]
fn a_refused_value_names_its_field_and_changes_nothing() {
    let manager = Manager::new();
    manager.json("POST", "/api/domain", SHOP);
    let (files, site) = (manager.files(), manager.json("GET", "/api/site", ""));
    let cases = [
        (json!({"domain": "a b", "backend_name": "b"}), "domain: \"a b\" has a space at byte 1"),
        (json!({"domain": "b.example", "backend_name": "b b"}), "backends[1].name: \"b b\" has a space"),
        (
            json!({"domain": "b.example", "backend_name": "b", "servers": [{"name": "s", "address": "192.0.2.1", "port": 0}]}),
            "backends[b].servers[s].port: \"0\" is no port",
        ),
        (
            json!({"domain": "b.example", "backend_name": "b", "servers": [{"address": "192.0.2.1", "port": 1}]}),
            "backends[b].servers[0].name: \"\" is empty",
        ),
        (
            json!({"domain": "b.example", "backend_name": "b", "template_override": "none"}),
            "template none.j2: the domain b.example names it, and it is not in",
        ),
    ];
    for (body, message) in cases {
        let told = manager.refused(400, "POST", "/api/domain", &body.to_string());
        assert!(told.starts_with(message), "{told}");
    }
    assert_eq!((manager.files(), manager.json("GET", "/api/site", "")), (files, site));
}

#[test]
fn what_haproxy_refuses_is_told_in_its_words_and_not_stored() {
    let manager = Manager::new();
    manager.json("POST", "/api/domain", SHOP);
    std::fs::write(
        manager.dir.path().join("templates/bad.j2"),
        "backend {{ backend.name }}\n  blance magic\n",
    )
    .unwrap();
    let body = r#"{"domain": "b.example", "backend_name": "b", "template_override": "bad"}"#;
    let told = manager.refused(400, "POST", "/api/domain", body);
    assert!(told.contains("unknown keyword 'blance'"), "{told}");
    assert_eq!(manager.json("GET", "/api/domains", "").as_array().unwrap().len(), 1);
    assert!(!manager.haproxy_cfg().contains("blance"));
    let audit = &manager.json("GET", "/api/audit?limit=1", "")["changes"][0];
    assert_eq!((&audit["action"], &audit["target"]), (&json!("domain.put"), &json!("b.example")), "{audit}");
    assert!(audit["result"].as_str().unwrap().contains("blance"), "{audit}");
}

#[test]
fn the_newer_form_says_whether_haproxy_obeys() {
    let manager = Manager::new();
    let put = manager.json("PUT", "/api/domains", SHOP);
    let reason = "no HAProxy is attached";
    assert_eq!(
        put,
        json!({"status": "success", "enforcement": "stored_not_enforced", "reason": reason, "set": put["set"], "is_changed": true, "domain_id": 1})
    );
    let removed = manager.json("DELETE", "/api/domains", r#"{"domain": "shop.example"}"#);
    assert_eq!(removed["enforcement"], "stored_not_enforced");
}
