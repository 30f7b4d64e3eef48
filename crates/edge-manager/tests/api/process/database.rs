//! `edge-manager database`, and a start with a database or a state directory that others have had their hands in.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use edge_e2e::eventually;
use rusqlite::Connection;

use super::Home;
use crate::harness::Answer;

/// Nobody reads the log.
const QUIET: (&str, &str) = ("EDGE_LOG", "error");

fn listed(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    json.as_array().unwrap().iter().map(|rule| rule["ip_address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_copy_takes_the_place_of_a_damaged_database() {
    let home = Home::new();
    let (database, copy) = (home.path("rules.db"), home.path("copy.db"));
    home.run(&["block", "192.0.2.1", "--wait", "0s"]);
    assert_eq!(home.run(&["database", "check"]), (0, "no faults\n".to_owned(), String::new()));
    let copy = copy.to_str().unwrap();
    let (code, said, error) = home.run(&["database", "backup", copy]);
    assert!(code == 0 && said.ends_with(" bytes\n"), "{said} {error}");
    assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&["block", "192.0.2.2", "--wait", "0s"]);
    // Nothing is restored from something else, nor below a manager that serves.
    fs::write(home.path("junk"), "junk").unwrap();
    assert_eq!(home.run(&["database", "restore", home.path("junk").to_str().unwrap()]).0, 4);
    let serving = home.serve(&[], &[QUIET]);
    let (code, _, error) = home.run(&["database", "restore", copy]);
    assert!(code == 4 && error.contains("stop it first"), "{error}");
    assert_eq!(listed(&serving.get("/api/blocked-ips")).len(), 2);
    drop(serving);
    let mut bytes = fs::read(&database).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&database, bytes).unwrap();
    let _ = fs::remove_file(home.path("rules.db-wal"));
    assert_ne!(home.run(&["database", "check"]).0, 0);
    assert_eq!(home.run(&["database", "backup", home.path("second.db").to_str().unwrap()]).0, 4);
    assert!(!home.path("second.db").exists(), "no copy of what is damaged");
    let (code, said, error) = home.run(&["database", "restore", copy]);
    assert!(code == 0 && said.contains("rules.db.before-restore"), "{said} {error}");
    let serving = home.serve(&[], &[QUIET]);
    assert_eq!(listed(&serving.get("/api/blocked-ips")), ["192.0.2.1"]);
}

#[test]
fn serve_copies_the_database_once_a_day() {
    let home = Home::new();
    let copies = home.path("copies");
    {
        let serving = home.serve(&[], &[QUIET]);
        serving.send("POST", "/api/blocked-ips", r#"{"ip_address":"192.0.2.1"}"#);
        let copy = eventually("a copy", || {
            fs::read_dir(&copies)
                .ok()?
                .flatten()
                .find(|entry| entry.file_name().to_string_lossy().ends_with(".db"))
        });
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&copies), mode(&copy.path())), (0o700, 0o600));
    }
    fs::remove_dir_all(&copies).unwrap();
    let serving = home.serve(&["--backups", "0"], &[QUIET]);
    serving.send("POST", "/api/blocked-ips", r#"{"ip_address":"192.0.2.2"}"#);
    drop(serving);
    assert!(!copies.exists());
}

#[test]
fn one_bad_row_does_not_stop_the_start_and_is_told() {
    let spoil = [
        ("UPDATE rules SET target = 'no address' WHERE id = 1", "rule 1 of the record"),
        ("UPDATE rules SET verdict = 77 WHERE id = 1", "rule 1 of the record"),
        ("UPDATE rules SET expires_at_s = 99999999999 WHERE id = 1", "rule 1 of the record"),
        ("UPDATE keys SET hash = x'00'", "key 1 of the record"),
        ("UPDATE global SET settings = '{'", "the global part of the record"),
        ("UPDATE backends SET settings = '['", "backend shop of the record"),
    ];
    for (sql, told) in spoil {
        let home = Home::new();
        for client in ["192.0.2.1", "192.0.2.2"] {
            home.run(&["block", client, "--wait", "0s"]);
        }
        home.run(&["domain", "add", "shop.example", "shop"]);
        home.run(&["key", "add", "panel", "--role", "admin"]);
        let record = Connection::open(home.path("rules.db")).unwrap();
        record.pragma_update(None, "ignore_check_constraints", true).unwrap();
        assert!(record.execute(sql, ()).unwrap() > 0, "{sql}");
        drop(record);
        let (code, said, error) = home.run(&["database", "check"]);
        assert!(code == 1 && said.contains(told), "{sql}: {said} {error}");
        let secret = "a-key-of-the-environment";
        let serving = home.serve(&[], &[QUIET, ("HAPROXY_API_KEY", secret)]);
        let answer =
            serving.ask("GET", "/api/blocked-ips", &[&format!("Authorization: Bearer {secret}")], "");
        let is_rule = sql.contains("rules");
        assert_eq!(listed(&answer).contains(&"192.0.2.1".to_owned()), !is_rule, "{sql}: {answer:?}");
        assert!(listed(&answer).contains(&"192.0.2.2".to_owned()), "{sql}: {answer:?}");
        let page = eventually("the page tells it", || {
            let login = serving.page_of(secret);
            login.contains(told).then_some(login)
        });
        assert!(page.contains("database check"), "{sql}");
        drop(serving);
        let record = Connection::open(home.path("rules.db")).unwrap();
        let rows: i64 = record.query_row("SELECT count(*) FROM rules", (), |row| row.get(0)).unwrap();
        assert_eq!(rows, 2, "{sql}: nothing is lost");
    }
}

