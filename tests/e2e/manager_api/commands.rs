//! Commands beside the manager that serves: it does what they ask for, with its own settings.

use std::fs;

use edge_e2e::{ManagerServer, module_dir};
use serde_json::{Value, json};

use super::Supervised;

/// What a command prints, which must end well.
#[track_caller]
fn done(manager: &ManagerServer, arguments: &[&str]) -> String {
    let output = manager.command(arguments);
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && error.is_empty(), "{arguments:?}: {out}{error}");
    out.into_owned()
}

#[test]
fn a_site_of_the_command_line_is_in_force_with_the_filter_and_recorded() {
    let module = fs::canonicalize(module_dir()).unwrap();
    let served = Supervised::start_with(|builder| {
        let without = builder.global(|global| global["filter"] = Value::Null);
        without.argument("--module-dir").argument(&module)
    });
    let manager = &served.manager;
    let mut api = manager.api();
    assert_eq!(api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#).status, 200);
    let mut site = api.get("/api/site").json();
    assert_eq!(site["global"]["filter"], Value::Null, "it comes from the settings of the manager");
    let mut domain = site["domains"][0].clone();
    domain["domain"] = json!("shop.example");
    site["domains"].as_array_mut().unwrap().push(domain);
    let path = manager.dir().join("site.json");
    fs::write(&path, site.to_string()).unwrap();
    let path = path.to_str().unwrap();

    let diff = done(manager, &["check", "--site", path]);
    assert!(
        diff.contains("+shop.example ") && !diff.contains("-lua-load") && !served.is_served("shop.example"),
        "{diff}"
    );
    let out = done(manager, &["reload", "--site", path]);
    assert!(out.starts_with("set ") && out.ends_with(": in force\n"), "{out}");
    assert!(served.is_served("shop.example") && served.is_served("www.example"));
    assert!(served.is_refused("198.51.100.7"), "the filter is there");
    assert_eq!(api.get("/api/site").json(), site);
    let set: u64 = out["set ".len()..].split(':').next().unwrap().parse().unwrap();
    assert_eq!(done(manager, &["reload"]), format!("set {set}, unchanged: in force\n"));

    let before = (set - 1).to_string();
    let back: Value =
        serde_json::from_str(&done(manager, &["configurations", "roll-back", &before, "--json"])).unwrap();
    assert_eq!(
        back,
        json!({"status": "success", "enforcement": "in_force", "set": set + 1, "is_changed": true})
    );
    assert!(!served.is_served("shop.example") && served.is_refused("198.51.100.7"));
    let changes: Vec<Value> = done(manager, &["audit", "--limit", "3", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let actions: Vec<_> = changes.iter().map(|change| change["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["configuration.rollback", "configuration.reload", "site.put"]);
}
