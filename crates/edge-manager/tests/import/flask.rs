//! The database of the Flask manager.

use serde_json::{Value, json};

use crate::home::Home;

const TABLES: &str = "
    CREATE TABLE domains (id INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT UNIQUE NOT NULL, ssl_enabled BOOLEAN DEFAULT 0,
        ssl_cert_path TEXT, template_override TEXT, is_wildcard BOOLEAN DEFAULT 0);
    CREATE TABLE backends (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, domain_id INTEGER, settings TEXT,
        FOREIGN KEY (domain_id) REFERENCES domains (id));
    CREATE TABLE backend_servers (id INTEGER PRIMARY KEY AUTOINCREMENT, backend_id INTEGER, server_name TEXT NOT NULL,
        server_address TEXT NOT NULL, server_port INTEGER NOT NULL, server_options TEXT);
    CREATE TABLE blocked_ips (id INTEGER PRIMARY KEY AUTOINCREMENT, ip_address TEXT UNIQUE NOT NULL, reason TEXT,
        blocked_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, blocked_by TEXT);
";

const SHOP: &str = "
    INSERT INTO domains VALUES (1, 'Shop.example', 0, NULL, '', 0), (2, 'example.net', 0, NULL, NULL, 1),
        (5, 'api.example', 0, NULL, NULL, 0);
    INSERT INTO backends VALUES (1, 'shop', 1, '{\"balance\": \"leastconn\", \"cookie\": \"SRV\"}'),
        (2, 'shop', 2, '{\"balance\": \"leastconn\", \"cookie\": \"SRV\"}'), (3, 'api', 5, 'balance source\noption httpchk GET /up\n');
    INSERT INTO backend_servers VALUES (1, 1, 'shop1', '192.0.2.10', 8080, 'check inter 5s'),
        (2, 2, 'shop1', '192.0.2.10', '8080', 'check inter 5s'), (3, 3, 'api1', 'localhost', 9000, NULL);
    INSERT INTO blocked_ips VALUES (1, '198.51.100.1', 'scans', '2024-01-15 10:30:00', 'admin'),
        (2, '2001:db8::1', NULL, '2024-02-01 00:00:00', NULL);
";

