//! What must not be written down.

use std::fs;
use std::path::Path;

use edge_e2e::Api;

use super::alone;

const KEY: &str = "a-secret-that-nobody-else-has-7f3e";
const WRONG: &str = "another-secret-that-was-mistyped-51c2";

/// Every file below a directory that has this text.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn no_key_is_in_any_log_or_file() {
    for format in ["text", "json"] {
        let builder = alone();
        let logs = builder.dir().join("logs");
        let manager = builder
            .key(KEY)
            .env("EDGE_LOG", "trace")
            .env("EDGE_LOG_FORMAT", format)
            .env("EDGE_LOG_DIR", &logs)
            .start();
        let mut api = manager.api();
        assert_eq!(api.post("/api/blocked-ips", r#"{"ip_address":"192.0.2.1"}"#).status, 200);
        assert_eq!(api.post("/api/blocked-ips", r#"{"ip_address":"192.0.2"}"#).status, 400);
        assert_eq!(Api::new(manager.addr()).key(WRONG).get("/api/blocked-ips").status, 401);
        let said = manager.command(&["key", "add", "panel", "--role", "operator"]);
        let out = String::from_utf8(said.stdout).unwrap();
        let made = out.split_whitespace().max_by_key(|word| word.len()).expect("a key").to_owned();
        assert_eq!(Api::new(manager.addr()).key(&made).get("/api/blocked-ips").status, 200);
        let answers = ["/api/audit", "/metrics", "/openapi.json", "/"].map(|target| api.get(target).body);
        // Each operation is there: who, what, on what.
        let general = fs::read_to_string(logs.join("manager.log")).unwrap();
        assert!(general.contains("192.0.2.1") && general.contains("HAPROXY_API_KEY"), "{general}");
        for secret in [KEY, WRONG, &made] {
            assert!(!answers.iter().any(|answer| answer.contains(secret)));
            assert_eq!(files_with(manager.dir(), secret), Vec::<String>::new(), "{secret}");
        }
    }
}
