//! Who may change what of the site, and which files it may name.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use edge_manager::access::{Caller, Role, add_key};
use edge_manager::api::Peer;
use edge_manager::site::FilterInput;
use edge_manager::sites::Defaults;
use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::manager::{Manager, NOW_US};

/// What haproxy.cfg names of the filter.
const STAND_IN: &str = "\
for _, name in ipairs({'edge_ip', 'edge_resource'}) do core.register_converters(name, function() return 0 end) end
core.register_action('edge_check', {'http-req'}, function() end)
core.register_action('edge_learn', {'http-res'}, function() end)
for _, name in ipairs({'edge_metrics', 'edge_status'}) do core.register_service(name, 'http', function() end) end
";

/// A directory of another user, with a filter that leaves a mark where it is executed.
struct Foreign {
    dir: tempfile::TempDir,
    mark: PathBuf,
}

impl Foreign {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let lua = format!("local mark = io.open({mark:?}, 'w') mark:write('executed') mark:close()\n");
        fs::write(dir.path().join("edge_filter.lua"), lua).unwrap();
        fs::write(dir.path().join("list"), "192.0.2.1\n").unwrap();
        if geteuid().is_root() {
            for name in ["", "edge_filter.lua", "list"] {
                chown(dir.path().join(name), Some(65_534), Some(65_534)).unwrap();
            }
            fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        } else {
            fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        }
        Self { dir, mark }
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Global settings that name something there: the setting, and the JSON.
    fn settings(&self) -> Vec<(&'static str, Value)> {
        let filter = |name: &str, file: String| json!({"filter": {"module_dir": self.at(""), "settings": [{"name": name, "value": file}]}});
        vec![
            ("filter.module_dir", json!({"filter": {"module_dir": self.at("")}})),
            ("filter.module_dir", filter("EDGE_BLOCK_FILES", self.at("list"))),
            ("stats_socket", json!({"stats_socket": self.at("socket")})),
            ("server_state_file", json!({"server_state_file": self.at("state")})),
            ("chroot", json!({"chroot": self.at("")})),
            ("log", json!({"log": self.at("log")})),
        ]
    }

    fn is_untouched(&self) {
        assert!(!self.mark.exists(), "the Lua file of another user was executed");
        let mut names: Vec<_> =
            fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["edge_filter.lua", "list"]);
    }
}

fn network() -> Peer {
    Peer::Network((IpAddr::from([127, 0, 0, 1]), 50_000).into())
}

fn site(global: &Value) -> Value {
    json!({"global": global})
}

