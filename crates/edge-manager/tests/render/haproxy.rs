//! HAProxy takes what is rendered, without a warning: the installed one, and those of other series that
//! `scripts/haproxy-root.sh` has fetched.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use edge_manager::render::{Rendered, Version};
use edge_manager::site::Site;
use serde_json::{Value, json};

use crate::sites;

/// Debian keeps haproxy where the PATH of a user does not look.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The names that the templates use, without the filter behind them: it is built for one version of Lua.
const STAND_IN: &str = r#"
local function nothing() end
core.register_converters("edge_ip", nothing)
core.register_converters("edge_resource", nothing)
core.register_action("edge_check", { "http-req" }, nothing)
core.register_action("edge_learn", { "http-res" }, nothing)
core.register_service("edge_metrics", "http", nothing)
core.register_service("edge_status", "http", nothing)
assert(io.open(os.getenv("EDGE_BACKEND_FILE"))):close()
"#;

/// A site with the paths that HAProxy looks for at `-c` in a directory of the test.
fn on_this_machine(name: &str, directory: &Path) -> Value {
    let mut json = sites::json(name);
    if let Some(global) = json.get_mut("global").and_then(Value::as_object_mut) {
        for key in ["stats_socket", "server_state_file"] {
            global.entry(key).and_modify(|path| *path = json!(directory.join(key)));
        }
        if let Some(filter) = global.get_mut("filter") {
            fs::write(directory.join("edge_filter.lua"), STAND_IN).unwrap();
            filter["module_dir"] = json!(directory);
            filter["state_dir"] = json!(directory.join("state"));
        }
    }
    // `sites` has names that no DNS knows, and HAProxy warns of a state file that has no version.
    fs::write(directory.join("server_state_file"), "1\n").unwrap();
    for backend in json["backends"].as_array_mut().unwrap() {
        for server in backend["servers"].as_array_mut().unwrap() {
            if server["address"].as_str().unwrap().ends_with(".internal") {
                server["address"] = json!("localhost");
            }
        }
    }
    for domain in json["domains"].as_array_mut().unwrap() {
        if domain.get("ssl_cert_path").is_some() {
            domain["ssl_cert_path"] = json!(sites::directory("certificate.pem"));
        }
    }
    json
}

pub(crate) fn write(files: &Rendered, directory: &Path) {
    for (path, contents) in files.files() {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
}

/// What `haproxy -c` says, and whether it is content.
fn check(program: &OsString, directory: &Path) -> (bool, String) {
    let mut haproxy = Command::new(program);
    // From elsewhere: what is rendered may not depend on the directory that HAProxy is started in.
    haproxy.arg("-c").arg("-f").arg(directory.join(Rendered::MAIN)).env("PATH", PATH).current_dir("/");
    let output = haproxy.output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

fn version_of(program: &OsString) -> Option<Version> {
    let output = Command::new(program).arg("-v").env("PATH", PATH).output().ok()?;
    Some(Version::from_banner(&String::from_utf8_lossy(&output.stdout)).unwrap())
}

/// The installed one first; that of a suite which was not fetched is told of and left out.
fn programs() -> &'static [(OsString, Version)] {
    static PROGRAMS: LazyLock<Vec<(OsString, Version)>> = LazyLock::new(|| {
        let installed: OsString = "haproxy".into();
        let version = version_of(&installed).expect("HAProxy is installed");
        let mut programs = vec![(installed, version)];
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/edge-filter/roots"));
        let roots = std::env::var_os("EDGE_ROOTS").map(PathBuf::from).or_else(home).unwrap_or_default();
        for suite in ["trixie", "sid"] {
            let program = roots.join(suite).join("haproxy").into_os_string();
            match version_of(&program) {
                Some(version) => programs.push((program, version)),
                None => not_tested(suite),
            }
        }
        programs
    });
    &PROGRAMS
}

/// Past the capture of the test runner, which keeps what a test that passes has printed.
fn not_tested(suite: &str) {
    let words = format!("NOT TESTED: HAProxy of {suite}, which scripts/haproxy-root.sh {suite} fetches\n");
    io::stderr().write_all(words.as_bytes()).unwrap();
}

fn assert_taken(json: Value, directory: &Path, label: &str) {
    let site = Site::parse(&sites::input(json)).unwrap();
    for (program, version) in programs() {
        write(&sites::templates().render(&site, *version).unwrap(), directory);
        let (is_valid, words) = check(program, directory);
        assert!(is_valid, "{label} on {version:?}: {words}");
        // 3.2 is the last series that sends mail by itself, and says so.
        let mut others = words.lines().filter(|line| !line.contains("Legacy mailers"));
        let is_complaint = |line: &str| line.contains("[WARNING]") || line.contains("[ALERT]");
        assert!(!others.any(is_complaint), "{label} on {version:?}: {words}");
    }
}

#[test]
fn every_site_is_taken_without_a_warning() {
    for name in sites::NAMES {
        let directory = tempfile::tempdir().unwrap();
        assert_taken(on_this_machine(name, directory.path()), directory.path(), name);
    }
}

/// One server with each, since HAProxy refuses some beside others.
#[test]
fn allowed_options_of_servers_are_taken() {
    let options = [
        "agent-check agent-port 9000 agent-inter 2s agent-addr 192.0.2.1 agent-send up",
        "backup",
        "check",
        "disabled",
        "check check-send-proxy port 81 addr 192.0.2.9",
        "check observe layer7 error-limit 5 on-error mark-down",
        "check inter 5s fastinter 1s downinter 10s rise 2 fall 3 slowstart 30s",
        "check inter 2000",
        "check-ssl check verify none check-sni a.example check-alpn h2,http/1.1",
        "no-check",
        "cookie abc",
        "id 7777",
        "init-addr last,libc,none",
        "init-addr 192.0.2.5",
        "max-reuse 5",
        "maxconn 5",
        "maxconn 50 minconn 5",
        "maxqueue 10",
        "non-stick",
        "on-marked-down shutdown-sessions",
        "on-marked-up shutdown-backup-sessions",
        "pool-low-conn 4 pool-max-conn -1 pool-purge-delay 5s",
        "proto h2",
        "proxy-v2-options ssl,cert-cn send-proxy-v2",
        "redir https://a.example/x",
        "resolve-prefer ipv4",
        "resolve-opts allow-dup-ip",
        "resolve-net 192.0.2.0/24",
        "send-proxy",
        "send-proxy-v2-ssl",
        "send-proxy-v2-ssl-cn",
        "socks4 192.0.2.4:1080",
        "source 192.0.2.3",
        "tcp-ut 5s",
        "weight 256",
        "ws h1",
        "ssl ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3 verify required verifyhost a.example ca-file @system-ca",
        "ssl verify none sni str(a.example) no-ssl-reuse no-tls-tickets",
        "ssl verify none force-tlsv13",
        "enabled",
        "ssl verify none sni ssl_fc_sni alpn h2",
        "ssl verify none no-tlsv10 no-tlsv11 no-sslv3",
        "stick",
        "track web1",
    ];
    let server = |(i, options)| json!({"name": format!("s{i}"), "address": "192.0.2.7", "port": 80, "options": options});
    let mut json = sites::json("minimal");
    json["backends"][0]["servers"][0]["options"] = json!("check");
    json["backends"][0]["servers"]
        .as_array_mut()
        .unwrap()
        .extend(options.into_iter().enumerate().map(server));
    let directory = tempfile::tempdir().unwrap();
    assert_taken(json, directory.path(), "options");
}
