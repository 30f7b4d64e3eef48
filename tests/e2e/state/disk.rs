//! The disk fails: full, read-only, not ours, not there in the form it should have. HAProxy serves on with what it has in
//! memory, says so once, and what was learned meanwhile is on the disk when the cause is gone.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use edge_e2e::{Backend, Edge, Mode, SmallDisk, StateHome, eventually, with_private_mounts};
use nix::unistd::Uid;

use super::{lines, refuses, start, teach, until_it_writes};

/// In the preamble of a file: the version of its format stands behind the magic, the checksum at the end.
const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 12;

/// What an operator sees while nothing is written.
fn assert_in_memory_only(edge: &Edge) {
    eventually("a line", || (lines(edge, "is in memory only") == 1).then_some(()));
    let metrics = edge.metrics();
    assert_eq!(metrics.sum("edge_filter_state_writes", &[]), 0.0);
    assert_eq!(metrics.sum("edge_filter_state_problems", &[]), 1.0, "{}", edge.cli("show edge status"));
}

/// Once the cause is gone: one more line, and everything outlives a kill.
fn assert_recovers(edge: &mut Edge, taught: &[&str]) {
    eventually("a line", || (lines(edge, "is written again") == 1).then_some(()));
    assert_eq!(lines(edge, "is in memory only"), 1, "{}", edge.haproxy().log());
    let metrics = edge.metrics();
    assert_eq!(metrics.sum("edge_filter_state_writes", &[]), 1.0);
    assert_eq!(metrics.sum("edge_filter_state_problems", &[]), 0.0);
    edge.crash_and_restart();
    for path in taught {
        assert!(refuses(edge, path), "{path} was lost");
    }
}

/// Takes all room there is.
fn fill(home: &StateHome) -> File {
    let mut filler = File::create(home.path().join("filler")).unwrap();
    let mut piece = 4096;
    while piece > 0 {
        match filler.write(&vec![1; piece]) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::StorageFull => piece /= 2,
            Err(e) => panic!("{e}"),
        }
    }
    filler
}

#[test]
fn a_full_disk_gets_room_again() {
    with_private_mounts(|| {
        for mode in [Mode::DEFAULT, Mode::WORKER] {
            let backend = Backend::start();
            let home = StateHome::new(mode);
            let disk = SmallDisk::mount(&home, 64).unwrap();
            let mut edge = Edge::before(&backend, mode).state(&home).start();
            until_it_writes(&edge);
            teach(&backend, &edge, "/before");
            let filler = fill(&home);
            // The last page of the journal has some room left.
            let full: Vec<String> = (0..40).map(|n| format!("/full/{n}")).collect();
            for path in &full {
                teach(&backend, &edge, path);
                assert!(refuses(&edge, path));
            }
            assert_in_memory_only(&edge);
            assert_eq!(lines(&edge, "No space left on device"), 1, "{}", edge.haproxy().log());
            filler.set_len(0).unwrap();
            let taught: Vec<&str> = full.iter().map(String::as_str).chain(["/before"]).collect();
            assert_recovers(&mut edge, &taught);
            drop(edge);
            drop(disk);
        }
    });
}

#[test]
fn a_start_with_a_full_disk_is_a_start() {
    with_private_mounts(|| {
        let backend = Backend::start();
        let home = StateHome::new(Mode::WORKER);
        let disk = SmallDisk::mount(&home, 64).unwrap();
        let filler = fill(&home);
        let mut edge = Edge::before(&backend, Mode::WORKER).state(&home).start();
        teach(&backend, &edge, "/full");
        assert_in_memory_only(&edge);
        assert!(refuses(&edge, "/full"));
        filler.set_len(0).unwrap();
        assert_recovers(&mut edge, &["/full"]);
        drop(edge);
        drop(disk);
    });
}

#[test]
fn a_disk_that_became_read_only_becomes_writable() {
    with_private_mounts(|| {
        let backend = Backend::start();
        let home = StateHome::new(Mode::DEFAULT);
        let disk = SmallDisk::mount(&home, 64).unwrap();
        let mut edge = Edge::before(&backend, Mode::DEFAULT).state(&home).start();
        until_it_writes(&edge);
        teach(&backend, &edge, "/before");
        edge.crash();
        disk.set_read_only(true).unwrap();
        edge.start_again();
        assert!(refuses(&edge, "/before"));
        teach(&backend, &edge, "/meanwhile");
        assert_in_memory_only(&edge);
        disk.set_read_only(false).unwrap();
        assert_recovers(&mut edge, &["/before", "/meanwhile"]);
        drop(edge);
        drop(disk);
    });
}