#[test]
fn without_its_only_key_that_can_be_read_it_is_not_open_to_all() {
    let home = Home::new();
    home.run(&["key", "add", "panel", "--role", "admin"]);
    let record = Connection::open(home.path("rules.db")).unwrap();
    record.pragma_update(None, "ignore_check_constraints", true).unwrap();
    record.execute("UPDATE keys SET hash = x'00'", ()).unwrap();
    drop(record);
    let serving = home.serve(&[], &[QUIET]);
    assert_eq!(serving.get("/api/blocked-ips").status, 401);
    let (code, said, _) = home.run(&["key", "list"]);
    assert!(code == 0 && said.contains("unreadable-1"), "{said}");
    assert_eq!(home.run(&["key", "remove", "unreadable-1"]).0, 0);
    assert_eq!(serving.get("/api/blocked-ips").status, 200);
}

#[test]
fn a_umask_of_000_opens_nothing_to_others() {
    let home = Home::new();
    let ready = home.path("ready");
    let run = "umask 000; exec \"$0\" serve --ready-file \"$1\" --log-dir \"$2\"";
    let logs = home.path("logs");
    let mut command = Command::new("/bin/sh");
    let inner = home.command(&[]);
    command.args(["-c", run, env!("CARGO_BIN_EXE_edge-manager")]).arg(&ready).arg(&logs);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command.spawn().unwrap();
    eventually("it serves", || ready.exists().then_some(()));
    eventually("a copy", || fs::read_dir(home.path("copies")).ok()?.next().map(drop));
    home.run(&["block", "192.0.2.1", "--wait", "0s"]);
    let mut open = Vec::new();
    look(home.path("").as_path(), &mut open);
    let _ = child.kill();
    child.wait().unwrap();
    assert!(open.is_empty(), "{open:?}");
}

/// Everything below that others may read or write, or the group may write. Not the socket of ACME validation: HAProxy's
/// user connects there, and it answers nothing but tokens that are public.
fn look(dir: &Path, open: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let found = fs::symlink_metadata(entry.path()).unwrap();
        let is_link = found.is_symlink();
        let is_for_all = entry.file_name() == "acme-validation.sock";
        if !is_link && !is_for_all && found.mode() & 0o027 != 0 {
            open.push(format!("{} {:o}", entry.path().display(), found.mode() & 0o7777));
        }
        if found.is_dir() {
            look(&entry.path(), open);
        }
    }
}

#[test]
fn what_workers_put_in_the_state_directory_does_not_keep_it_from_starting() {
    let home = Home::new();
    home.run(&["block", "192.0.2.1", "--wait", "0s"]);
    let precious = home.path("precious");
    fs::write(&precious, "precious").unwrap();
    for name in [
        "rules.lock",
        "rules.snapshot",
        "rules.snapshot.new",
        "rules.journal.0",
        "rules.journal.new",
        "learned",
    ] {
        let at = home.path("state").join(name);
        let _ = fs::remove_file(&at).or_else(|_| fs::remove_dir_all(&at));
        symlink(&precious, &at).unwrap();
    }
    let serving = home.serve(&[], &[QUIET]);
    assert_eq!(listed(&serving.get("/api/blocked-ips")), ["192.0.2.1"]);
    let more = serving.send("POST", "/api/blocked-ips", r#"{"ip_address":"192.0.2.2"}"#);
    assert_eq!(more.status, 200, "{more:?}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(fs::symlink_metadata(home.path("state/rules.snapshot")).unwrap().is_file());
}
