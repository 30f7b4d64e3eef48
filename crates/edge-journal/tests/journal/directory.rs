//! A directory that comes and goes, and what may lie in it.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use edge_journal::{FileName, LearnedJournal, ReadError, Records, RulesWriter, StateDir};

#[test]
fn a_missing_directory_is_found_when_it_appears() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("lib/edge");
    let dir = StateDir::open(&path).unwrap();
    assert!(!dir.is_present() && !path.exists());
    assert_eq!(dir.journals().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(matches!(Records::open(&dir, &FileName::Snapshot), Err(ReadError::NotFound { .. })));
    assert_eq!(LearnedJournal::create(&dir, "1", 1).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(dir.reopen().unwrap_err().kind(), io::ErrorKind::NotFound);
    fs::create_dir_all(&path).unwrap();
    dir.reopen().unwrap();
    assert!(dir.is_present() && dir.journals().unwrap().files.is_empty());
}

#[test]
fn a_replaced_directory_is_noticed() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("edge");
    fs::create_dir(&path).unwrap();
    let dir = StateDir::open(&path).unwrap();
    let journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    fs::rename(&path, above.path().join("away")).unwrap();
    assert!(!dir.is_present());
    // It goes on where it is until somebody asks.
    assert!(journal.is_present(&dir));
    assert!(dir.reopen().is_err() && !journal.is_present(&dir));
    fs::create_dir(&path).unwrap();
    assert!(!dir.is_present());
    dir.reopen().unwrap();
    assert!(dir.is_present() && dir.journals().unwrap().files.is_empty());
}

#[test]
fn only_regular_files_are_opened() {
    let above = tempfile::tempdir().unwrap();
    let dir = StateDir::open(above.path()).unwrap();
    let path = above.path().join("rules.snapshot");
    let error = || Records::open(&dir, &FileName::Snapshot).unwrap_err().to_string();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(error(), "rules.snapshot: not a regular file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(error(), "rules.snapshot: not a regular file");
    fs::remove_dir(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    assert_eq!(error(), "rules.snapshot: a symbolic link");
    assert!(matches!(Records::open(&dir, &FileName::Snapshot), Err(ReadError::Io { .. })));
}

#[test]
fn a_link_in_place_of_the_learned_directory_is_not_followed() {
    let (above, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(elsewhere.path(), above.path().join("learned")).unwrap();
    let dir = StateDir::open(above.path()).unwrap();
    assert!(LearnedJournal::create(&dir, "1", 1).is_err());
    assert!(fs::read_dir(elsewhere.path()).unwrap().next().is_none());
}

#[test]
fn the_path_may_lead_over_links() {
    let above = tempfile::tempdir().unwrap();
    fs::create_dir(above.path().join("real")).unwrap();
    symlink("real", above.path().join("link")).unwrap();
    let dir = StateDir::open(&above.path().join("link")).unwrap();
    assert!(dir.is_present());
    assert_eq!(dir.path(), above.path().join("link"));
    dir.reopen().unwrap();
}

#[test]
fn a_path_with_dots_behind_what_exists_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let error = StateDir::open(&above.path().join("missing/../edge")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(StateDir::open(Path::new("")).is_err());
    let dir = StateDir::open(Path::new("/")).unwrap();
    assert!(dir.is_present());
}

#[test]
fn what_else_lies_there_is_not_listed() {
    let above = tempfile::tempdir().unwrap();
    let dir = StateDir::open(above.path()).unwrap();
    let first = LearnedJournal::create(&dir, "b", 1).unwrap();
    let second = LearnedJournal::create(&dir, "a", 1).unwrap();
    for name in ["x", "c.journal.new", ".journal", "d.journal~"] {
        fs::write(above.path().join("learned").join(name), "").unwrap();
    }
    let found = dir.journals().unwrap();
    assert_eq!((found.files, found.is_cut), (vec![second.name().clone(), first.name().clone()], false));
    fs::write(above.path().join("rules.journal.07"), "").unwrap();
    let _writer = RulesWriter::open(above.path(), 1).unwrap();
    assert_eq!(dir.rules_files().unwrap().files, [FileName::Journal(0)]);
}

#[test]
fn files_are_for_owner_and_group() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("edge");
    let _writer = RulesWriter::open(&path, 1).unwrap();
    let dir = StateDir::open(&path).unwrap();
    let _journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    for name in ["", "learned", "rules.lock", "rules.journal.0", "learned/1.journal"] {
        let others = path.join(name).metadata().unwrap().permissions().mode() & 0o007;
        assert_eq!(others, 0, "{name}");
    }
}