/// Root may do everything, so this needs a worker that is not root.
#[test]
fn a_directory_of_somebody_else_may_be_given_to_us() {
    if !Uid::effective().is_root() {
        return;
    }
    let backend = Backend::start();
    let home = StateHome::new(Mode::WORKER);
    chown(home.path(), Some(0), Some(0)).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
    let mut edge = Edge::before(&backend, Mode::WORKER).state(&home).start();
    teach(&backend, &edge, "/yeet");
    assert!(refuses(&edge, "/yeet"));
    eventually("a line", || (lines(&edge, "Permission denied") == 1).then_some(()));
    assert_eq!(
        edge.metrics().sum("edge_filter_state_problems", &[]),
        1.0,
        "{}",
        edge.cli("show edge status")
    );
    home.give_away(&home.path()).unwrap();
    until_it_writes(&edge);
    eventually("no problem", || (edge.metrics().sum("edge_filter_state_problems", &[]) == 0.0).then_some(()));
    eventually("all is copied", || edge.cli("show edge status").contains("\"records\": 1").then_some(()));
    assert_eq!(lines(&edge, "Permission denied"), 1, "{}", edge.haproxy().log());
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet"));
}

/// Something of this kind in place of a file must neither be waited for nor followed.
fn put_instead(kind: &str, at: &Path) {
    match kind {
        "fifo" => assert!(Command::new("mkfifo").arg(at).status().unwrap().success()),
        "symbolic link" => symlink("/etc/passwd", at).unwrap(),
        "directory" => fs::create_dir(at).unwrap(),
        "file" => fs::write(at, "").unwrap(),
        other => unreachable!("{other}"),
    }
}

#[test]
fn what_is_no_file_is_passed_over() {
    for mode in [Mode::DEFAULT, Mode::WORKER] {
        for kind in ["fifo", "symbolic link", "directory"] {
            let (backend, home, mut edge) = start(mode);
            teach(&backend, &edge, "/yeet");
            edge.crash();
            for name in ["rules.snapshot", "learned/other.journal"] {
                put_instead(kind, &home.path().join(name));
            }
            edge.start_again();
            assert!(refuses(&edge, "/yeet"), "{kind}");
            until_it_writes(&edge);
            for name in ["rules.snapshot", "learned/other.journal"] {
                assert_eq!(lines(&edge, name), 1, "{kind}: {}", edge.haproxy().log());
            }
            let problems = || edge.metrics().sum("edge_filter_state_problems", &[]);
            assert_eq!(problems(), 2.0, "{kind}: {}", edge.cli("show edge status"));
            for name in ["rules.snapshot", "learned/other.journal"] {
                let path = home.path().join(name);
                if kind == "directory" { fs::remove_dir(path) } else { fs::remove_file(path) }.unwrap();
            }
            eventually("no problem", || (problems() == 0.0).then_some(()));
        }
    }
}

#[test]
fn what_is_no_directory_may_become_one() {
    for kind in ["fifo", "symbolic link", "file"] {
        for name in ["", "learned"] {
            let backend = Backend::start();
            let home = StateHome::new(Mode::WORKER);
            let place = home.path().join(name);
            if name.is_empty() {
                fs::remove_dir(home.path()).unwrap();
            }
            put_instead(kind, Path::new(place.to_str().unwrap().trim_end_matches('/')));
            let mut edge = Edge::before(&backend, Mode::WORKER).state(&home).start();
            teach(&backend, &edge, "/yeet");
            assert!(refuses(&edge, "/yeet"));
            let problems = || edge.metrics().sum("edge_filter_state_problems", &[]);
            eventually("a problem", || (problems() >= 1.0).then_some(()));
            fs::remove_file(place.to_str().unwrap().trim_end_matches('/')).unwrap();
            if name.is_empty() {
                home.make().unwrap();
            }
            until_it_writes(&edge);
            eventually("no problem", || (problems() == 0.0).then_some(()));
            eventually("all is copied", || {
                edge.cli("show edge status").contains("\"records\": 1").then_some(())
            });
            edge.crash_and_restart();
            assert!(refuses(&edge, "/yeet"), "{kind} {name}");
        }
    }
}

/// The CRC-32 of zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_file_of_a_newer_format_is_left_alone() {
    let (backend, home, mut edge) = start(Mode::WORKER);
    teach(&backend, &edge, "/yeet");
    edge.crash();
    let mut bytes = fs::read(home.path().join(&home.learned()[0])).unwrap();
    bytes[VERSION_AT] += 1;
    let checksum = crc32(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
    let newer = home.path().join("learned/newer.journal");
    fs::write(&newer, &bytes).unwrap();
    home.give_away(&newer).unwrap();
    edge.start_again();
    assert!(refuses(&edge, "/yeet"));
    until_it_writes(&edge);
    assert_eq!(lines(&edge, "learned/newer.journal: format"), 1, "{}", edge.haproxy().log());
    assert_eq!(edge.metrics().sum("edge_filter_state_problems", &[]), 1.0);
    edge.reload();
    assert_eq!(fs::read(&newer).unwrap(), bytes, "what a later version wrote stays");
}
