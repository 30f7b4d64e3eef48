//! `edge-manager serve` and `edge-manager key`, as they are run.

use std::fs::{self, Permissions};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Answer, answer, ask, request};

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-manager"));
        command
            .args(args)
            .env_remove("HAPROXY_API_KEY")
            .env("EDGE_DATABASE", self.path("rules.db"))
            .env("EDGE_STATE_DIR", self.path("state"))
            .env("EDGE_SOCKET", self.path("edge.sock"))
            .env("EDGE_CONFIG_DIR", self.path("haproxy"))
            .env("EDGE_MANAGER_LISTEN", "127.0.0.1:0")
            .env("EDGE_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        said(self.command(args).output().unwrap())
    }

    fn serve(&self, args: &[&str], environment: &[(&str, &str)]) -> Serving {
        let ready = self.path("ready");
        let _ = fs::remove_file(&ready);
        let mut command = self.command(&["serve", "--ready-file", ready.to_str().unwrap()]);
        let mut child = command.args(args).envs(environment.iter().copied()).spawn().unwrap();
        let began = Instant::now();
        let address = loop {
            if let Ok(text) = fs::read_to_string(&ready) {
                break text.trim().parse().unwrap();
            }
            if child.try_wait().unwrap().is_some() || began.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("{:?}", said(child.wait_with_output().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Serving { child: Some(child), address }
    }
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

struct Serving {
    child: Option<Child>,
    address: SocketAddr,
}

impl Serving {
    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).unwrap();
        ask(stream, &request(self.address, method, path, headers, body.as_bytes()))
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Exit status, standard output, standard error.
    fn stop(mut self, signal: &str) -> (i32, String, String) {
        self.signal(signal);
        said(self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let home = Home::new();
    for signal in ["TERM", "INT"] {
        let serving = home.serve(&[], &[]);
        assert_eq!(serving.ask("GET", "/api/blocked-ips", &[], "").said(), (200, "[]"));
        let control = UnixStream::connect(home.path("rules.db.sock")).unwrap();
        drop(control);
        // A connection that nobody uses does not hold it up.
        let _idle = TcpStream::connect(serving.address).unwrap();
        let (code, out, log) = serving.stop(signal);
        assert_eq!((code, out.as_str()), (0, ""), "{signal} {log}");
        assert!(log.contains("ready") && log.contains("stopped"), "{log}");
        assert!(!home.path("rules.db.sock").exists());
    }
}

#[test]
fn a_hang_up_opens_the_log_anew_and_ends_nothing() {
    let home = Home::new();
    let serving = home.serve(&["--log-dir", home.path("logs").to_str().unwrap()], &[("EDGE_LOG", "info")]);
    for name in ["manager.log", "manager-error.log"] {
        fs::rename(home.path("logs").join(name), home.path("logs").join(format!("{name}.moved"))).unwrap();
    }
    serving.signal("HUP");
    let log = |name: &str| fs::read_to_string(home.path("logs").join(name)).unwrap_or_default();
    let began = Instant::now();
    while !log("manager.log").contains("SIGHUP") {
        assert!(began.elapsed() < PATIENCE, "{}", log("manager.log"));
        thread::sleep(Duration::from_millis(5));
    }
    assert!(home.path("logs/manager-error.log").exists());
    let moved = log("manager.log.moved");
    assert!(moved.contains("ready") && !moved.contains("SIGHUP"), "{moved}");
    assert_eq!(serving.ask("GET", "/api/blocked-ips", &[], "").said(), (200, "[]"));
    assert_eq!(serving.stop("TERM").0, 0);
    assert!(log("manager.log").contains("stopped"));
}

#[test]
fn as_many_files_may_be_open_as_the_machine_allows() {
    let home = Home::new();
    let manager = env!("CARGO_BIN_EXE_edge-manager");
    let script = format!("ulimit -Hn 4000; ulimit -Sn 300; exec {manager} serve --ready-file ready");
    let like = home.command(&[]);
    let command = Command::new("sh")
        .args(["-c", &script])
        .current_dir(home.path(""))
        .envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("HAPROXY_API_KEY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let serving = Serving { child: Some(command.unwrap()), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    let began = Instant::now();
    while !home.path("ready").exists() {
        assert!(began.elapsed() < PATIENCE, "it is not ready");
        thread::sleep(Duration::from_millis(5));
    }
    let limits =
        fs::read_to_string(format!("/proc/{}/limits", serving.child.as_ref().unwrap().id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).collect::<Vec<_>>(), ["4000", "4000", "files"]);
    serving.stop("TERM");
}

#[test]
fn a_stop_during_the_start_is_obeyed() {
    let home = Home::new();
    let program = home.path("stand-in");
    let check = "echo >${0%/*}/begun; while [ ! -e ${0%/*}/go ]; do sleep 0.01; done";
    let version = "echo 'HAProxy version 2.6.12 2026/01/01'";
    fs::write(&program, format!("#!/bin/sh\ncase $1 in -v) {version};; *) {check};; esac\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let child = home.command(&["serve"]).env("EDGE_HAPROXY", &program).spawn().unwrap();
    let serving = Serving { child: Some(child), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    let began = Instant::now();
    while !home.path("begun").exists() {
        assert!(began.elapsed() < PATIENCE, "nothing is published");
        thread::sleep(Duration::from_millis(5));
    }
    let stopping = thread::spawn(move || serving.stop("TERM"));
    thread::sleep(Duration::from_millis(100));
    fs::write(home.path("go"), "").unwrap();
    let (code, out, log) = stopping.join().unwrap();
    assert_eq!((code, out.as_str()), (0, ""), "{log}");
    assert!(log.contains("stopped") && !home.path("rules.db.sock").exists(), "{log}");
}

#[test]
fn what_cannot_be_published_at_once_is_published_without_another_change() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let serving = home.serve(&[], &[]);
    let record = rusqlite::Connection::open(home.path("rules.db")).unwrap();
    record.busy_timeout(PATIENCE).unwrap();
    // As after an append that failed; and no snapshot can be written.
    let obstacle = home.path("state/rules.snapshot.new");
    fs::create_dir(&obstacle).unwrap();
    record.execute_batch("UPDATE publication SET revision = 9").unwrap();
    let blocked = serving.ask("POST", "/api/blocked-ips", &[], r#"{"ip_address":"192.0.2.1"}"#);
    assert!(blocked.status == 200 && blocked.body.contains("stored, not yet enforced"), "{blocked:?}");
    assert!(!home.path("state/rules.snapshot").exists());
    fs::remove_dir(&obstacle).unwrap();
    let began = Instant::now();
    while !home.path("state/rules.snapshot").exists() {
        assert!(began.elapsed() < PATIENCE, "it is not published");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_blocked_outlives_a_kill() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let serving = home.serve(&[], &[]);
    let blocked = serving.ask("POST", "/api/blocked-ips", &[], r#"{"ip_address":"192.0.2.1"}"#);
    assert_eq!(blocked.status, 200, "{blocked:?}");
    assert_eq!(serving.stop("KILL").0, -1);
    assert!(home.path("rules.db.sock").exists(), "nobody removed it");
    let serving = home.serve(&[], &[]);
    let listed = serving.ask("GET", "/api/blocked-ips", &[], "").json();
    assert_eq!(listed[0]["ip_address"], "192.0.2.1");
}

#[test]
fn each_change_is_a_line_of_the_log_that_says_who_did_what() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let environment = [("EDGE_LOG", "info"), ("EDGE_LOG_FORMAT", "json"), ("HAPROXY_API_KEY", "a key")];
    let serving = home.serve(&[], &environment);
    let body = r#"{"ip_address":"192.0.2.1"}"#;
    let status =
        |method| serving.ask(method, "/api/blocked-ips", &["Authorization: Bearer a key"], body).status;
    assert_eq!([status("POST"), status("POST"), status("DELETE")], [200, 409, 200]);
    let (_, _, log) = serving.stop("TERM");
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    // Its own are those of the first start.
    let is_asked_for = |line: &serde_json::Value| line["message"] == "change" && line["caller"] != "manager";
    let changes: Vec<_> = lines.filter(is_asked_for).collect();
    assert_eq!(changes.len(), 2, "what was refused changed nothing: {log}");
    for (line, operation) in changes.iter().zip(["rules.put", "rules.remove"]) {
        let words = ["level", "caller", "from", "operation", "what", "result"].map(|field| &line[field]);
        assert_eq!(words, ["INFO", "HAPROXY_API_KEY", "127.0.0.1", operation, "block 192.0.2.1", "done"]);
        assert!(line["duration_us"].as_u64() > Some(0), "{line}");
    }
}

#[test]
fn without_a_key_it_is_for_this_machine_only() {
    let home = Home::new();
    let open = |address: &str| {
        format!(
            "edge-manager: --listen {address}: without a key, only a loopback address such as 127.0.0.1:8000 is taken; make a \
             key with `edge-manager key add NAME --role admin`, or set HAPROXY_API_KEY\n"
        )
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000"] {
        assert_eq!(home.run(&["serve", "--listen", address]), (2, String::new(), open(address)));
    }
    let empty =
        home.command(&["serve", "--listen", "0.0.0.0:0"]).env("HAPROXY_API_KEY", "").output().unwrap();
    assert_eq!(said(empty), (2, String::new(), open("0.0.0.0:0")), "an empty key is none");
    home.run(&["key", "add", "panel", "--role", "admin"]);
    let serving = home.serve(&["--listen", "0.0.0.0:0"], &[]);
    home.run(&["key", "remove", "panel"]);
    let local = SocketAddr::from(([127, 0, 0, 1], serving.address.port()));
    let stream = TcpStream::connect(local).unwrap();
    let answer = ask(stream, &request(local, "GET", "/api/blocked-ips", &[], b""));
    assert_eq!(answer.status, 401, "it does not become open when the last key goes");
}

#[test]
fn two_do_not_serve_the_same_rules() {
    let home = Home::new();
    let _serving = home.serve(&[], &[]);
    let (code, out, error) = home.run(&["serve"]);
    assert_eq!((code, out.as_str()), (4, ""));
    assert!(error.contains("another process writes the rules of this directory"), "{error}");
}

#[test]
fn what_cannot_be_had_is_told_in_one_line() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let long = home.path(&"x".repeat(120));
    for (args, code, word) in [
        (&["--listen", &*address][..], 4, "--listen 127.0.0.1"),
        (&["--control", long.to_str().unwrap()], 4, "--control"),
        (&["--control", home.path("none/control.sock").to_str().unwrap()], 4, "--control"),
        (&["--ready-file", home.path("none/ready").to_str().unwrap()], 4, "--ready-file"),
        (&["--log", "edge_manager=loud"], 2, "EDGE_LOG"),
        (&["--log-dir", "/dev/null/logs"], 4, "/dev/null/logs"),
    ] {
        let (found, out, error) = home.run(&[&["serve"], args].concat());
        let last = error.lines().last().unwrap();
        assert_eq!((found, out.as_str()), (code, ""), "{error}");
        assert!(last.starts_with("edge-manager: ") && last.contains(word), "{error}");
    }
}

#[test]
fn no_key_is_ever_logged() {
    let home = Home::new();
    answer(&home.path("edge.sock"));
    let (_, key, _) = home.run(&["key", "add", "panel", "--role", "operator"]);
    let key = key.trim();
    for format in ["text", "json"] {
        let logs = home.path(format);
        let args = ["--log-dir", logs.to_str().unwrap(), "--log-format", format];
        let serving = home.serve(&args, &[("HAPROXY_API_KEY", "environment-secret")]);
        let body = r#"{"ip_address":"192.0.2.1","reason":"r"}"#;
        let mut answers = String::new();
        for secret in [key, "environment-secret", "wrong-secret"] {
            let header = format!("Authorization: Bearer {secret}");
            for (method, path) in
                [("POST", "/api/blocked-ips"), ("DELETE", "/api/blocked-ips"), ("GET", "/nothing")]
            {
                let answer = serving.ask(method, path, &[&header], body);
                answers += &format!("{answer:?}");
            }
        }
        let broken = serving.ask("POST", "/api/blocked-ips", &[&format!("Authorization: Bearer {key}")], "{");
        assert_eq!(broken.status, 400);
        let (code, out, error) = serving.stop("TERM");
        assert_eq!((code, out.as_str(), error.as_str()), (0, "", ""));
        let all = fs::read_to_string(logs.join("manager.log")).unwrap();
        let errors = fs::read_to_string(logs.join("manager-error.log")).unwrap();
        for secret in [key, &key[5..], "environment-secret", "wrong-secret"] {
            assert!(!all.contains(secret) && !errors.contains(secret) && !answers.contains(secret), "{all}");
        }
        for word in ["panel", "HAPROXY_API_KEY", "/api/blocked-ips", "192.0.2.1", "duration_us", "127.0.0.1"]
        {
            assert!(all.contains(word), "{word}: {all}");
        }
        assert!(errors.contains("this key is not known") && !errors.contains("INFO"), "{errors}");
        if format == "json" {
            for line in all.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn systemd_is_told() {
    let home = Home::new();
    let socket = std::os::unix::net::UnixDatagram::bind(home.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = home.path("notify");
    let serving = home.serve(&[], &[("NOTIFY_SOCKET", notify.to_str().unwrap()), ("WATCHDOG_USEC", "20000")]);
    let take = move || {
        let mut bytes = [0; 256];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    };
    assert!(take().contains("READY=1"));
    assert!(take().contains("WATCHDOG=1"));
    // As systemd does, which leaves nobody waiting for room.
    let listener = thread::spawn(move || (0..100_000).any(|_| take().contains("STOPPING=1")));
    assert_eq!(serving.stop("TERM").0, 0);
    assert!(listener.join().unwrap());
}

#[test]
fn a_record_that_cannot_be_read_does_not_end_the_manager() {
    let home = Home::new();
    let socket = std::os::unix::net::UnixDatagram::bind(home.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = home.path("notify");
    let logs = home.path("logs");
    let args = ["--log-dir", logs.to_str().unwrap()];
    let environment = [("NOTIFY_SOCKET", notify.to_str().unwrap()), ("WATCHDOG_USEC", "20000")];
    let serving = home.serve(&args, &environment);
    let record = rusqlite::Connection::open(home.path("rules.db")).unwrap();
    record.busy_timeout(PATIENCE).unwrap();
    record.execute_batch("DROP TABLE publication").unwrap();
    let failures = || {
        let log = fs::read_to_string(logs.join("manager-error.log")).unwrap();
        log.lines().filter(|line| line.contains("the record cannot be read")).count()
    };
    let take = || {
        let mut bytes = [0; 256];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    };
    while failures() == 0 {
        take();
    }
    // Empties the socket of what was told before.
    socket.set_nonblocking(true).unwrap();
    while socket.recv(&mut [0; 256]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    for _ in 0..3 {
        assert!(take().contains("WATCHDOG=1"));
    }
    drop(socket);
    serving.stop("KILL");
}

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

#[test]
fn rules_that_have_ended_long_ago_leave_the_record() {
    let home = Home::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(home.run(&["block", client, "--wait", "1ms"]).0, 3, "stored");
    }
    let record = rusqlite::Connection::open(home.path("rules.db")).unwrap();
    let end = "UPDATE rules SET expires_at_s = unixepoch() - ? WHERE target = ?";
    for (ago_s, client) in [(60, "192.0.2.2"), (3700, "192.0.2.3")] {
        assert_eq!(record.execute(end, (ago_s, client)).unwrap(), 1);
    }
    drop(record);
    let serving = home.serve(&[], &[]);
    let began = Instant::now();
    let count = || {
        let figures = serving.ask("GET", "/metrics", &[], "").body;
        let line = figures.lines().find_map(|line| line.strip_prefix(r#"edge_manager_rules{kind="block"} "#));
        line.unwrap().to_owned()
    };
    while count() == "3" && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(count(), "2", "one that has just ended stays, and one without an end");
}

#[test]
fn a_stranger_does_not_take_the_place_of_the_socket() {
    let home = Home::new();
    fs::write(home.path("rules.db.sock"), "a file").unwrap();
    let (code, _, error) = home.run(&["serve"]);
    assert_eq!(code, 4, "{error}");
    let mut text = String::new();
    fs::File::open(home.path("rules.db.sock")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "a file");
}
