//! Something is wrong with the directory: HAProxy serves on, says so once, and recovers by itself.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

use edge_e2e::{Backend, Edge, Mode, StateHome, eventually, in_every_mode};

use super::{lines, refuses, start, teach, until_it_writes};

in_every_mode!(
    a_directory_may_come_later,
    a_directory_that_is_replaced_is_found,
    a_removed_journal_is_written_anew,
    a_journal_that_somebody_cut_is_written_anew,
    bad_files_are_passed_over,
    a_damaged_journal_is_read_up_to_there,
    a_torn_tail_is_cut,
);

fn a_directory_may_come_later(mode: Mode) {
    let backend = Backend::start();
    let home = StateHome::new(mode);
    fs::remove_dir(home.path()).unwrap();
    let mut edge = Edge::before(&backend, mode).state(&home).start();
    let told = lines(&edge, "nothing that is learned outlives HAProxy");
    assert_eq!(told, 1, "{}", edge.haproxy().log());
    teach(&backend, &edge, "/yeet");
    assert!(refuses(&edge, "/yeet"));
    assert_eq!(edge.metrics().sum("edge_filter_state_present", &[]), 0.0);
    home.make().unwrap();
    until_it_writes(&edge);
    eventually("a line", || (lines(&edge, "is there now") == 1).then_some(()));
    assert_eq!(lines(&edge, "nothing that is learned outlives HAProxy"), 1, "{}", edge.haproxy().log());
    assert_eq!(edge.metrics().sum("edge_filter_state_problems", &[]), 0.0);
    // What it had learned before is written too, once all is copied.
    eventually("a compaction", || edge.cli("show edge status").contains("\"records\": 1").then_some(()));
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet"));
}

fn a_directory_that_is_replaced_is_found(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    teach(&backend, &edge, "/yeet");
    fs::remove_dir_all(home.path()).unwrap();
    home.make().unwrap();
    eventually("another journal", || (!home.learned().is_empty()).then_some(()));
    until_it_writes(&edge);
    eventually("a compaction", || edge.cli("show edge status").contains("\"records\": 1").then_some(()));
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet"));
}

fn a_removed_journal_is_written_anew(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    teach(&backend, &edge, "/yeet");
    let journal = home.learned();
    fs::remove_file(home.path().join(&journal[0])).unwrap();
    eventually("it is told", || (lines(&edge, "is written again") == 1).then_some(()));
    assert_eq!(lines(&edge, "somebody removed it"), 1, "{}", edge.haproxy().log());
    assert_eq!(home.learned().len(), 1);
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet"));
}

fn a_journal_that_somebody_cut_is_written_anew(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    teach(&backend, &edge, "/before");
    let journal = &home.learned()[0];
    File::options().write(true).open(home.path().join(journal)).unwrap().set_len(0).unwrap();
    teach(&backend, &edge, "/after");
    eventually("it is told", || (lines(&edge, "is written again") == 1).then_some(()));
    assert_eq!(lines(&edge, &format!("{journal}: somebody changed it")), 1, "{}", edge.haproxy().log());
    assert_eq!(home.learned().len(), 1);
    edge.crash_and_restart();
    assert!(refuses(&edge, "/before") && refuses(&edge, "/after"));
}

/// What was in a directory before the module of today.
fn bad_files_are_passed_over(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    teach(&backend, &edge, "/yeet");
    edge.crash();
    let learned = home.path().join("learned");
    let put = |name: &str, bytes: &[u8]| {
        fs::write(learned.join(name), bytes).unwrap();
        home.give_away(&learned.join(name)).unwrap();
    };
    put("foreign.journal", b"a text that somebody has left here");
    put("notes.txt", b"no journal");
    fs::create_dir(learned.join("directory.journal")).unwrap();
    fs::write(home.path().join("rules.snapshot"), b"not a snapshot, whatever its name says").unwrap();
    home.give_away(&home.path().join("rules.snapshot")).unwrap();
    edge.start_again();
    assert!(refuses(&edge, "/yeet"));
    until_it_writes(&edge);
    for file in ["learned/foreign.journal", "learned/directory.journal", "rules.snapshot"] {
        assert_eq!(lines(&edge, file), 1, "{file}: {}", edge.haproxy().log());
    }
    assert_eq!(
        edge.metrics().sum("edge_filter_state_problems", &[]),
        3.0,
        "{}",
        edge.cli("show edge status")
    );
    assert!(learned.join("foreign.journal").exists(), "what is not ours stays");
    fs::remove_file(learned.join("foreign.journal")).unwrap();
    eventually("it is told", || (lines(&edge, "learned/foreign.journal: is gone") == 1).then_some(()));
}

