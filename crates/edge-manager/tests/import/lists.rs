//! Map and ACL files.

use serde_json::json;

use crate::home::Home;

#[test]
fn a_map_gives_rules_for_its_keys() {
    let home = Home::new();
    let map = "# comment\n192.0.2.1 1\n2001:db8::/32\tblocked\n\n/wp-login.php false\n/open true\n\
               shop.example/adm/* 410\n198.51.100.9 429\r\n";
    let map = home.file("blocked.map", map);
    let summary = home.json(&["import", "map", &map, "--json", "--reason", "old map"]);
    assert_eq!(summary["rules"], json!({"added": 5, "present": 0}));
    assert_eq!(
        home.rules(),
        [
            "block 192.0.2.1 deny 403",
            "block 2001:db8::/32 deny 403",
            "resource /wp-login.php deny 403",
            "resource shop.example/adm/* deny 410",
            "block 198.51.100.9 deny 429",
        ]
    );
    let rule = &home.lines(&["list", "--json", "--list", "import"])[0];
    assert_eq!((&rule["reason"], &rule["created_by"]), (&json!("old map"), &json!("CLI")));
}

#[test]
fn a_column_that_means_something_else_is_told() {
    let home = Home::new();
    let lines = [
        "20.24.0.0/24 0",
        "20.25.0.0/24 allow",
        "20.1.0.0\t20.1.0.255\t24",
        "127.0.0.1 localhost",
        "10.0.0.0/8, 1",
        "192.168.1/24 1",
        "/wp-* 1",
    ];
    let map = home.file("bad.map", lines.join("\n"));
    let (code, out, error) = home.run(&["import", "map", &map]);
    assert_eq!((code, out.as_str()), (2, "nothing has changed: 7 cannot be taken\n"), "{error}");
    assert_eq!(error.lines().count(), 7, "{error}");
}

#[test]
fn a_path_like_a_prefix_length_goes_through_export_and_import() {
    let home = Home::new();
    let rules = ["http://192.0.2.1/24", "/a%2Ab", "shop.example/24"];
    for rule in rules {
        assert_eq!(home.run(&["block", rule]).0, 3, "no HAProxy is there");
        assert!(home.rules().iter().any(|line| line.contains(&format!(" {rule} "))), "{rule}");
    }
    let (code, map, error) = home.run(&["export", "--format", "map"]);
    assert_eq!(code, 0, "{error}");
    let before = home.rules();
    let other = Home::new();
    let map = other.file("rules.map", map);
    let summary = other.json(&["import", "map", &map, "--json"]);
    assert_eq!(summary["rules"], json!({"added": 3, "present": 0}));
    assert_eq!(other.rules(), before);
}

#[test]
fn what_is_there_already_is_skipped_and_counted() {
    let home = Home::new();
    home.run(&["block", "192.0.2.1", "--action", "drop", "--by", "me"]);
    let list = home.file("list.acl", "192.0.2.1\n192.0.2.2 # twice\n192.0.2.2\n");
    let summary = home.json(&["import", "acl", &list, "--json"]);
    assert_eq!(summary["rules"], json!({"added": 1, "present": 2}));
    assert_eq!(home.rules(), ["block 192.0.2.1 drop", "block 192.0.2.2 deny 403"]);
    let (code, out, _) = home.run(&["import", "acl", &list]);
    assert_eq!((code, out.lines().next()), (3, Some("rules: 0 added, 3 present")), "{out}");
}

#[test]
fn one_bad_line_leaves_everything_as_it_was_unless_it_is_to_be_skipped() {
    let home = Home::new();
    let good = home.file("good.acl", "192.0.2.1\n");
    let long = "x".repeat(100_000);
    let bad = format!("192.0.2.2\n192.0.2.3 192.0.2.4\n192.0.2.300\n{long}\n\u{7f}\n192.0.2.5\n");
    let mut bad = bad.into_bytes();
    bad.extend(b"\xff\xfe\n");
    let bad = home.file("bad.acl", bad);
    let (code, out, error) = home.run(&["import", "acl", &good, &bad]);
    assert_eq!(code, 2);
    assert_eq!(out, "nothing has changed: 5 cannot be taken\n");
    let expected = [
        "line 2: \"192.0.2.3 192.0.2.4\": more than one pattern",
        "line 3: target: \"192.0.2.300\": not an IPv4 or IPv6 address or CIDR, nor /path or host/path",
        "line 4: longer than 65536 bytes",
        "line 5: target: \"\\u{7f}\": not an IPv4 or IPv6 address or CIDR, nor /path or host/path",
        "line 7: not UTF-8",
    ];
    let expected = expected.map(|what| format!("edge-manager: {bad}, {what}"));
    assert_eq!(error.lines().collect::<Vec<_>>(), expected);
    assert!(!home.path("rules.db").exists(), "nothing was made");
    let summary = home.json(&["import", "acl", &good, &bad, "--skip-invalid", "--json"]);
    assert_eq!((&summary["rules"], &summary["invalid"]), (&json!({"added": 3, "present": 0}), &json!(5)));
    assert_eq!(summary["problems"][1]["line"], 3);
    assert_eq!(home.rules().len(), 3);
}

