//! The same commands while `serve` has the record: it does what they ask for.

use edge_e2e::Request;
use serde_json::json;

use crate::flask;
use crate::home::Home;

#[test]
fn domains_and_the_site_are_changed() {
    let home = Home::new();
    let _serving = home.serve();
    let stored = ": stored, not yet enforced: no HAProxy is attached\n";
    let (code, out, error) =
        home.run(&["domain", "add", "a.example", "web", "--server", "w=192.0.2.1:80,check"]);
    assert_eq!((code, out, error), (3, format!("domain 1{stored}"), String::new()));
    assert_eq!(home.run(&["domain", "list"]).1, "domain 1: a.example, backend web\n");
    let site = home.json(&["site", "show"]);
    assert_eq!(site["backends"][0]["servers"][0]["options"], "check");
    let (code, out, _) = home.run(&["domain", "remove", "a.example"]);
    assert_eq!((code, out), (3, format!("removed{stored}")));
    let (code, _, error) = home.run(&["domain", "remove", "a.example"]);
    assert_eq!((code, error.as_str()), (1, "edge-manager: a.example: no such domain\n"));
    let (code, _, error) = home.run(&["domain", "add", "a b", "web"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("domain: \"a b\" has a space"), "{error}");
    let file = home.file("site.json", site.to_string());
    let (code, out, error) = home.run(&["site", "apply", &file, "--dry-run"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.contains("+  server w 192.0.2.1:80"), "{out}");
    let (code, out, _) = home.run(&["site", "apply", &file]);
    assert_eq!((code, out), (3, format!("replaced{stored}")));
    assert_eq!(home.json(&["site", "show"]), site);
}

#[test]
fn thousands_of_rules_and_the_domains_of_another_manager_are_taken() {
    let home = Home::new();
    let sql = "CREATE TABLE domains (id INTEGER PRIMARY KEY, domain TEXT); CREATE TABLE backends (id INTEGER PRIMARY KEY, name TEXT, \
               domain_id INTEGER); CREATE TABLE blocked_ips (id INTEGER PRIMARY KEY, ip_address TEXT, blocked_at TEXT, blocked_by TEXT); \
               INSERT INTO domains VALUES (1, 'a.example'); INSERT INTO backends VALUES (1, 'a', 1); \
               WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 11999) INSERT INTO blocked_ips \
               SELECT i + 1, '10.0.' || (i / 250) || '.' || (i % 250), '2024-01-15 10:30:00', 'panel' FROM n;";
    let db = home.database("flask.db", sql);
    let _serving = home.serve();
    let summary = home.json(&["import", "flask", &db, "--json"]);
    assert_eq!(
        (&summary["status"], &summary["enforcement"], &summary["rules"]),
        (&json!("success"), &json!("stored_not_enforced"), &json!({"added": 12_000, "present": 0}))
    );
    assert_eq!(summary["domains"], json!({"added": 1, "present": 0}));
    let last = &home.lines(&["list", "--json", "--after", "11999"])[0];
    assert_eq!((&last["created_at_s"], &last["created_by"]), (&json!(1_705_314_600), &json!("panel")));
    let again = home.json(&["import", "flask", &db, "--json"]);
    assert_eq!(again["rules"], json!({"added": 0, "present": 12_000}));
}

/// It has templates of its own, whatever the command was told.
#[test]
fn what_the_machine_of_another_manager_had_is_told_by_row() {
    let home = Home::new();
    let templates = flask::templates(&home);
    let _serving = home.serve_with(Some(("EDGE_TEMPLATE_DIR", templates.as_str())));
    flask::elsewhere_is_told(&home, "/none");
}

#[test]
fn what_one_manager_exports_another_takes_in_bulk() {
    let home = Home::new();
    home.run(&[
        "block",
        "192.0.2.1",
        "2001:db8::/32",
        "/adm/*",
        "--reason",
        "a\"b",
        "--by",
        "me",
        "--until",
        "2100-01-01T00:00:00Z",
    ]);
    home.run(&[
        "block",
        "shop.example/login",
        "--if",
        "method=POST anon",
        "--action",
        "tarpit",
        "--list",
        "feed",
    ]);
    home.run(&["allow", "192.0.2.2"]);
    let (code, exported, _) = home.run(&["export"]);
    assert_eq!((code, exported.lines().count()), (0, 5));
    let other = Home::new();
    let (serving, address) = other.serve();
    let bulk = Request::new("POST", "/api/rules/bulk").host(&address.to_string());
    let answer = bulk.header("Content-Type", "application/x-ndjson").body(&exported).send(address).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    drop(serving);
    let all = |home: &Home| -> Vec<_> {
        let without = |mut rule: serde_json::Value| {
            rule["created_at_s"] = 0.into();
            rule
        };
        home.lines(&["list", "--json"]).into_iter().map(without).collect()
    };
    assert_eq!(all(&other), all(&home));
    assert_eq!(other.run(&["export"]).1, exported);
}
