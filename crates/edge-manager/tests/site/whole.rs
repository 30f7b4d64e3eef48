//! Backends, what holds for all of them, and everything at once.

use serde_json::{Value, json};

use crate::manager::Manager;

#[test]
fn a_backend_is_made_replaced_and_removed() {
    let manager = Manager::new();
    let body =
        json!({"balance": "leastconn", "servers": [{"name": "s", "address": "192.0.2.1", "port": 80}]})
            .to_string();
    let made = manager.json("PUT", "/api/backends/web", &body);
    assert_eq!((&made["status"], &made["is_changed"]), (&json!("success"), &json!(true)));
    let backend = manager.json("GET", "/api/backends/web", "");
    assert_eq!(
        (&backend["name"], &backend["balance"], &backend["mode"]),
        (&json!("web"), &json!("leastconn"), &Value::Null)
    );
    assert_eq!(manager.json("GET", "/api/backends", ""), json!([backend]));
    let again = manager.json("PUT", "/api/backends/web", &backend.to_string());
    assert_eq!(
        (&again["set"], &again["is_changed"]),
        (&made["set"], &json!(false)),
        "the same files are no new set"
    );
    let differs = manager.refused(400, "PUT", "/api/backends/other", &backend.to_string());
    assert_eq!(differs, "name: \"web\": it is not that of the path");
    manager.json("POST", "/api/domain", r#"{"domain": "a.example", "backend_name": "web"}"#);
    let needed = manager.refused(409, "DELETE", "/api/backends/web", "");
    assert_eq!(needed, "web: the domain a.example needs it");
    manager.json("DELETE", "/api/domain", r#"{"domain": "a.example"}"#);
    manager.json("DELETE", "/api/backends/web", "");
    assert_eq!(manager.refused(404, "DELETE", "/api/backends/web", ""), "web: no such backend");
    assert_eq!(manager.refused(404, "GET", "/api/backends/a%0Ab", ""), "a\\nb: no such backend");
}

#[test]
fn everything_comes_back_as_it_was_put_and_ids_stay() {
    let manager = Manager::new();
    let site = json!({
        "global": {"http_bind": [":8080"], "page": {"title": "Nothing"}, "limits": {"errors": 7}},
        "domains": [
            {"domain": "B.example", "backend_name": "web"},
            {"domain": "a.example", "backend_name": "web", "is_wildcard": true},
        ],
        "backends": [
            {"name": "web", "cookie": "C", "hsts": {"include_subdomains": true}, "servers": [
                {"name": "z", "address": "192.0.2.1", "port": "80", "options": "check"}, {"name": "a", "address": "192.0.2.2", "port": 81}]},
            {"name": "tcp", "mode": "tcp", "listen": "127.0.0.1:5432", "servers": []},
        ],
    });
    let put = manager.json("PUT", "/api/site", &site.to_string());
    assert!(put["diff"].as_str().unwrap().contains("+backend web"), "{put}");
    let shown = manager.json("GET", "/api/site", "");
    assert_eq!(shown["domains"][0]["domain"], "b.example");
    assert_eq!(
        shown["domains"][1],
        json!({"domain": "*.a.example", "is_wildcard": true, "ssl_enabled": false, "ssl_cert_path": null, "template_override": null, "backend_name": "web"})
    );
    let servers = shown["backends"][1]["servers"].as_array().unwrap();
    assert_eq!(
        servers.iter().map(|server| &server["name"]).collect::<Vec<_>>(),
        ["z", "a"],
        "in their order"
    );
    assert_eq!(
        (&shown["global"]["limits"]["errors"], &shown["global"]["limits"]["requests"]),
        (&json!(7), &json!(5000))
    );
    let again = manager.json("PUT", "/api/site", &shown.to_string());
    assert_eq!((&again["diff"], &again["set"]), (&json!(""), &put["set"]));
    assert_eq!(manager.json("GET", "/api/site", ""), shown);
    let mut less = shown.clone();
    less["domains"].as_array_mut().unwrap().remove(0);
    manager.json("PUT", "/api/site", &less.to_string());
    let ids = |manager: &Manager| -> Vec<i64> {
        let domains = manager.json("GET", "/api/domains", "");
        domains.as_array().unwrap().iter().map(|domain| domain["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&manager), [2]);
    manager.json("PUT", "/api/site", &shown.to_string());
    assert_eq!(ids(&manager), [2, 3], "a number is never given twice");
}

#[test]
fn what_has_changed_is_that_of_no_other_change() {
    let manager = Manager::new();
    let app = manager.app.clone();
    let caller = edge_manager::access::Caller::command_line();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..20 {
                let backend = serde_json::from_value(json!({"name": format!("other{n}")})).unwrap();
                app.sites.put_backend(&caller, backend, crate::manager::NOW_US).unwrap();
            }
        });
        for n in 0..20 {
            let site = json!({"backends": [{"name": format!("web{n}")}]});
            let put = manager.json("PUT", "/api/site", &site.to_string());
            let set = put["set"].as_u64().unwrap();
            assert_eq!(put["diff"], app.sites.configuration().diff(set - 1, set).unwrap());
        }
    });
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let manager = Manager::new();
    let files = manager.files();
    let site = r#"{"backends": [{"name": "web"}]}"#;
    let (status, text) = manager.call("PUT", "/api/site?dry_run", site);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200, "{text}");
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["diff"]);
    assert!(answer["diff"].as_str().unwrap().contains("+backend web"));
    assert_eq!((manager.files(), manager.json("GET", "/api/backends", "")), (files, json!([])));
    manager.refused(400, "PUT", "/api/site?dry_run=true", r#"{"backends": [{"name": "a b"}]}"#);
    let missing = json!({"backends": [{"name": "web"}], "domains": [{"domain": "a.example", "backend_name": "web", "ssl_enabled": true, "ssl_cert_path": "/none.pem"}]});
    let told = manager.refused(400, "PUT", "/api/site?dry_run=true", &missing.to_string());
    assert!(told.contains("/none.pem"), "{told}");
    manager.refused(400, "PUT", "/api/site", &missing.to_string());
    assert_eq!(manager.json("GET", "/api/domains", ""), json!([]));
}