#[test]
fn a_dry_run_changes_nothing() {
    let home = Home::new();
    let list = home.file(
        "list.acl",
        "192.0.2.1
",
    );
    let (code, out, _) = home.run(&["import", "acl", &list, "--dry-run"]);
    assert_eq!((code, out.as_str()), (0, "rules: 1 can be taken\n"));
    assert!(!home.path("rules.db").exists());
}

#[test]
fn a_dry_run_is_refused_for_what_the_filter_has_no_room_for_as_the_import_is() {
    let home = Home::new();
    let record = "INSERT INTO global VALUES (1, '{\"filter\": {\"module_dir\": \"/none\", \"settings\": \
                  [{\"name\": \"EDGE_MAX_RULES\", \"value\": \"3\"}]}}')";
    home.run(&["block", "192.0.2.1"]);
    rusqlite::Connection::open(home.path("rules.db")).unwrap().execute_batch(record).unwrap();
    let before = home.rules();
    let both = |lines: &str| {
        let list = home.file("list.acl", lines);
        let (code, out, error) = home.run(&["import", "acl", &list, "--dry-run"]);
        assert_eq!(home.rules(), before, "{out}");
        (code, out, error)
    };
    let (code, out, _) = both("192.0.2.1\n192.0.2.2\n192.0.2.3\n");
    assert_eq!((code, out.as_str()), (0, "rules: 2 can be taken, 1 present\n"));
    let dry = both("192.0.2.2\n192.0.2.3\n192.0.2.4\n");
    assert_eq!(dry, home.run(&["import", "acl", &home.text("list.acl")]));
    assert_eq!((dry.0, dry.1.as_str()), (1, ""));
    assert!(dry.2.contains("EDGE_MAX_RULES"), "{}", dry.2);
}

#[test]
fn a_file_longer_than_one_change_is_taken_in_several() {
    let home = Home::new();
    let lines: String =
        (0..100_500u32).map(|n| format!("{}\n", std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))).collect();
    let list = home.file("list.acl", lines);
    let summary = home.json(&["import", "acl", &list, "--json"]);
    assert_eq!(summary["rules"], json!({"added": 100_500, "present": 0}));
    assert_eq!(home.run(&["list", "--after", "100499"]).1.lines().count(), 1);
}

#[test]
fn clients_can_be_let_pass() {
    let home = Home::new();
    let list = home.file(
        "partners.acl",
        "192.0.2.0/24
",
    );
    home.run(&["import", "acl", &list, "--allow"]);
    assert!(home.run(&["list"]).1.starts_with("rule 1: allow 192.0.2.0/24: no end, import"));
}

#[test]
fn what_is_no_file_is_told() {
    let home = Home::new();
    let missing = home.text("missing.acl");
    let (code, _, error) = home.run(&["import", "acl", &missing]);
    assert_eq!(
        (code, error),
        (4, format!("edge-manager: {missing}: No such file or directory (os error 2)\n"))
    );
    let (code, _, error) = home.run(&["import", "map", "/dev/zero"]);
    assert_eq!((code, error.as_str()), (4, "edge-manager: /dev/zero: no regular file\n"));
}

#[test]
fn what_is_exported_can_be_imported() {
    let home = Home::new();
    home.run(&["block", "192.0.2.1", "2001:db8::/32", "/adm/*"]);
    home.run(&["block", "/login", "--if", "method=POST"]);
    home.run(&["block", "192.0.2.7", "--action", "deny 429"]);
    home.run(&["allow", "192.0.2.2"]);
    home.run(&["allow", "192.0.2.3", "--ttl", "1h"]);
    home.run(&["block", "192.0.2.8", "/soon", "--ttl", "1h"]);
    home.run(&["block", "192.0.2.9", "--action", "observe"]);
    home.run(&["block", "192.0.2.10", "--action", "drop"]);
    let (code, out, error) = home.run(&["export", "--format", "acl"]);
    assert_eq!((code, out.as_str()), (0, "192.0.2.1\n2001:db8::/32\n192.0.2.7\n192.0.2.10\n"));
    let acl = "an ACL file has addresses only: those that are refused and have no end, or with --kind allow those that pass";
    assert_eq!(error, format!("edge-manager: 7 rules are left out: {acl}\n"));
    let (_, out, error) = home.run(&["export", "--format", "acl", "--kind", "allow"]);
    assert_eq!(
        (out, error),
        ("192.0.2.2\n".to_owned(), format!("edge-manager: 1 rules are left out: {acl}\n"))
    );
    let (_, map, error) = home.run(&["export", "--format", "map"]);
    assert_eq!(map, "192.0.2.1 403\n2001:db8::/32 403\n/adm/* 403\n192.0.2.7 429\n");
    assert_eq!(
        error,
        "edge-manager: 7 rules are left out: a map has no ends, no conditions, no actions but deny, and no clients that pass\n"
    );
    let other = Home::new();
    let map = other.file("old.map", map);
    other.run(&["import", "map", &map]);
    let rules = [
        "block 192.0.2.1 deny 403",
        "block 2001:db8::/32 deny 403",
        "resource /adm/* deny 403",
        "block 192.0.2.7 deny 429",
    ];
    assert_eq!(other.rules(), rules);
}
