//! What is in force, what was, and reloads.

use serde_json::json;

use crate::manager::Manager;

#[test]
fn the_configuration_is_shown_compared_and_brought_back() {
    let manager = Manager::new();
    let first = manager.json("GET", "/api/configuration", "");
    assert!(first["files"]["haproxy.cfg"].as_str().unwrap().contains("frontend edge_web"));
    let one = first["set"].as_u64().unwrap();
    let two = manager.json("PUT", "/api/backends/web", "{}")["set"].as_u64().unwrap();
    let history = manager.json("GET", "/api/configuration/history", "");
    let sets: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|set| (set["set"].as_u64().unwrap(), set["is_current"] == true))
        .collect();
    assert_eq!(sets, [(two, true), (one, false)]);
    assert_eq!(history[0]["made_by"], "local");
    let diff = manager.json("GET", &format!("/api/configuration/diff?from={one}&to={two}"), "");
    assert!(diff["diff"].as_str().unwrap().contains("+backend web"), "{diff}");
    let back = manager.json("POST", "/api/configuration/rollback", &json!({"set": one}).to_string());
    assert!(back["set"].as_u64().unwrap() > two);
    assert!(!manager.haproxy_cfg().contains("backend web"));
    assert_eq!(manager.json("GET", "/api/backends", "")[0]["name"], "web", "the record stays as it is");
    assert_eq!(
        manager.refused(404, "POST", "/api/configuration/rollback", r#"{"set": 999}"#),
        "there is no set 999"
    );
    for query in ["", "?from=1", "?from=x&to=1"] {
        manager.refused(400, "GET", &format!("/api/configuration/diff{query}"), "");
    }
}

#[test]
fn a_change_of_a_template_is_taken_by_regenerating() {
    let manager = Manager::new();
    let template = manager.dir.path().join("templates/refused.cfg.j2");
    std::fs::write(&template, "backend edge_refused\n  http-request deny deny_status 429\n").unwrap();
    let told = r#"{"status":"success","message":"stored, not yet enforced: no HAProxy is attached"}"#;
    assert_eq!(manager.call("GET", "/api/regenerate", ""), (200, told.to_owned()));
    assert!(manager.haproxy_cfg().contains("deny_status 429"));
    std::fs::write(&template, "{{ nothing }}").unwrap();
    let told = manager.refused(500, "GET", "/api/regenerate", "");
    assert!(told.contains("refused.cfg.j2, line 1"), "{told}");
    assert!(manager.haproxy_cfg().contains("deny_status 429"));
}

#[test]
fn a_reload_that_nobody_does_is_no_success() {
    let manager = Manager::new();
    let told = r#"{"status":"error","message":"Safe reload failed: no HAProxy is attached"}"#;
    assert_eq!(manager.call("POST", "/api/config/reload", ""), (500, told.to_owned()));
    assert_eq!(manager.call("GET", "/api/reload", "").0, 500);
}

#[test]
fn what_was_done_is_told_where_it_cannot_be_noted() {
    let manager = Manager::new();
    let set = manager.json("GET", "/api/configuration", "")["set"].as_u64().unwrap();
    manager.json("PUT", "/api/backends/web", "{}");
    let record = rusqlite::Connection::open(manager.dir.path().join("rules.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END";
    record.execute_batch(full).unwrap();
    let back = manager.json("POST", "/api/configuration/rollback", &json!({"set": set}).to_string());
    assert_eq!((&back["status"], &back["is_changed"]), (&json!("success"), &json!(true)));
    assert!(!manager.haproxy_cfg().contains("backend web"));
    assert_eq!(manager.json("GET", "/api/regenerate", "")["status"], "success");
    // What the record has to have is not done without it.
    manager.refused(500, "PUT", "/api/backends/other", "{}");
}
