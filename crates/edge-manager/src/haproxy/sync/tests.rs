use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// A socket that gives these answers one after the other, and then the last one again and again.
fn answering(answers: &'static [&'static str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for at in 0.. {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line, "edge sync\n");
            let answer = answers[at.min(answers.len() - 1)];
            // Whoever asked may be gone.
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    (dir, path)
}

/// As many changes as revisions; the hash is the revision.
fn written(revision: u64) -> Option<Mark> {
    (revision <= 9).then(|| Mark { revision, taken: revision, digest: Digest::from_bits(revision) })
}

fn reason(socket: &Path, patience: Duration) -> String {
    match enforce(&[socket.to_owned()], 7, &written, patience) {
        Enforcement::StoredNotEnforced { reason } => {
            reason.strip_prefix(&format!("{}: ", socket.display())).unwrap().to_owned()
        }
        Enforcement::InForce => "in force".to_owned(),
    }
}

/// The reason after so long that there was an answer.
fn reason_heard(socket: &Path) -> String {
    let mut reasons = (0..6).map(|n| reason(socket, Duration::from_secs(1 << n)));
    reasons.find(|reason| reason != "no answer in time").expect("an answer")
}

#[test]
fn a_worker_is_asked_until_it_has_the_revision() {
    let (_dir, socket) = answering(&[
        "revision 6, taken 6, hash 06\n",
        "revision 6, taken 6, hash 06, more is waiting\n",
        "revision 7, taken 7, hash 07\n",
    ]);
    assert_eq!(reason(&socket, PATIENCE), "in force");
    let (_dir, ahead) = answering(&["revision 9, taken 9, hash 09, more is waiting\n"]);
    assert_eq!(enforce(&[socket, ahead], 7, &written, PATIENCE), Enforcement::InForce);
}

#[test]
fn a_worker_that_hangs_up_in_a_reload_is_asked_again() {
    let (_dir, socket) =
        answering(&["", "revision 6, taken 6, hash 06\n", "", "revision 7, taken 7, hash 07\n"]);
    assert_eq!(reason(&socket, PATIENCE), "in force");
}

#[test]
fn where_nobody_listens_any_more_nobody_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.sock");
    drop(UnixListener::bind(&path).unwrap());
    // It would not end.
    let ages = Duration::from_secs(100_000);
    assert_eq!(reason(&path, ages), "Connection refused (os error 111)");
}

#[test]
fn a_revision_of_rules_that_were_removed_is_not_believed() {
    let (_dir, socket) = answering(&["revision 60, taken 60, hash 60\n", "revision 6, taken 6, hash 06\n"]);
    assert_eq!(reason_heard(&socket), "still at revision 6");
}

#[test]
fn a_worker_that_stays_behind_is_told() {
    let (_dir, socket) = answering(&["revision 6, taken 6, hash 06\n"]);
    assert_eq!(reason_heard(&socket), "still at revision 6");
    let (_dir, socket) = answering(&["revision 0, taken 0, hash unknown\n"]);
    assert_eq!(reason_heard(&socket), "still at revision 0: is its EDGE_STATE_DIR this directory?");
    let (_dir, socket) = answering(&["revision 7, taken 7, hash 07, stopped: it is gone, all of it\n"]);
    assert_eq!(reason_heard(&socket), "in force", "it stops behind what was asked for");
    let (_dir, socket) = answering(&["revision 6, taken 6, hash 06, stopped: it is gone, all of it\n"]);
    assert_eq!(reason_heard(&socket), "still at revision 6: it is gone, all of it");
}

#[test]
fn a_worker_that_has_not_all_of_it_is_not_believed() {
    for (answer, expected) in [
        (
            "revision 8, taken 5, hash unknown, more is waiting, incomplete: rules.snapshot: damaged, at byte 7\n",
            "rules are missing there, it has taken 5: rules.snapshot: damaged, at byte 7",
        ),
        (
            "revision 7, taken 7, hash 08\n",
            "at revision 7 it has not the rules that were written: it has taken 7 rules and changes, 7 were written",
        ),
        (
            "revision 8, taken 6, hash 08\n",
            "at revision 8 it has not the rules that were written: it has taken 6 rules and changes, 8 were written",
        ),
        (
            "revision 7, taken 7, hash unknown\n",
            "at revision 7 it has not the rules that were written: it has taken 7 rules and changes, 7 were written",
        ),
    ] {
        let (_dir, socket) = answering(Box::leak(Box::new([answer])));
        assert_eq!(reason_heard(&socket), expected, "{answer}");
    }
}

#[test]
fn a_worker_of_an_earlier_version_is_told_at_once() {
    for answer in ["revision 7\n", "revision 7, incomplete: rules.snapshot cannot be read\n"] {
        let (_dir, socket) = answering(Box::leak(Box::new([answer])));
        assert!(reason(&socket, Duration::from_secs(100_000)).starts_with("its module is older"));
    }
}

#[test]
fn words_of_later_versions_are_passed_over() {
    let rules = Rules::parse("revision 7, taken 9, hash 0a, colour green, more is waiting\n").unwrap();
    let digest = Some(Digest::from_bits(10));
    assert_eq!(rules, Rules { revision: 7, taken: Some(9), digest, more: true, ..Rules::default() });
    for text in ["", "revision", "revision x", "revision 7, taken many", "Unknown command"] {
        assert_eq!(Rules::parse(text), None, "{text}");
    }
}

#[test]
fn who_does_not_answer_is_told() {
    let (_dir, socket) = answering(&["Unknown command: 'edge'.\n"]);
    assert_eq!(reason(&socket, PATIENCE), "answered \"Unknown command: 'edge'.\" to edge sync");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(reason(&dir.path().join("none"), PATIENCE), "No such file or directory (os error 2)");
    let silent = dir.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    assert_eq!(reason(&silent, Duration::from_millis(50)), "no answer from HAProxy in time");
    let nobody = Enforcement::StoredNotEnforced { reason: "no stats socket of HAProxy to ask".into() };
    assert_eq!(enforce(&[], 7, &written, PATIENCE), nobody);
}

#[test]
fn one_of_two_is_not_all() {
    let (_dir, good) = answering(&["revision 7, taken 7, hash 07\n"]);
    let bad = good.with_file_name("none");
    let Enforcement::StoredNotEnforced { reason } = enforce(&[good, bad.clone()], 7, &written, PATIENCE)
    else {
        panic!("in force")
    };
    assert_eq!(reason, format!("{}: No such file or directory (os error 2)", bad.display()));
}
