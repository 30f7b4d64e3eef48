//! What the workers, who may write in the directory, put in the place of the writer's files.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;

use super::*;

/// All names that the writer uses.
const NAMES: [&str; 9] = [
    "rules.lock",
    "rules.snapshot",
    "rules.snapshot.new",
    "rules.journal.0",
    "rules.journal.7",
    "rules.journal.new",
    "rules.list.3",
    "rules.list.new",
    "learned",
];

/// Puts something in the place of a name: how it is called, and how it is done.
type Plant = (&'static str, fn(&Path, &Path));

const PLANTS: [Plant; 6] = [
    ("a link to a file", |at, elsewhere| symlink(elsewhere, at).unwrap()),
    ("a link to nothing", |at, elsewhere| symlink(elsewhere.with_extension("none"), at).unwrap()),
    ("a directory", |at, _| {
        fs::create_dir(at).unwrap();
        fs::write(at.join("full"), "").unwrap();
    }),
    ("a pipe", |at, _| {
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }),
    ("a socket", |at, _| drop(UnixListener::bind(at).unwrap())),
    ("a file of another user", |at, _| {
        // A head of a later version is refused where it is ours.
        fs::write(at, "EDGEJRNL\u{7f}\u{7f}\u{7f}\u{7f}").unwrap();
        chown(at, Some(65_534), None).unwrap();
    }),
];

fn plant(at: &Path) {
    match fs::symlink_metadata(at) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(at).unwrap(),
        Ok(_) => fs::remove_file(at).unwrap(),
        Err(_) => {}
    }
}

#[test]
fn whatever_workers_put_there_the_writer_starts_and_follows_nothing() {
    let is_root = rustix::process::geteuid().is_root();
    for (what, put_there) in PLANTS {
        if what == "a file of another user" && !is_root {
            // Only root can give files away.
            continue;
        }
        for name in NAMES {
            if name == "learned" && (what == "a directory" || what == "a file of another user") {
                continue;
            }
            let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let target = outside.path().join("target");
            fs::write(&target, "precious").unwrap();
            let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
            writer.append(&put("192.0.2.1"), 1).unwrap();
            drop(writer);
            let at = dir.path().join(name);
            plant(&at);
            put_there(&at, &target);
            let mut writer =
                RulesWriter::open(dir.path(), 2).unwrap_or_else(|error| panic!("{what} as {name}: {error}"));
            assert!(
                name == "rules.lock" || writer.foreign().len() == 1,
                "{what} as {name}: {:?}",
                writer.foreign()
            );
            // Where it was a file that the next revisions need, the manager writes all of them.
            writer
                .replace_all([Ok(rule("192.0.2.1", "manager"))], &["manager".into()], 1, 3)
                .unwrap_or_else(|error: WriteError| panic!("{what} as {name}: {error}"));
            writer.append(&put("192.0.2.2"), 4).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), "precious", "{what} as {name}");
            assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{what} as {name}");
            let found = Follower::load(dir.path()).unwrap();
            assert_eq!(found.revision, writer.revision(), "{what} as {name}");
        }
    }
}

#[test]
fn what_is_put_there_while_it_runs_stops_no_snapshot() {
    for (what, put_there) in PLANTS.into_iter().take(5) {
        for name in ["rules.snapshot", "rules.snapshot.new", "rules.journal.new", "rules.journal.1"] {
            let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let target = outside.path().join("target");
            fs::write(&target, "precious").unwrap();
            let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
            writer.append(&put("192.0.2.1"), 1).unwrap();
            let at = dir.path().join(name);
            plant(&at);
            put_there(&at, &target);
            let all = [rule("192.0.2.1", "manager")];
            writer
                .rotate(all, &["manager".into()], 0, 2)
                .unwrap_or_else(|error| panic!("{what} as {name}: {error}"));
            assert_eq!(fs::read_to_string(&target).unwrap(), "precious", "{what} as {name}");
            let file = fs::symlink_metadata(dir.path().join("rules.snapshot")).unwrap();
            assert!(file.is_file() && file.nlink() == 1, "{what} as {name}");
        }
    }
}

#[test]
fn nobody_else_can_hold_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    drop(RulesWriter::open(dir.path(), 1).unwrap());
    let lock = dir.path().join("rules.lock");
    let mode = || fs::metadata(&lock).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // As an earlier version made it.
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o640)).unwrap();
    let _writer = RulesWriter::open(dir.path(), 1).unwrap();
    assert_eq!(mode(), 0o600);
    assert!(matches!(RulesWriter::open(dir.path(), 1), Err(WriteError::Locked)));
}
