//! No value of a client adds a line, or a word, to haproxy.cfg.

use edge_manager::sites::{Defaults, NamedPaths};
use serde_json::{Value, json};

use crate::manager::Manager;

/// Each names `EVIL`, which is in no file that was published.
const HOSTILE: [&str; 9] = [
    "x\n  EVIL",
    "x\r\n  EVIL",
    "x EVIL",
    "x\"EVIL",
    "x'EVIL",
    "x\\\nEVIL",
    "x#EVIL",
    "${EVIL}",
    "x\u{2028}EVIL\0",
];

fn full() -> Value {
    json!({
        "global": {
            "http_bind": [":80"], "https_bind": [":443"], "stats_bind": "127.0.0.1:8404", "stats_socket": "/run/edge.sock", "log": "stdout",
            "user": "haproxy", "group": "haproxy", "chroot": "/var/empty", "trusted_proxies": ["192.0.2.1", {"header": "X-Real-IP", "networks": ["192.0.2.3"]}],
            "proxy_protocol": ["192.0.2.4"], "keep_headers": ["X-Forwarded-Host"], "exempt": ["192.0.2.2"],
            "nameservers": ["192.0.2.53:53"], "server_state_file": "/var/lib/state",
            "peers": {"local": "a", "members": [{"name": "a", "address": "127.0.0.1", "port": 1}]},
            "mailers": {"members": [{"name": "m", "address": "192.0.2.25", "port": 25}], "from": "a@b.example", "to": "c@d.example"},
            "filter": {"module_dir": "/m", "state_dir": "/s", "settings": [{"name": "EDGE_LEARN_TTL", "value": "1"}]},
        },
        "domains": [{"domain": "a.example", "ssl_cert_path": "/a.pem", "template_override": "t", "backend_name": "b"}],
        "backends": [{
            "name": "b", "mode": "http", "balance": "hdr(X)", "websocket_timeout": "1h", "sse_timeout": "1h", "server_timeout": "1h",
            "wait_for_body": "1s", "cookie": "C", "health_check": {"method": "GET", "path": "/", "host": "a", "status": "200"},
            "servers": [{"name": "s", "address": "192.0.2.1", "port": 1, "options": "check"}],
        }],
    })
}

/// The place of every text.
fn places(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, format!("{at}/{name}"), all))
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(i, value)| places(value, format!("{at}/{i}"), all));
        }
        Value::String(_) => all.push(at),
        _ => {}
    }
}

#[test]
fn a_hostile_text_in_any_field_is_refused_and_nothing_changes() {
    let mut paths = NamedPaths::default();
    paths.allow(["/".into()]);
    let manager = Manager::with(Defaults { paths, ..Defaults::default() });
    let (files, site) = (manager.files(), manager.json("GET", "/api/site", ""));
    let mut all = Vec::new();
    places(&full(), String::new(), &mut all);
    assert!(all.len() > 40, "{all:?}");
    for place in all {
        for hostile in HOSTILE {
            let mut body = full();
            *body.pointer_mut(&place).unwrap() = hostile.into();
            let told = manager.refused(400, "PUT", "/api/site", &body.to_string());
            let field = place.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap();
            assert!(told.contains(field), "{place} {hostile:?}: {told}");
        }
    }
    assert_eq!((manager.files(), manager.json("GET", "/api/site", "")), (files, site));
}

#[test]
fn a_hostile_text_in_a_domain_is_refused() {
    let manager = Manager::new();
    let full = json!({
        "domain": "a.example", "backend_name": "b", "template_override": "t",
        "servers": [{"name": "s", "address": "192.0.2.1", "port": "1", "options": "check"}],
    });
    let mut all = Vec::new();
    places(&full, String::new(), &mut all);
    for (place, hostile) in all.iter().flat_map(|place| HOSTILE.iter().map(move |hostile| (place, hostile))) {
        let mut body = full.clone();
        *body.pointer_mut(place).unwrap() = (*hostile).into();
        manager.refused(400, "POST", "/api/domain", &body.to_string());
    }
    for hostile in HOSTILE {
        // Nobody serves it, and it is not repeated.
        let told = manager.refused(404, "DELETE", "/api/domain", &json!({"domain": hostile}).to_string());
        assert_eq!(told, "Domain not found");
    }
    assert_eq!(manager.call("GET", "/api/domains", ""), (200, "[]".to_owned()));
    assert!(!manager.haproxy_cfg().contains("EVIL"));
}

#[test]
fn texts_of_the_page_may_be_anything_and_stay_out_of_the_configuration() {
    let manager = Manager::new();
    let body = json!({"page": {"title": "\"</title><script>EVIL</script> ${EVIL} %[env(EVIL)]"}});
    manager.json("PUT", "/api/global", &body.to_string());
    assert!(!manager.haproxy_cfg().contains("EVIL"));
    let page = manager.files()["pages/default.html"].as_str().unwrap().to_owned();
    assert!(!page.contains("<script>") && page.contains("%%[env"), "{page}");
}

#[test]
fn broken_json_is_one_line() {
    let manager = Manager::new();
    for body in [
        "",
        "{",
        "[1]",
        "{\"domains\": 7}",
        "{\"unknown\": 1}",
        &"[".repeat(10_000),
        "{\"backends\":[{\"servers\":[{\"x\":1}]}]}",
    ] {
        manager.refused(400, "PUT", "/api/site", body);
    }
    let long = format!("{{\"domain\": \"{}\"}}", "a".repeat(2 << 20));
    manager.refused(413, "POST", "/api/domain", &long);
}
