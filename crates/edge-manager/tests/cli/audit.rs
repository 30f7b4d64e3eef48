//! `edge-manager audit`.

use serde_json::{Value, json};

use crate::home::{Home, done, failed};

/// Numbers of changes, as they are printed.
fn ids(home: &Home, args: &[&str]) -> Vec<i64> {
    let (code, out, error) = home.run(&[&["audit", "--json"], args].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap();
    out.lines().map(id).collect()
}

#[test]
fn who_changed_what_is_printed_with_the_newest_first() {
    for home in Home::both() {
        home.run(&["block", "192.0.2.1"]);
        home.run(&["block", "192.0.2.2"]);
        home.run(&["unblock", "192.0.2.1"]);
        let newest = home.json(&["audit", "--limit", "1", "--json"]);
        let (id, who) = (newest["id"].as_i64().unwrap(), newest["who"].as_str().unwrap());
        assert!(who.starts_with("CLI"), "{newest}");
        assert_eq!(
            (&newest["action"], &newest["target"], &newest["result"], &newest["from"]),
            (&json!("rules.remove"), &json!("block 192.0.2.1"), &json!("done"), &Value::Null)
        );
        let (_, line, _) = home.run(&["audit", "--limit", "1"]);
        assert!(line.starts_with(&format!("change {id}: 20")), "{line}");
        assert!(line.contains(&format!("Z, {who} (admin): rules.remove block 192.0.2.1: done, ")), "{line}");
        assert_eq!(ids(&home, &["--limit", "3"]), [id, id - 1, id - 2]);
        assert_eq!(ids(&home, &["--limit", "1", "--after", &id.to_string()]), [id - 1]);
        assert_eq!(ids(&home, &["--action", "rules.put"]), [id - 1, id - 2]);
        assert_eq!(ids(&home, &["--who", who, "--since", "2001-01-01T00:00:00Z"]), [id, id - 1, id - 2]);
        assert_eq!(home.run(&["audit", "--who", "nobody"]), done(0, ""));
        assert_eq!(home.run(&["audit", "--until", "2001-01-01T00:00:00Z"]), done(0, ""));
        assert_eq!(home.run(&["audit", "--since", "yesterday"]).0, 2);
    }
}

#[test]
fn all_of_a_long_audit_is_printed_once() {
    let home = Home::new();
    let missing = home.0.path().join("rules.db");
    let told = format!("{}: there is no record of rules", missing.display());
    assert_eq!(home.run(&["audit"]), failed(4, &told));
    home.run(&["block", "192.0.2.1"]);
    let record = rusqlite::Connection::open(&missing).unwrap();
    let sql = "INSERT INTO audit (at_us, caller, role, operation, target, result, duration_us) WITH RECURSIVE n(i) AS \
               (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT i, 'a', 'read', 'b', 'c', 'done', 1 FROM n";
    record.execute_batch(sql).unwrap();
    drop(record);
    assert_eq!(ids(&home, &[]), (1..=2500).rev().collect::<Vec<_>>());
    assert_eq!(ids(&home, &["--limit", "1500"]), (1001..=2500).rev().collect::<Vec<_>>());
    assert_eq!(ids(&home, &["--after", "2001", "--limit", "2000"]), (1..=2000).rev().collect::<Vec<_>>());
}
