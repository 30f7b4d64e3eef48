//! Files of the state directory that are not what was written: nothing is called in force that is not, and all of it is mended.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use edge_e2e::{Api, eventually, obstruct_snapshot};
use serde_json::{Value, json};

use super::{Supervised, alone};

/// So many that a snapshot has several records.
const RULES: u32 = 5000;

fn addr(n: u32) -> String {
    format!("10.7.{}.{}", n / 256, n % 256)
}

/// What is done to the files, and its name.
type Harm = (&'static str, fn(&Stage));

struct Stage {
    served: Supervised,
    /// A snapshot and a journal of another manager.
    foreign: PathBuf,
    /// Those of this one, before its last rules.
    older: PathBuf,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (foreign, older) = (dir.path().join("foreign"), dir.path().join("older"));
        let other = Supervised::start();
        put(&mut other.manager.api(), 0..10);
        snapshot(&other);
        copy(&state(&other), &foreign);
        drop(other);
        let served = Supervised::start();
        put(&mut served.manager.api(), 0..RULES - 1);
        snapshot(&served);
        copy(&state(&served), &older);
        put(&mut served.manager.api(), RULES - 1..RULES);
        snapshot(&served);
        put(&mut served.manager.api(), RULES..RULES + 1);
        Self { served, foreign, older, _dir: dir }
    }

    fn snapshot(&self) -> PathBuf {
        state(&self.served).join("rules.snapshot")
    }

    /// The journal that is appended to.
    fn journal(&self) -> PathBuf {
        journal(&state(&self.served))
    }

    fn refuses_all(&self) -> bool {
        [0, 1, RULES / 2, RULES - 2, RULES - 1, RULES].iter().all(|n| self.served.is_refused(&addr(*n)))
    }

    /// Waits until everything is as it should be.
    fn until_mended(&self, name: &str) {
        let mut api = self.served.manager.api();
        eventually(&format!("all rules after {name}"), || self.refuses_all().then_some(()));
        eventually(&format!("health after {name}"), || (api.get("/health").status == 200).then_some(()));
        let reloaded = eventually(&format!("a reload that has all rules, after {name}"), || {
            let answer = api.post("/api/configuration/reload", "{}");
            (answer.json()["enforcement"] == "in_force").then_some(answer)
        });
        assert!(self.refuses_all(), "{name}: {reloaded:?}\n{}", self.served.manager.log());
        let verified =
            self.served.manager.command(&["journal", "verify", state(&self.served).to_str().unwrap()]);
        assert!(verified.status.success(), "{name}: {verified:?}");
    }
}

fn state(served: &Supervised) -> PathBuf {
    served.manager.dir().join("state")
}

fn journal(state: &Path) -> PathBuf {
    let journals = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
    let base = |path: &PathBuf| path.to_str()?.rsplit_once("rules.journal.")?.1.parse::<u64>().ok();
    journals.filter(|path| base(path).is_some()).max_by_key(base).unwrap()
}

fn put(api: &mut Api, rules: std::ops::Range<u32>) {
    let rules: Vec<Value> = rules.map(|n| json!({"target": addr(n), "replace": true})).collect();
    let answer = api.post("/api/rules/bulk", &Value::from(rules).to_string());
    assert_eq!((answer.status, &answer.json()["enforcement"]), (200, &json!("in_force")), "{answer:?}");
}

