use std::fs;

use serde_json::{Value, json};

use crate::home::Home;
use crate::pebble::{Manner, Pebble};

#[test]
fn the_files_of_a_certificate_are_to_be_had() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    manager.domain("shop.example");
    let missing = |path: &str, why: &str| {
        let (status, body) = manager.ask("GET", path, &Value::Null);
        assert_eq!(
            (status, body),
            (404, format!("{{\"status\":\"error\",\"message\":\"{why}\"}}")),
            "{path}"
        );
    };
    for part in ["download", "key", "cert"] {
        missing(&format!("/api/certificates/none.example/{part}"), "Domain not found");
        missing(&format!("/api/certificates/..%2Frules.db/{part}"), "Domain not found");
        missing(&format!("/api/certificates/shop.example/{part}"), "Certificate not found");
    }
    manager.enable("shop.example");
    let get = |part: &str| {
        let (status, body) =
            manager.ask("GET", &format!("/api/certificates/shop.example/{part}"), &Value::Null);
        assert_eq!(status, 200, "{body}");
        body
    };
    let whole = fs::read_to_string(home.certificates().join("shop.example.pem")).unwrap();
    assert_eq!(get("download"), whole);
    assert_eq!([get("cert"), get("key")].concat(), whole);
    assert!(!get("cert").contains("PRIVATE KEY") && !get("key").contains("BEGIN CERTIFICATE"));
    let audit = manager.json("GET", "/api/audit?action=certificate.key", &Value::Null);
    let changes = audit["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3, "download and key twice");
    assert!(changes.iter().all(|change| change["target"] == "shop.example"
        && change["who"].as_str().is_some_and(|who| who.starts_with("CLI:"))));
}

#[test]
fn a_certificate_goes_with_its_keys_once_no_domain_names_it() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    for name in ["one.example", "two.example"] {
        manager.domain(name);
        manager.enable(name);
    }
    let remove = |name: &str| {
        let (status, answer) = manager.ask("DELETE", &format!("/api/certificates/{name}"), &Value::Null);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        (status, answer["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(remove("one.example"), (409, "one.example: one.example is served with it".to_owned()));
    let end = |name: &str| {
        let metrics = manager.ask("GET", "/metrics", &Value::Null).1;
        metrics.contains(&format!("edge_manager_certificate_expiry_time_seconds{{certificate=\"{name}\"}}"))
    };
    assert!(end("one.example"));
    for name in ["one.example", "two.example"] {
        manager.json("DELETE", "/api/domain", &json!({"domain": name, "is_wildcard": false}));
    }
    assert!(!end("one.example"), "its end is no matter to anybody");
    assert_eq!(remove("one.example"), (200, String::new()));
    assert_eq!(remove("one.example"), (404, "one.example: there is no certificate".to_owned()));
    assert_eq!(home.files(), ["two.example.pem"]);
    let said = home.run(&["certificate", "remove", "two.example"]);
    assert_eq!(said, (0, "removed\n".to_owned(), String::new()));
    assert_eq!((home.files(), home.rows()), (Vec::new(), Vec::new()));
    let audit = manager.json("GET", "/api/audit?action=certificate.remove", &Value::Null);
    let targets: Vec<_> =
        audit["changes"].as_array().unwrap().iter().map(|change| &change["target"]).collect();
    assert_eq!(targets, ["two.example", "one.example"]);
}