#[test]
fn everything_of_it_is_taken_over() {
    let home = Home::new();
    let db = home.database("flask.db", &[TABLES, SHOP].concat());
    let before = std::fs::read(&db).unwrap();
    let summary = home.json(&["import", "flask", &db, "--json"]);
    assert_eq!(summary["status"], "success", "{summary}");
    assert_eq!(summary["enforcement"], "stored_not_enforced", "{summary}");
    assert_eq!(summary["rules"], json!({"added": 2, "present": 0}));
    assert_eq!(summary["domains"], json!({"added": 3, "present": 0}));
    assert_eq!(summary["backends"], json!({"added": 2, "present": 0}));
    assert_eq!(std::fs::read(&db).unwrap(), before);
    let rule = &home.lines(&["list", "--json"])[0];
    assert_eq!(rule["created_at_s"], 1_705_314_600);
    assert_eq!(
        (&rule["created_by"], &rule["reason"], &rule["list"]),
        (&json!("admin"), &json!("scans"), &json!("manual"))
    );
    let site = home.json(&["site", "show"]);
    let names = |list: &str, field: &str| -> Vec<String> {
        site[list].as_array().unwrap().iter().map(|part| part[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("domains", "domain"), ["shop.example", "*.example.net", "api.example"]);
    assert_eq!(names("domains", "backend_name"), ["shop", "shop", "api"]);
    assert_eq!(names("backends", "name"), ["api", "shop"]);
    let [api, shop] = &site["backends"].as_array().unwrap()[..] else { panic!("{site}") };
    assert_eq!((&shop["balance"], &shop["cookie"]), (&json!("leastconn"), &json!("SRV")));
    assert_eq!(shop["servers"].as_array().unwrap().len(), 1);
    assert_eq!((&api["balance"], &api["health_check"]["path"]), (&json!("source"), &json!("/up")));
    let again = home.json(&["import", "flask", &db, "--json"]);
    assert_eq!(again["rules"], json!({"added": 0, "present": 2}));
    assert_eq!(again["domains"], json!({"added": 0, "present": 3}));
}

const BROKEN: &str = "
    INSERT INTO domains VALUES (1, 'ok.example', 0, NULL, NULL, 0), (2, 'bad name', 0, NULL, NULL, 0),
        (3, 'OK.example', 0, NULL, NULL, 0), (4, 'alone.example', 0, NULL, NULL, 0), (6, 'x.example\n  user root', 0, NULL, NULL, 0),
        (7, 'tls.example', 1, NULL, NULL, 0), (8, 'other.example', 0, NULL, NULL, 0);
    INSERT INTO backends VALUES (1, 'ok', 1, 'balance leastconn\nfullconn 10\n'), (2, 'b2', 2, NULL), (3, 'b3', 3, NULL),
        (4, 'bad name', 4, NULL), (5, 'orphan', 99, NULL), (6, 'b6', 6, NULL), (7, 'b7', 7, '{}'), (8, 'ok', 8, NULL),
        (9, 'second', 1, NULL);
    INSERT INTO backend_servers VALUES (1, 1, 'a', '192.0.2.1', 80, NULL), (2, 1, 'a', '192.0.2.2', 80, NULL),
        (3, 1, 'b', '192.0.2.3', 0, NULL), (4, 1, 'c', '192.0.2.4', 80, 'crt /etc/shadow'), (5, 77, 'd', '192.0.2.5', 80, NULL),
        (6, 1, 'e', x'00ff', 80, NULL);
    INSERT INTO blocked_ips VALUES (1, '192.0.2.1', 'fine', '2024-01-15 10:30:00', 'me'), (2, 'not an address', NULL, NULL, NULL),
        (3, '192.0.2.2', 'a' || char(10) || 'b', NULL, NULL), (4, '192.0.2.3', NULL, 'yesterday', NULL), (5, '/path', NULL, NULL, NULL),
        (6, CAST(zeroblob(70000) AS TEXT), NULL, NULL, NULL);
";

#[test]
fn every_row_that_cannot_be_taken_is_named_and_nothing_is() {
    let home = Home::new();
    let db = home.database("flask.db", &[TABLES, BROKEN].concat());
    let summary = home.json(&["import", "flask", &db, "--json"]);
    assert_eq!(summary["status"], "refused");
    let problems = summary["problems"].as_array().unwrap();
    let mut rows: Vec<_> =
        problems.iter().map(|row| (row["table"].as_str().unwrap(), row["id"].as_i64().unwrap())).collect();
    rows.sort_unstable();
    let expected = [
        ("backend_servers", 2),
        ("backend_servers", 3),
        ("backend_servers", 4),
        ("backend_servers", 5),
        ("backend_servers", 6),
        ("backends", 1),
        ("backends", 4),
        ("backends", 5),
        ("backends", 9),
        ("blocked_ips", 2),
        ("blocked_ips", 4),
        ("blocked_ips", 5),
        ("blocked_ips", 6),
        ("domains", 2),
        ("domains", 3),
        ("domains", 4),
        ("domains", 6),
        ("domains", 7),
        ("domains", 8),
    ];
    assert_eq!(rows, expected, "{problems:#?}");
    let told: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    for part in [
        "fullconn 10",
        "crt, which names a file",
        "\\\"yesterday\\\"",
        "domain 1 already",
        "has a line break",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!home.path("rules.db").exists(), "nothing was made");
}

#[test]
fn the_rest_is_taken_where_the_bad_is_to_be_skipped() {
    let home = Home::new();
    let db = home.database("flask.db", &[TABLES, BROKEN].concat());
    let (code, out, error) = home.run(&["import", "flask", &db, "--skip-invalid"]);
    assert_eq!(code, 3, "{out}{error}");
    assert!(out.starts_with("rules: 2 added, 0 present\ndomains: 1 added, 0 present\nbackends: 1 added, 0 present\n19 left out\n"), "{out}");
    assert_eq!(error.lines().count(), 19);
    let site = home.json(&["site", "show"]);
    assert_eq!(site["backends"][0]["balance"], "leastconn");
    assert_eq!(site["backends"][0]["servers"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_still_in_the_log_of_the_database_is_read_too() {
    let home = Home::new();
    let path = home.path("flask.db");
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.execute_batch(&format!("PRAGMA journal_mode = WAL; {TABLES}")).unwrap();
    writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    writer.execute_batch("INSERT INTO blocked_ips (ip_address) VALUES ('192.0.2.1')").unwrap();
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = names();
    let summary = home.json(&["import", "flask", &home.text("flask.db"), "--json", "--dry-run"]);
    assert_eq!(summary["rules"]["added"], 1);
    assert_eq!(names(), before, "nothing is left beside it");
}

#[test]
fn an_older_database_without_some_columns_and_tables_is_read() {
    let home = Home::new();
    let sql = "CREATE TABLE domains (id INTEGER PRIMARY KEY, domain TEXT); CREATE TABLE backends (id INTEGER PRIMARY KEY, name TEXT, \
               domain_id INTEGER); INSERT INTO domains VALUES (1, 'a.example'); INSERT INTO backends VALUES (1, 'a', 1);";
    let db = home.database("flask.db", sql);
    let summary = home.json(&["import", "flask", &db, "--json", "--dry-run"]);
    assert_eq!((&summary["domains"]["added"], &summary["invalid"]), (&json!(1), &json!(0)));
}

#[test]
fn what_is_no_such_database_is_told() {
    let home = Home::new();
    let text =
        home.file("text", "no database at all, but of some length, so that SQLite has something to look at");
    let (code, _, error) = home.run(&["import", "flask", &text]);
    assert_eq!((code, error.lines().count()), (4, 1), "{error}");
    let endless = "CREATE VIEW blocked_ips AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   SELECT i AS id, '192.0.2.1' AS ip_address FROM n";
    let view = home.database("view.db", endless);
    let (code, _, error) = home.run(&["import", "flask", &view]);
    assert_eq!(code, 4);
    assert!(error.contains("no database of the Flask manager"), "{error}");
}

#[test]
fn a_block_is_taken_whatever_is_said_of_it() {
    let home = Home::new();
    let sql = format!(
        "{TABLES} INSERT INTO blocked_ips VALUES (1, '192.0.2.1', 'login: root' || char(10, 27) || '[2J', NULL, 'a' || char(0) || 'b'), \
         (2, '192.0.2.2', '{}ä', NULL, '{}ä'), (3, '192.0.2.3', '{}', NULL, '{0}'), (4, '192.0.2.4', x'61ff62', NULL, NULL), \
         (5, '192.0.2.5', CAST(x'61ff62' AS TEXT), NULL, NULL);",
        "x".repeat(1023),
        "y".repeat(127),
        "z".repeat(70_000),
    );
    let db = home.database("flask.db", &sql);
    let summary = home.json(&["import", "flask", &db, "--json"]);
    assert_eq!((&summary["rules"]["added"], &summary["invalid"]), (&json!(5), &json!(0)), "{summary}");
    let rules = home.lines(&["list", "--json"]);
    let words =
        |at: usize| (rules[at]["reason"].as_str().unwrap(), rules[at]["created_by"].as_str().unwrap());
    assert_eq!(words(0), ("login: root  [2J", "a b"));
    assert_eq!(words(1), (&*"x".repeat(1023), &*"y".repeat(127)));
    assert_eq!(words(2), (&*"z".repeat(1024), &*"x".repeat(128)));
    assert_eq!([words(3).0, words(4).0], ["a\u{fffd}b"; 2]);
}

#[test]
fn numbers_of_rows_that_are_none_are_no_matter() {
    let home = Home::new();
    let sql = "CREATE TABLE blocked_ips (id TEXT, ip_address); INSERT INTO blocked_ips VALUES ('x', '192.0.2.1'), (NULL, 7)";
    let db = home.database("flask.db", sql);
    let summary: Value = home.json(&["import", "flask", &db, "--json", "--skip-invalid", "--dry-run"]);
    assert_eq!((&summary["rules"]["added"], &summary["invalid"]), (&json!(1), &json!(1)));
}

#[test]
fn a_value_of_any_length_is_named_and_never_held() {
    let home = Home::new();
    let huge = "
        CREATE TABLE blocked_ips (id INTEGER PRIMARY KEY, ip_address TEXT, reason TEXT);
        INSERT INTO blocked_ips VALUES (3, '192.0.2.1', 'a'), (7, '192.0.2.2', hex(zeroblob(1000000)));
        CREATE TABLE domains (id INTEGER PRIMARY KEY, domain TEXT);
        INSERT INTO domains VALUES (1, hex(zeroblob(1000000)));
    ";
    let db = home.database("flask.db", huge);
    let too_big = "string or blob too big";
    let told = |place: &str| (4, String::new(), format!("edge-manager: {db}: {place}: {too_big}\n"));
    assert_eq!(home.run(&["import", "flask", &db]), told("domains, the first row"));
    rusqlite::Connection::open(&db).unwrap().execute_batch("DELETE FROM domains").unwrap();
    assert_eq!(home.run(&["import", "flask", &db]), told("blocked_ips, the row behind 3"));
}

/// What a Flask manager has and this machine may not: 1 and 5 can be served here.
const ELSEWHERE: &str = "
    INSERT INTO domains VALUES (1, 'a.example', 0, NULL, 'mine', 0), (2, 'b.example', 0, NULL, 'hap_backend_basic', 0),
        (3, 'c.example', 0, NULL, 'other.j2', 0), (4, 'd.example', 1, '/none/d.example.pem', NULL, 0),
        (5, 'e.example', 0, NULL, 'mine.j2', 0), (6, 'f.example', 0, '/etc/haproxy/no-matter.pem', NULL, 0);
    INSERT INTO backends VALUES (1, 'shared', 1, NULL), (2, 'b', 2, NULL), (3, 'shared', 3, NULL), (4, 'd', 4, NULL),
        (5, 'shared', 5, NULL), (6, 'f', 6, NULL);
";

/// A directory of templates that a domain may name.
pub(crate) fn templates(home: &Home) -> String {
    std::fs::create_dir(home.path("templates")).unwrap();
    for name in ["mine", "other"] {
        home.file(&format!("templates/{name}.j2"), "backend {{ backend.name }}\n  balance first\n");
    }
    home.text("templates")
}

/// What of it cannot be taken, whether or not anything is to be changed.
pub(crate) fn elsewhere_is_told(home: &Home, templates: &str) {
    let db = home.database("flask.db", &[TABLES, ELSEWHERE].concat());
    let import = ["import", "flask", &db, "--templates", templates, "--json"];
    let with = |more: &[&str]| home.json(&[&import[..], more].concat());
    for summary in [with(&["--dry-run"]), with(&[])] {
        assert_eq!((&summary["status"], &summary["invalid"]), (&json!("refused"), &json!(3)), "{summary}");
        let problems: Vec<_> = summary["problems"].as_array().unwrap().iter().map(Value::to_string).collect();
        for (id, told) in [
            (3, "\\\"other.j2\\\" is not the template that another domain of the backend names, mine.j2"),
            (2, "template_override: \\\"hap_backend_basic\\\" is not in "),
            (4, "ssl_cert_path: \\\"/none/d.example.pem\\\": No such file or directory"),
        ] {
            let row = "\"table\":\"domains\"";
            let number = format!("\"id\":{id}");
            let is_told = |problem: &String| {
                problem.contains(row) && problem.contains(&number) && problem.contains(told)
            };
            assert!(problems.iter().any(is_told), "{id}: {told}: {problems:#?}");
        }
    }
    for summary in [with(&["--skip-invalid", "--dry-run"]), with(&["--skip-invalid"])] {
        assert_eq!(
            (&summary["domains"]["added"], &summary["backends"]["added"]),
            (&json!(3), &json!(2)),
            "{summary}"
        );
        assert_eq!(summary["invalid"], 3);
    }
    let listed = home.run(&["domain", "list"]).1;
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

#[test]
fn what_its_machine_had_and_this_one_has_not_is_told_by_row() {
    let home = Home::new();
    let templates = templates(&home);
    elsewhere_is_told(&home, &templates);
}

#[test]
fn a_domain_that_is_here_already_lacks_nothing() {
    let home = Home::new();
    home.run(&["domain", "add", "d.example", "d"]);
    let sql = "INSERT INTO domains VALUES (4, 'D.example', 1, '/none/d.example.pem', NULL, 0); INSERT INTO backends VALUES (4, 'd', 4, NULL);";
    let db = home.database("flask.db", &[TABLES, sql].concat());
    let summary = home.json(&["import", "flask", &db, "--json"]);
    assert_eq!(
        (&summary["domains"], &summary["invalid"]),
        (&json!({"added": 0, "present": 1}), &json!(0)),
        "{summary}"
    );
}

#[test]
fn a_dry_run_tells_what_the_import_would_be_refused_for() {
    let home = Home::new();
    let dir = templates(&home);
    let unknown = "INSERT INTO domains VALUES (1, 'a.example', 0, NULL, NULL, 0); INSERT INTO backends VALUES (1, 'a', 1, NULL); \
                   INSERT INTO backend_servers VALUES (1, 1, 'a', 'one.invalid', 80, NULL);";
    let unknown = home.database("unknown.db", &[TABLES, unknown].concat());
    let both = |db: &str| {
        let import = ["import", "flask", db, "--templates", &dir];
        let dry = home.run(&[&import[..], &["--dry-run"]].concat());
        assert_eq!(home.run(&import), dry);
        dry
    };
    let (code, out, error) = home.run(&["import", "flask", &unknown, "--dry-run"]);
    assert_eq!((code, out.as_str()), (1, ""), "{error}");
    assert!(error.contains("could not resolve address 'one.invalid'"), "{error}");
    assert!(!home.path("rules.db").exists() && !home.path("haproxy").exists(), "nothing was made");
    let (code, _, _) = both(&unknown);
    assert_eq!(code, 1);
    home.run(&["domain", "add", "z.example", "shared", "--template", "other", "--templates", &dir]);
    let other = "INSERT INTO domains VALUES (1, 'a.example', 0, NULL, 'mine', 0); INSERT INTO backends VALUES (1, 'shared', 1, NULL);";
    let (code, _, error) = both(&home.database("other.db", &[TABLES, other].concat()));
    assert_eq!(code, 2);
    assert!(error.contains("is not the template that another domain of the backend names"), "{error}");
}
