//! Private keys are in files that only their owner reads, and nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use edge_manager::certificates::{Bundle, KeyKind, PrivateKey};
use serde_json::{Value, json};

use crate::authority::OwnAuthority;
use crate::home::Home;
use crate::pebble::{Manner, Pebble};

/// Every file below a directory, with its mode.
fn modes(dir: &Path, found: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        found.push((path.display().to_string(), mode));
        if path.is_dir() {
            modes(&path, found);
        }
    }
}

/// The lines of all keys in a text.
fn key_lines(text: &str, found: &mut BTreeSet<String>) {
    let mut is_key = false;
    for line in text.lines() {
        if line.starts_with("-----") {
            is_key = line.contains("BEGIN") && line.contains("PRIVATE KEY");
        } else if is_key {
            found.insert(line.to_owned());
        }
    }
}

#[test]
fn keys_are_in_their_files_and_nowhere_else() {
    let home = Home::new();
    let pebble = Pebble::start(home.port(), Manner::default());
    let manager = home.serve(&pebble.environment());
    let mut events = manager.events();
    let mut said = String::new();
    manager.domain("shop.example");
    let both = json!({"domains": ["shop.example"], "key_type": "both"});
    said += &manager.ask("POST", "/api/certificates/request", &both).1;
    // While an order is under way, too.
    let mut keys = BTreeSet::new();
    pebble.fault("/finalize-order/", "limited-long");
    said += &manager
        .ask(
            "POST",
            "/api/certificates/request",
            &json!({"domains": ["shop.example"], "force_renewal": true}),
        )
        .1;
    // What is refused is not repeated.
    let (chain, key) = OwnAuthority::new("shop").issue(&["other.example"], 2020, 2090);
    for (chain, key) in [(&*chain, &*key), (&key, &chain), ("x", &key), (&key, &key)] {
        let body = json!({"domain": "shop.example", "certificate": chain, "key": key});
        let (status, answer) = manager.ask("POST", "/api/certificates/upload", &body);
        assert_eq!(status, 400, "{answer}");
        said += &answer;
    }
    key_lines(&key, &mut keys);
    let odd = format!("{{\"domain\": {{}}, \"key\": {}}}", json!(key));
    said += &manager.ask("POST", "/api/certificates/upload", &serde_json::from_str::<Value>(&odd).unwrap()).1;
    key_lines(&manager.ask("GET", "/api/certificates/shop.example/key", &Value::Null).1, &mut keys);
    said += &manager.ask("GET", "/api/certificates/shop.example/cert", &Value::Null).1;
    for path in ["/api/certificates", "/api/certificates/status", "/api/audit", "/api/site", "/metrics"] {
        said += &manager.ask("GET", path, &Value::Null).1;
    }
    // The last event of all.
    manager.ask("POST", "/api/blocked-ips", &json!({"ip_address": "192.0.2.77"}));
    let heard = events.until("192.0.2.77");
    assert!(heard.contains("event: certificates"), "{heard}");

    let mut found = Vec::new();
    modes(&home.certificates(), &mut found);
    assert!(found.len() >= 5, "{found:?}");
    for (path, mode) in &found {
        let wanted = if Path::new(path).is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, wanted, "{path}");
        if !Path::new(path).is_dir() {
            key_lines(&fs::read_to_string(path).unwrap(), &mut keys);
        }
    }
    assert!(keys.len() > 20, "keys of both kinds, and that which was brought");
    let mut record = Vec::new();
    for name in ["rules.db", "rules.db-wal"] {
        record.extend(fs::read(home.path(name)).unwrap_or_default());
    }
    let record = String::from_utf8_lossy(&record);
    for (place, text) in [("log", &*home.log()), ("answers", &said), ("events", heard), ("record", &record)] {
        assert!(!text.contains("PRIVATE KEY"), "{place}");
        let key = keys.iter().find(|line| text.contains(&**line));
        assert!(key.is_none(), "{place}");
    }
}

#[test]
fn debug_shows_no_key() {
    for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
        let key = PrivateKey::generate(kind).unwrap();
        let names = edge_manager::certificates::Names::parse(&["shop.example"]).unwrap();
        let chain = key.self_signed(&names, 0, 4_000_000_000).unwrap();
        let bundle = Bundle::parse(&[chain, key.pem()].concat()).unwrap();
        let shown = format!("{key:?} {bundle:?} {bundle:#?}");
        assert!(shown.contains("shop.example"));
        let mut lines = BTreeSet::new();
        key_lines(&key.pem(), &mut lines);
        assert!(!lines.is_empty() && !shown.contains("PRIVATE KEY"));
        assert!(lines.iter().all(|line| !shown.contains(&**line)), "{shown}");
    }
}
