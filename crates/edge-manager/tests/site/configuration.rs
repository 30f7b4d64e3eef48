//! What is in force, what was, and reloads.

use edge_manager::access::Caller;
use edge_manager::sites::{Defaults, NewDomain};
use serde_json::json;

use crate::manager::{Manager, NOW_US};

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
    assert_eq!(history[0]["made_by"], "admin");
    let diff = manager.json("GET", &format!("/api/configuration/diff?from={one}&to={two}"), "");
    assert!(diff["diff"].as_str().unwrap().contains("+backend web"), "{diff}");
    let back = manager.json("POST", "/api/configuration/rollback", &json!({"set": one}).to_string());
    assert!(back["set"].as_u64().unwrap() > two);
    assert!(!manager.haproxy_cfg().contains("backend web"));
    assert_eq!(manager.json("GET", "/api/backends", ""), json!([]), "the record goes back with it");
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
fn a_template_that_is_put_undoes_no_change_that_is_made_meanwhile() {
    let manager = Manager::new();
    let caller = Caller::command_line();
    for (n, status) in [404, 410, 429].into_iter().enumerate() {
        let domain = NewDomain {
            domain: format!("d{n}.example").as_str().into(),
            backend_name: format!("meanwhile{n}").as_str().into(),
            ..NewDomain::default()
        };
        let template = format!("backend edge_refused\n  http-request deny deny_status {status}\n");
        std::thread::scope(|scope| {
            let put = || {
                manager.app.sites.put_template(&caller, "refused.cfg.j2", Some(&template), NOW_US).unwrap()
            };
            scope.spawn(put);
            scope.spawn(|| manager.app.sites.put_domain(&caller, domain, NOW_US).unwrap());
        });
        let cfg = manager.haproxy_cfg();
        assert!(
            cfg.contains(&format!("backend meanwhile{n}")) && cfg.contains(&format!("deny_status {status}"))
        );
    }
}

#[test]
fn a_reload_that_nobody_does_is_no_success() {
    let manager = Manager::new();
    let told = r#"{"status":"error","message":"Safe reload failed: no HAProxy is attached"}"#;
    assert_eq!(manager.call("POST", "/api/config/reload", ""), (500, told.to_owned()));
    assert_eq!(manager.call("GET", "/api/reload", "").0, 500);
}

#[test]
fn a_head_does_nothing() {
    let manager = Manager::new();
    let template = manager.dir.path().join("templates/refused.cfg.j2");
    std::fs::write(&template, "backend edge_refused\n  http-request deny deny_status 410\n").unwrap();
    for path in ["/api/regenerate", "/api/reload"] {
        assert_eq!(manager.call("HEAD", path, ""), (405, String::new()));
    }
    assert!(!manager.haproxy_cfg().contains("deny_status 410"));
    let actions = manager.json("GET", "/api/audit", "");
    let actions =
        actions["changes"].as_array().unwrap().iter().map(|change| change["action"].as_str().unwrap());
    assert_eq!(actions.filter(|action| action.starts_with("configuration.")).count(), 0);
    assert_eq!(manager.call("HEAD", "/api/configuration/history", "").0, 200);
}

#[test]
fn the_state_of_servers_is_kept_in_no_file_of_the_manager_or_of_others() {
    let manager = Manager::new();
    let at = |name: &str| manager.dir.path().join(name).display().to_string();
    std::fs::write(at("precious"), "precious").unwrap();
    let before = manager.haproxy_cfg();
    for (name, why) in [
        ("rules.db", "is the manager's own"),
        ("rules.db.sock", "is the manager's own"),
        ("rules.db-journal", "is the manager's own"),
        ("state/rules.snapshot", "is the manager's own"),
        ("haproxy/current/haproxy.cfg", "is the manager's own"),
        ("templates/web.cfg.j2", "is the manager's own"),
        ("precious", "a file is there that holds something else"),
    ] {
        let global = json!({"server_state_file": at(name)});
        let told = manager.refused(400, "PUT", "/api/global", &global.to_string());
        assert!(told.contains(&at(name)) && told.ends_with(why), "{told}");
        let site = json!({"global": global}).to_string();
        assert_eq!(manager.refused(400, "PUT", "/api/site?dry_run", &site), told);
    }
    assert_eq!(std::fs::read_to_string(at("precious")).unwrap(), "precious");
    assert_eq!(manager.haproxy_cfg(), before);
    let site = json!({"global": {"server_state_file": at("servers.state")}}).to_string();
    manager.json("PUT", "/api/site?dry_run", &site);
    assert!(!std::path::Path::new(&at("servers.state")).exists());
    manager.json("PUT", "/api/site", &site);
    assert_eq!(std::fs::read_to_string(at("servers.state")).unwrap(), "1\n");
}

#[test]
fn what_was_done_is_told_where_it_cannot_be_noted() {
    let manager = Manager::new();
    let set = manager.json("GET", "/api/configuration", "")["set"].as_u64().unwrap();
    manager.json("PUT", "/api/backends/web", "{}");
    let record = rusqlite::Connection::open(manager.dir.path().join("rules.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END";
    record.execute_batch(full).unwrap();
    assert_eq!(manager.json("GET", "/api/regenerate", "")["status"], "success");
    // What the record has to have is not done without it.
    manager.refused(500, "PUT", "/api/backends/other", "{}");
    // A roll back is in force all the same, since somebody needs it now; the next start records it.
    manager.refused(500, "POST", "/api/configuration/rollback", &json!({"set": set}).to_string());
    assert!(!manager.haproxy_cfg().contains("backend web"));
    record.execute_batch("DROP TRIGGER full").unwrap();
    let manager = Manager::open(manager.close(), Defaults::default(), None);
    assert_eq!(manager.json("GET", "/api/backends", ""), json!([]));
}