fn a_damaged_journal_is_read_up_to_there(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    for n in 0..3 {
        teach(&backend, &edge, &format!("/yeet/{n}"));
    }
    edge.crash();
    let journal = home.path().join(&home.learned()[0]);
    let mut bytes = fs::read(&journal).unwrap();
    // The texts of a rule are in their records as they are; the first has come to the end of its own record.
    let places: Vec<usize> =
        bytes.windows(7).enumerate().filter(|(_, w)| w == b"/yeet/1").map(|(at, _)| at).collect();
    bytes[places[0]] ^= 1;
    fs::write(&journal, bytes).unwrap();
    edge.start_again();
    assert_eq!(lines(&edge, "damaged at byte"), 1, "{}", edge.haproxy().log());
    assert!(refuses(&edge, "/yeet/0"));
    assert_eq!(edge.metrics().learned_rules(), 1.0);
    // Once what can be read is in its own journal, it is said no more.
    eventually("it is taken over", || (!journal.exists()).then_some(()));
    edge.crash_and_restart();
    assert_eq!(lines(&edge, "damaged"), 0, "{}", edge.haproxy().log());
    assert!(refuses(&edge, "/yeet/0"));
}

fn a_torn_tail_is_cut(mode: Mode) {
    let (backend, home, mut edge) = start(mode);
    for n in 0..2 {
        teach(&backend, &edge, &format!("/yeet/{n}"));
    }
    edge.crash();
    let journal = home.path().join(&home.learned()[0]);
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 3]).unwrap();
    edge.start_again();
    assert_eq!(lines(&edge, "are cut"), 1, "{}", edge.haproxy().log());
    assert!(refuses(&edge, "/yeet/0"));
    assert_eq!(edge.metrics().learned_rules(), 1.0);
    eventually("it is taken over", || (!journal.exists()).then_some(()));
    edge.crash_and_restart();
    assert_eq!(lines(&edge, "are cut"), 0, "{}", edge.haproxy().log());
}

/// For root nothing is read-only.
#[test]
fn a_directory_may_become_writable() {
    let backend = Backend::start();
    let home = StateHome::new(Mode::WORKER);
    fs::set_permissions(home.path(), Permissions::from_mode(0o550)).unwrap();
    let mut edge = Edge::before(&backend, Mode::WORKER).state(&home).start();
    eventually("a line", || (lines(&edge, "is in memory only") == 1).then_some(()));
    teach(&backend, &edge, "/yeet");
    assert!(refuses(&edge, "/yeet"));
    let metrics = edge.metrics();
    assert_eq!(metrics.sum("edge_filter_state_writes", &[]), 0.0);
    assert_eq!(metrics.sum("edge_filter_state_problems", &[]), 1.0);
    let status = edge.cli("show edge status");
    assert!(status.contains("Permission denied"), "{status}");
    fs::set_permissions(home.path(), Permissions::from_mode(0o750)).unwrap();
    eventually("a line", || (lines(&edge, "is written again") == 1).then_some(()));
    assert_eq!(lines(&edge, "is in memory only"), 1, "{}", edge.haproxy().log());
    assert_eq!(edge.metrics().sum("edge_filter_state_problems", &[]), 0.0);
    edge.crash_and_restart();
    assert!(refuses(&edge, "/yeet"));
}

#[test]
fn descriptors_do_not_grow() {
    let (backend, home, edge) = start(Mode::DEFAULT);
    teach(&backend, &edge, "/yeet");
    let of_state = || {
        let dir = home.path();
        let fds = fs::read_dir(format!("/proc/{}/fd", edge.worker_pid())).unwrap();
        fds.filter(|fd| fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to.starts_with(&dir)))
            .count()
    };
    let before = of_state();
    for _ in 0..3 {
        let journal = home.learned();
        fs::remove_file(home.path().join(&journal[0])).unwrap();
        eventually("another journal", || {
            (home.learned() != journal && home.learned().len() == 1).then_some(())
        });
    }
    eventually("the old ones are closed", || (of_state() == before).then_some(()));
}