#[test]
fn what_another_program_had_is_taken_over_once() {
    let manager = Manager::new();
    manager.json("POST", "/api/domain", r#"{"domain": "a.example", "backend_name": "mine"}"#);
    let body = json!({
        "domains": [{"domain": "A.example", "backend_name": "theirs"}, {"domain": "b.example", "backend_name": "theirs"}],
        "backends": [{"name": "theirs", "servers": [{"name": "s", "address": "192.0.2.1", "port": 80}]}],
        "rules": [{"kind": "block", "target": "192.0.2.1", "created_at_s": 1_600_000_000, "created_by": "them", "list": "manual"}],
    });
    let taken = manager.json("POST", "/api/import", &body.to_string());
    assert_eq!(taken["rules"], json!({"added": 1, "present": 0}));
    assert_eq!(taken["domains"], json!({"added": 1, "present": 1}));
    let again = manager.json("POST", "/api/import", &body.to_string());
    assert_eq!(
        (&again["rules"]["present"], &again["domains"]["present"], &again["backends"]["present"]),
        (&json!(1), &json!(2), &json!(1))
    );
    assert_eq!(manager.json("GET", "/api/domains", "")[0]["backend_name"], "mine");
    let bad = json!({"rules": [{"target": "192.0.2.2"}, {"target": "x"}]});
    let told = manager.refused(400, "POST", "/api/import", &bad.to_string());
    assert!(told.starts_with("rules[1]: target: \"x\""), "{told}");
}

/// What holds for all backends, with one setting of the filter. HAProxy only has to know the
/// names of the module, which no request uses here.
fn with_filter(manager: &Manager, name: &str, value: &str) -> String {
    let dir = manager.dir.path().join("module");
    std::fs::create_dir_all(&dir).unwrap();
    let names = r#"
        for _, name in ipairs({"edge_ip", "edge_resource"}) do core.register_converters(name, function() end) end
        core.register_action("edge_check", {"http-req"}, function() end)
        core.register_action("edge_learn", {"http-res"}, function() end)
        core.register_service("edge_metrics", "http", function() end)
        core.register_service("edge_status", "http", function() end)
    "#;
    std::fs::write(dir.join("edge_filter.lua"), names).unwrap();
    json!({"filter": {"module_dir": dir, "settings": [{"name": name, "value": value}]}}).to_string()
}

#[test]
fn the_filter_keeps_room_for_the_rules_that_there_are() {
    let manager = Manager::new();
    for n in 0..3 {
        manager.json("POST", "/api/blocked-ips", &format!(r#"{{"ip_address": "192.0.2.{n}"}}"#));
    }
    let global = |max| with_filter(&manager, "EDGE_MAX_RULES", max);
    manager.json("PUT", "/api/global", &global("3"));
    let told = manager.refused(409, "PUT", "/api/global", &global("2"));
    assert_eq!(told, "EDGE_MAX_RULES is 2, and 3 rules are in force");
    manager.json("DELETE", "/api/blocked-ips", r#"{"ip_address": "192.0.2.0"}"#);
    manager.json("PUT", "/api/global", &global("2"));
}

#[test]
fn parameters_of_a_path_are_explained_as_the_filter_takes_them() {
    let manager = Manager::new();
    manager.json("POST", "/api/rules", r#"{"target": "shop.example/b"}"#);
    let is_refused =
        || manager.json("GET", "/api/explain?url=shop.example/b%3Bv%3D1", "")["verdict"] != "pass";
    assert!(!is_refused());
    manager.json("PUT", "/api/global", &with_filter(&manager, "EDGE_PATH_PARAMS", "drop"));
    assert!(is_refused());
}
