use std::fs;

use serde_json::Value;

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
    assert!(changes.iter().all(|change| change["target"] == "shop.example" && change["who"] == "local"));
}
