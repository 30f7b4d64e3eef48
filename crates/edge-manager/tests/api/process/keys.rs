//! `edge-manager key`, beside a server and without.

use super::Home;

#[test]
fn keys_are_made_listed_and_removed() {
    let home = Home::new();
    let failed = |code: i32, error: &str| (code, String::new(), format!("edge-manager: {error}\n"));
    let missing = format!("{}: there is no record of rules", home.path("rules.db").display());
    assert_eq!(home.run(&["key", "list"]), failed(4, &missing));
    assert_eq!(home.run(&["key", "remove", "panel"]), failed(4, &missing));
    let (code, key, error) = home.run(&["key", "add", "panel", "--role", "operator"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(key.starts_with("edge_") && key.len() == "edge_".len() + 64 + 1, "{key}");
    assert_eq!(
        home.run(&["key", "add", "panel", "--role", "read"]),
        failed(1, "a key panel is there already")
    );
    assert_eq!(
        home.run(&["key", "add", "a b", "--role", "read"]),
        failed(2, r#"name: "a b": 1 to 64 of a-z A-Z 0-9 . _ @ -"#)
    );
    for args in [&["key", "add", "page"][..], &["key", "add", "page", "--role", "root"], &["key"]] {
        assert_eq!(home.run(args).0, 2, "{args:?}");
    }
    let (_, listed, _) = home.run(&["key", "list"]);
    assert!(listed.starts_with("panel: operator, made 20") && listed.lines().count() == 1, "{listed}");
    let (_, json, _) = home.run(&["key", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["name"], &json["role"], json.as_object().unwrap().len()),
        (&"panel".into(), &"operator".into(), 3)
    );

    let serving = home.serve(&[], &[]);
    let header = format!("Authorization: Bearer {}", key.trim());
    let status = || serving.ask("GET", "/api/blocked-ips", &[&header], "").status;
    assert_eq!(status(), 200);
    assert_eq!(home.run(&["key", "add", "other", "--role", "admin"]).0, 0, "while it serves");
    assert_eq!(home.run(&["key", "remove", "panel"]), (0, String::new(), String::new()));
    assert_eq!(status(), 401);
    assert_eq!(home.run(&["key", "remove", "panel"]), failed(1, "there is no key panel"));
}