/// Has the manager write one, by losing its journal.
fn snapshot(served: &Supervised) {
    let path = state(served).join("rules.snapshot");
    let stamp = || fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
    let before = stamp();
    fs::remove_file(journal(&state(served))).unwrap();
    eventually("a snapshot", || (stamp() != before && stamp().is_some()).then_some(()));
    let mut api = served.manager.api();
    eventually("health", || (api.get("/health").status == 200).then_some(()));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "rules.snapshot" || name.starts_with("rules.journal.") {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// In place: the file stays the same one.
fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn flip(path: &Path, at: impl FnOnce(usize) -> usize) {
    edit(path, |bytes| {
        let at = at(bytes.len());
        bytes[at] ^= 4;
    });
}

const HARMS: [Harm; 19] = [
    ("a flip in the middle of the snapshot", |stage| flip(&stage.snapshot(), |bytes| bytes / 2)),
    ("a flip in the first byte of the snapshot", |stage| flip(&stage.snapshot(), |_| 0)),
    ("a flip in the head of the snapshot", |stage| flip(&stage.snapshot(), |_| 30)),
    ("a flip in the last byte of the snapshot", |stage| flip(&stage.snapshot(), |bytes| bytes - 1)),
    ("a snapshot cut by half", |stage| edit(&stage.snapshot(), |bytes| bytes.truncate(bytes.len() / 2))),
    ("an empty snapshot", |stage| edit(&stage.snapshot(), Vec::clear)),
    ("no snapshot", |stage| fs::remove_file(stage.snapshot()).unwrap()),
    ("the snapshot of another manager", |stage| {
        fs::copy(stage.foreign.join("rules.snapshot"), stage.snapshot()).map(drop).unwrap();
    }),
    ("an older snapshot", |stage| {
        fs::copy(stage.older.join("rules.snapshot"), stage.snapshot()).map(drop).unwrap();
    }),
    ("a link in the place of the snapshot", |stage| {
        fs::remove_file(stage.snapshot()).unwrap();
        symlink("/etc/hostname", stage.snapshot()).unwrap();
    }),
    ("a directory in the place of the snapshot", |stage| {
        fs::remove_file(stage.snapshot()).unwrap();
        fs::create_dir(stage.snapshot()).unwrap();
    }),
    ("a socket in the place of the snapshot", |stage| {
        fs::remove_file(stage.snapshot()).unwrap();
        drop(UnixListener::bind(stage.snapshot()).unwrap());
    }),
    ("a link to the journal in its place", |stage| {
        let aside = stage.served.manager.dir().join("aside");
        let journal = stage.journal();
        fs::rename(&journal, &aside).unwrap();
        symlink(&aside, &journal).unwrap();
    }),
    ("a flip in the head of the journal", |stage| flip(&stage.journal(), |_| 20)),
    ("a flip in the last byte of the journal", |stage| flip(&stage.journal(), |bytes| bytes - 1)),
    ("a journal without its last byte", |stage| edit(&stage.journal(), |bytes| _ = bytes.pop())),
    ("no journal", |stage| fs::remove_file(stage.journal()).unwrap()),
    ("the journal of another manager", |stage| {
        fs::copy(journal(&stage.foreign), stage.journal()).map(drop).unwrap();
    }),
    ("nothing at all", |stage| {
        fs::remove_file(stage.snapshot()).unwrap();
        fs::remove_file(stage.journal()).unwrap();
    }),
];

#[test]
fn damage_while_it_runs_is_never_called_in_force_and_is_mended() {
    let stage = Stage::new();
    for (name, harm) in HARMS {
        // A connection that was idle for long may be closed.
        let mut api = stage.served.manager.api();
        put(&mut api, RULES..RULES + 1);
        harm(&stage);
        // At once: the new worker may read what is damaged.
        let answer = api.post("/api/configuration/reload", "{}");
        if answer.json()["enforcement"] == "in_force" {
            assert!(stage.refuses_all(), "{name}: {answer:?}\n{}", stage.served.manager.log());
        }
        stage.until_mended(name);
    }
}

#[test]
fn damage_is_mended_at_the_start() {
    let mut stage = Stage::new();
    for (name, harm) in HARMS {
        put(&mut stage.served.manager.api(), RULES..RULES + 1);
        stage.served.manager.kill_9();
        harm(&stage);
        stage.served.manager.start_again();
        stage.until_mended(name);
    }
}

#[test]
fn damage_that_cannot_be_mended_is_told_everywhere() {
    // The page asks for no login where there is no key.
    let served = Supervised::without_key();
    let mut api = served.manager.api();
    put(&mut api, 0..10);
    snapshot(&served);
    // In the place of the file that the next snapshot is written to.
    let obstacle = obstruct_snapshot(&state(&served));
    flip(&state(&served).join("rules.snapshot"), |bytes| bytes / 2);
    let sick = eventually("a health that is not good", || {
        Some(api.get("/health")).filter(|answer| answer.status == 500)
    });
    let reason = sick.json()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("rules.snapshot"), "{sick:?}");
    let metrics = api.get("/metrics").body;
    assert!(metrics.contains("edge_manager_degraded{about=\"rules\"} 1"), "{metrics}");
    let status = served.manager.command(&["status"]);
    let told = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.code() == Some(1) && told.contains("rules.snapshot"), "{status:?}");
    assert!(api.get("/").body.contains("degraded"));
    fs::remove_dir_all(&obstacle).unwrap();
    eventually("health", || (api.get("/health").status == 200).then_some(()));
    assert!(served.manager.command(&["status"]).status.success());
    assert!(api.get("/metrics").body.contains("edge_manager_degraded{about=\"rules\"} 0"));
}

#[test]
fn a_manager_on_its_own_mends_its_files_too() {
    let manager = alone().start();
    let mut api = manager.api();
    assert_eq!(api.post("/api/blocked-ips", r#"{"ip_address":"198.51.100.7"}"#).status, 200);
    let state = manager.dir().join("state");
    fs::rename(&state, manager.dir().join("aside")).unwrap();
    eventually("another directory", || state.join("rules.snapshot").exists().then_some(()));
    let verified = manager.command(&["journal", "verify", state.to_str().unwrap()]);
    assert!(verified.status.success(), "{verified:?}");
}
