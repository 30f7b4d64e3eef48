//! The first start, and those after it.

use edge_manager::site::{FilterInput, GlobalInput, PageInput};
use edge_manager::sites::{Defaults, NamedPaths};
use serde_json::{Value, json};

use crate::manager::Manager;

fn global(json: Value) -> GlobalInput {
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_file_of_the_first_start_is_recorded_once() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    std::fs::create_dir(dir.path().join("templates")).unwrap();
    let manager = Manager::open(dir, Defaults::default(), Some(global(json!({"http_bind": [":8081"]}))));
    assert!(manager.haproxy_cfg().contains("bind :8081"));
    manager.json("PUT", "/api/global", r#"{"http_bind": [":8082"]}"#);
    let dir = manager.close();
    let manager = Manager::open(dir, Defaults::default(), Some(global(json!({"http_bind": [":8081"]}))));
    assert!(manager.haproxy_cfg().contains("bind :8082"));
    assert_eq!(manager.json("GET", "/api/global", "")["http_bind"], json!([":8082"]));
}

#[test]
fn the_program_says_what_the_record_does_not() {
    let mut paths = NamedPaths::default();
    paths.allow(["/run".into()]);
    let defaults = Defaults {
        page: PageInput { title: Some("From outside".into()), ..PageInput::default() },
        filter: None,
        stats_socket: Some("/run/outside.sock".into()),
        paths,
    };
    let manager = Manager::with(defaults);
    assert!(manager.haproxy_cfg().contains("/run/outside.sock"));
    let body =
        json!({"stats_socket": "/run/inside.sock", "page": {"title": "Inside", "main_message": "Kept"}});
    manager.json("PUT", "/api/global", &body.to_string());
    assert!(manager.haproxy_cfg().contains("/run/inside.sock"));
    let page = manager.files()["pages/default.html"].as_str().unwrap().to_owned();
    assert!(page.contains("From outside") && page.contains("Kept") && !page.contains("Inside"), "{page}");
    assert_eq!(
        manager.json("GET", "/api/global", "")["page"]["title"],
        "Inside",
        "the record has what was said"
    );
}

#[test]
fn a_filter_that_the_program_names_is_loaded() {
    let filter = FilterInput { module_dir: "/nowhere".into(), ..FilterInput::default() };
    let manager = Manager::new();
    let defaults = Defaults { filter: Some(filter), ..Defaults::default() };
    let site = edge_manager::sites::Sites::new(manager.app.store.clone(), open(&manager), defaults);
    let error = site.start(None, crate::manager::NOW_US).unwrap_err().to_string();
    assert!(error.contains("/nowhere/edge_filter.lua"), "{error}");
}

fn open(manager: &Manager) -> edge_manager::configuration::Configuration {
    use edge_manager::{configuration, haproxy};
    let settings = configuration::Settings {
        dir: manager.dir.path().join("other"),
        templates: None,
        program: haproxy::Program::new("haproxy"),
        control: haproxy::Control::Nobody,
        patience: configuration::Patience::default(),
    };
    configuration::Configuration::open(settings).unwrap()
}

#[test]
fn what_was_published_and_not_recorded_is_gone_after_the_next_start() {
    let manager = Manager::new();
    manager.json("POST", "/api/domain", r#"{"domain": "a.example", "backend_name": "web"}"#);
    // As a process leaves it that is killed before it has written the record.
    let input = serde_json::from_str(r#"{"backends": [{"name": "unrecorded"}]}"#).unwrap();
    let site = manager.app.sites.parse(&input).unwrap();
    manager.app.sites.configuration().publish(&site, "killed").unwrap();
    assert!(manager.haproxy_cfg().contains("backend unrecorded"));
    let manager = Manager::open(manager.close(), Defaults::default(), None);
    let cfg = manager.haproxy_cfg();
    assert!(cfg.contains("backend web") && !cfg.contains("unrecorded"));
}

#[test]
fn a_roll_back_outlives_restarts_and_changes() {
    let manager = Manager::new();
    let back = |manager: &Manager| {
        let one =
            manager.json("GET", "/api/configuration/history", "").as_array().unwrap().last().unwrap()["set"]
                .clone();
        manager.json("POST", "/api/configuration/rollback", &json!({"set": one}).to_string())["set"].clone()
    };
    let restarted = |manager: Manager| Manager::open(manager.close(), Defaults::default(), None);
    let current = |manager: &Manager| manager.json("GET", "/api/configuration", "")["set"].clone();
    manager.json("PUT", "/api/backends/web", "{}");
    let set = back(&manager);
    let manager = restarted(manager);
    assert!(!manager.haproxy_cfg().contains("backend web"));
    assert_eq!(current(&manager), set);
    manager.json("PUT", "/api/backends/other", "{}");
    let manager = restarted(manager);
    let cfg = manager.haproxy_cfg();
    assert!(
        !cfg.contains("backend web") && cfg.contains("backend other"),
        "the change is made to what was gone back to"
    );

    back(&manager);
    manager.json("GET", "/api/regenerate", "");
    assert!(!manager.haproxy_cfg().contains("backend other"));
    let set = current(&manager);
    let manager = restarted(manager);
    assert_eq!(current(&manager), set, "what is in force is no new set");

    // What cannot be recorded does not end it either.
    back(&manager);
    let record = rusqlite::Connection::open(manager.dir.path().join("rules.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON backends BEGIN SELECT RAISE(ABORT, 'no room'); END";
    record.execute_batch(full).unwrap();
    manager.refused(500, "PUT", "/api/backends/third", "{}");
    let manager = restarted(manager);
    assert!(!manager.haproxy_cfg().contains("backend third"));
}

#[test]
fn the_record_is_published_where_haproxy_takes_what_was_gone_back_to_no_more() {
    let manager = Manager::new();
    let gone = manager.dir.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let global = json!({"server_state_file": gone.join("servers.state")});
    manager.json("PUT", "/api/global", &global.to_string());
    let set = manager.json("GET", "/api/configuration", "")["set"].clone();
    manager.json("PUT", "/api/global", "{}");
    // As after an earlier version, which did not keep what a configuration was made from.
    let record = rusqlite::Connection::open(manager.dir.path().join("rules.db")).unwrap();
    record.execute_batch("DELETE FROM site_versions").unwrap();
    manager.json("POST", "/api/configuration/rollback", &json!({"set": set}).to_string());
    assert!(manager.haproxy_cfg().contains("servers.state"));
    std::fs::remove_dir_all(&gone).unwrap();
    let manager = Manager::open(manager.close(), Defaults::default(), None);
    assert!(!manager.haproxy_cfg().contains("servers.state"));
}

#[test]
fn a_change_that_cannot_be_recorded_does_not_stay_in_force() {
    let manager = Manager::new();
    let record = rusqlite::Connection::open(manager.dir.path().join("rules.db")).unwrap();
    record
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON backends BEGIN SELECT RAISE(ABORT, 'no room'); END",
        )
        .unwrap();
    let told = manager.refused(500, "PUT", "/api/backends/web", "{}");
    assert!(told.contains("no room"), "{told}");
    assert!(!manager.haproxy_cfg().contains("backend web"));
    assert_eq!(manager.json("GET", "/api/backends", ""), json!([]));
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let manager = Manager::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let app = manager.app.clone();
            scope.spawn(move || {
                for n in 0..3 {
                    let name = format!("b{thread}-{n}");
                    let backend = serde_json::from_value(json!({"name": name})).unwrap();
                    let caller = edge_manager::access::Caller::command_line();
                    app.sites.put_backend(&caller, backend, crate::manager::NOW_US).unwrap();
                }
            });
        }
    });
    assert_eq!(manager.json("GET", "/api/backends", "").as_array().unwrap().len(), 12);
}