#[test]
fn a_program_without_a_key_changes_rules_and_domains_and_nothing_else() {
    let manager = Manager::new();
    let body = json!({"domain": "shop.example", "backend_name": "shop",
        "servers": [{"name": "a", "address": "192.0.2.1", "port": 80, "options": "check"}]});
    for (method, path, body) in [
        ("POST", "/api/domain", body),
        ("PUT", "/api/backends/api", json!({"servers": [{"name": "b", "address": "192.0.2.2", "port": 80}]})),
        ("DELETE", "/api/backends/api", json!({})),
        ("POST", "/api/blocked-ips", json!({"ip_address": "192.0.2.9"})),
        ("POST", "/api/rules", json!({"ip": "192.0.2.8"})),
        ("GET", "/api/regenerate", Value::Null),
        ("GET", "/api/global", Value::Null),
        ("DELETE", "/api/domain", json!({"domain": "shop.example"})),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = manager.call_locally(method, path, &body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
    }
    let before = (manager.files(), manager.json("GET", "/api/site", ""));
    for (method, path, body) in [
        ("PUT", "/api/global", json!({"maxconn": 7})),
        ("PUT", "/api/site", json!({})),
        ("PUT", "/api/site?dry_run=true", json!({})),
        ("POST", "/api/import", json!({"rules": []})),
        ("POST", "/api/import/check", json!({})),
        ("POST", "/api/configuration/rollback", json!({"set": 1})),
        ("GET", "/api/configuration", Value::Null),
        ("POST", "/api/certificates/upload", json!({"domain": "shop.example"})),
        ("POST", "/api/certificates/request", json!({"domains": ["shop.example"]})),
        ("POST", "/api/ssl", json!({"domain": "shop.example"})),
        ("GET", "/api/certificates/shop.example/key", Value::Null),
        ("GET", "/api/certificates/shop.example/download", Value::Null),
        ("DELETE", "/api/certificates/shop.example", json!({})),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = manager.call_locally(method, path, &body);
        assert!(
            status == 403 && answer.contains("edge-manager key add"),
            "{method} {path}: {status} {answer}"
        );
    }
    // What has a port of its own, or names a file, is for admins also where it comes with a backend.
    for (path, body) in [
        ("/api/backends/mail", json!({"mode": "tcp", "listen": ":2525"})),
        ("/api/backends/mail", json!({"mode": "tcp", "listen": "127.0.0.1:22"})),
    ] {
        let (status, answer) = manager.call_locally("PUT", path, &body.to_string());
        assert!(status == 403 && answer.contains("a port of its own"), "{path} {body}: {status} {answer}");
    }
    assert_eq!((manager.files(), manager.json("GET", "/api/site", "")), before);
}

#[test]
fn what_comes_with_a_domain_loads_executes_and_writes_nothing() {
    let manager = Manager::new();
    let templates = manager.dir.path().join("templates");
    for name in ["global.cfg.j2", "haproxy.cfg.j2"] {
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(name);
        fs::copy(built_in, templates.join(name)).unwrap();
    }
    let domain = |template: Value, address: &str, options: &str| {
        json!({"domain": "shop.example", "backend_name": "shop", "template_override": template,
            "servers": [{"name": "a", "address": address, "port": 80, "options": options}]})
    };
    let mut bodies = Vec::new();
    for options in [
        "crt /etc/a.pem",
        "ca-file /etc/shadow",
        "crl-file /etc/a.pem",
        "external-check",
        "check external-check command /tmp/x",
        "namespace other",
        "resolvers docker_dns",
        "init-addr /tmp/x",
        "source 0.0.0.0 usesrc clientip",
        "log-bufsize 1",
        "sni file(/etc/shadow)",
        "check\n lua-load /tmp/x",
        "check # x",
        "check \\",
        "\"check\"",
        "$HOME",
    ] {
        bodies.push(domain(Value::Null, "192.0.2.1", options));
    }
    for address in ["unix@/tmp/x", "/tmp/x", "abns@x", "fd@3", "ipv4@192.0.2.1", "192.0.2.1 check", "a\nb"] {
        bodies.push(domain(Value::Null, address, ""));
    }
    for template in
        ["../x", "/etc/passwd", "global.cfg", "global.cfg.j2", "haproxy.cfg.j2", "none", ".x", "a/b"]
    {
        bodies.push(domain(json!(template), "192.0.2.1", ""));
    }
    for body in bodies {
        for (method, path) in [("POST", "/api/domain"), ("PUT", "/api/domains")] {
            let (status, answer) = manager.call_locally(method, path, &body.to_string());
            assert_eq!(status, 400, "{path} {body}: {answer}");
        }
    }
    assert_eq!(manager.json("GET", "/api/domains", ""), json!([]));
}

#[test]
fn a_domain_keeps_its_certificate_whoever_changes_its_backend() {
    let manager = Manager::new();
    let path = manager.dir.path().join("certificates/shop.example.pem");
    let site = json!({"backends": [{"name": "shop"}], "domains":
        [{"domain": "shop.example", "backend_name": "shop", "ssl_enabled": true, "ssl_cert_path": path}]});
    manager.json("PUT", "/api/site", &site.to_string());
    let body = json!({"domain": "shop.example", "backend_name": "other"});
    let (status, answer) = manager.call_locally("POST", "/api/domain", &body.to_string());
    assert_eq!(status, 200, "{answer}");
    let domain = &manager.json("GET", "/api/domains", "")[0];
    assert_eq!((&domain["ssl_cert_path"], &domain["backend_name"]), (&json!(path), &json!("other")));
}

#[test]
fn no_caller_names_a_file_of_another_user() {
    let (manager, foreign) = (Manager::new(), Foreign::new());
    let before = (manager.files(), manager.json("GET", "/api/site", ""));
    let keys = [Role::Reader, Role::Operator, Role::Admin].map(|role| {
        let key = add_key(&manager.app.store, &Caller::command_line(), role.name(), role, NOW_US).unwrap();
        (role, key.reveal().to_owned())
    });
    for (setting, global) in foreign.settings() {
        for (path, body) in [
            ("/api/global", global.clone()),
            ("/api/site", site(&global)),
            ("/api/site?dry_run=true", site(&global)),
        ] {
            for (role, key) in &keys {
                let (status, answer) = manager.call_as(network(), Some(key), "PUT", path, &body.to_string());
                let is_named = answer.contains(&format!("global.{setting}: "));
                let expected = if *role == Role::Admin { (400, true) } else { (403, false) };
                assert_eq!((status, is_named), expected, "{role} {path} {body}: {answer}");
            }
            let (status, answer) = manager.call("PUT", path, &body.to_string());
            assert!(
                status == 400 && answer.contains("--allow-dir") || setting == "chroot",
                "{path} {body}: {answer}"
            );
        }
    }
    let domains = json!([{"domain": "shop.example", "backend_name": "shop", "ssl_enabled": true,
        "ssl_cert_path": foreign.at("a.pem")}]);
    let body = json!({"backends": [{"name": "shop"}], "domains": domains}).to_string();
    for (method, path) in [("PUT", "/api/site"), ("PUT", "/api/site?dry_run=true"), ("POST", "/api/import")] {
        let told = manager.refused(400, method, path, &body);
        assert!(told.starts_with("domains[shop.example].ssl_cert_path: "), "{path} {told}");
    }
    foreign.is_untouched();
    assert_eq!((manager.files(), manager.json("GET", "/api/site", "")), before);
}

#[test]
fn what_a_record_of_before_names_for_another_user_is_told_and_not_published() {
    let foreign = Foreign::new();
    let module = tempfile::tempdir().unwrap();
    fs::write(module.path().join("edge_filter.lua"), STAND_IN).unwrap();
    let dir = Manager::new().close();
    let record = rusqlite::Connection::open(dir.path().join("rules.db")).unwrap();
    for (setting, global) in foreign.settings() {
        let mut global = global;
        global["http_bind"] = json!([":8082"]);
        record.execute("UPDATE global SET settings = ?", [global.to_string()]).unwrap();
        for module_dir in [None, Some(module.path())] {
            let mut defaults = Defaults::default();
            if let Some(dir) = module_dir {
                defaults.paths.allow_setting("filter.module_dir", dir);
                let module_dir = dir.display().to_string().into();
                defaults.filter = Some(FilterInput { module_dir, ..FilterInput::default() });
            }
            let manager = Manager::open(dir.clone(), defaults, None);
            let cfg = manager.haproxy_cfg();
            assert!(cfg.contains(":8082") && !cfg.contains(&foreign.at("")), "{setting} {cfg}");
            let is_loaded =
                module_dir.is_some_and(|dir| cfg.contains(&format!("{}/edge_filter.lua", dir.display())));
            assert_eq!(is_loaded, module_dir.is_some(), "{cfg}");
            let warnings = manager.app.sites.path_warnings().unwrap();
            assert!(warnings[0].starts_with(&format!("global.{setting}: ")), "{warnings:?}");
            // Domains can be changed all the same.
            let body = json!({"domain": "shop.example", "backend_name": "shop"}).to_string();
            assert_eq!(manager.call_locally("POST", "/api/domain", &body).0, 200);
            manager.close();
        }
    }
    foreign.is_untouched();
}
