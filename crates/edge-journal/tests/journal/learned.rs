//! A worker's own journal.

use std::fs;
use std::io;
use std::path::Path;

use edge_filter::{List, Operation, Rule, Target};
use edge_journal::{FileName, LearnedJournal, Next, Record, Records, StateDir, remove_learned};

use crate::samples::learned;

fn lesson() -> Operation {
    Operation::Put(learned(Target::Client(List::Block, "192.0.2.1".parse().unwrap())))
}

fn directory() -> (tempfile::TempDir, StateDir) {
    let directory = tempfile::tempdir().unwrap();
    let dir = StateDir::open(directory.path()).unwrap();
    (directory, dir)
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_living_worker_holds_its_journal() {
    let (_directory, dir) = directory();
    let journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    let reader = Records::open(&dir, journal.name()).unwrap();
    assert!(reader.is_locked());
    let error = remove_learned(&dir, journal.name()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let name = journal.name().clone();
    drop(journal);
    assert!(!reader.is_locked());
    remove_learned(&dir, &name).unwrap();
    assert!(dir.journals().unwrap().files.is_empty());
    remove_learned(&dir, &name).unwrap();
}

#[test]
fn a_reader_follows_while_the_worker_appends() {
    let (_directory, dir) = directory();
    let journal = LearnedJournal::create(&dir, "1", 5).unwrap();
    let mut reader = Records::open(&dir, journal.name()).unwrap();
    assert!(matches!(reader.next(), Ok(Next::Record(Record::Head(head))) if head.stamp_us == 5));
    for stamp_us in 6..9 {
        assert!(matches!(reader.next(), Ok(Next::End { torn_bytes: 0 })));
        journal.append(stamp_us, &lesson()).unwrap();
        let expected = Record::Change { revision: 0, stamp_us, operation: lesson() };
        assert_eq!(reader.next().unwrap(), Next::Record(expected));
        assert_eq!((reader.offset(), reader.len_now().unwrap()), (journal.len(), journal.len()));
    }
    reader.rewind();
    assert!(matches!(reader.next(), Ok(Next::Record(Record::Head(_)))));
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let (directory, dir) = directory();
    drop(LearnedJournal::create(&dir, "1", 1).unwrap());
    let before = fs::read(directory.path().join("learned/1.journal")).unwrap();
    let error = LearnedJournal::create(&dir, "1", 2).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(names(&directory.path().join("learned")), ["1.journal"]);
    assert_eq!(fs::read(directory.path().join("learned/1.journal")).unwrap(), before);
    assert_eq!(LearnedJournal::create(&dir, "../1", 1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn what_was_not_finished_is_removed_by_the_next_worker() {
    let (directory, dir) = directory();
    drop(LearnedJournal::create(&dir, "1", 1).unwrap());
    fs::write(directory.path().join("learned/2.journal.new"), "half").unwrap();
    let _third = LearnedJournal::create(&dir, "3", 1).unwrap();
    assert_eq!(names(&directory.path().join("learned")), ["1.journal", "3.journal"]);
}

#[test]
fn two_workers_can_make_their_journals_at_the_same_time() {
    // Each takes the file that the other one is making for one of the dead, until that is locked.
    let (_directory, dir) = directory();
    std::thread::scope(|scope| {
        for worker in ["a", "b"] {
            let dir = &dir;
            scope.spawn(move || {
                for n in 0..2000 {
                    let journal = LearnedJournal::create(dir, &format!("{worker}-{n}"), 1);
                    let journal = journal.unwrap_or_else(|e| panic!("{worker}-{n}: {e}"));
                    let name = journal.name().clone();
                    assert!(journal.is_present(dir), "{name}");
                    drop(journal);
                    // The other worker may still look at the file that it found unfinished.
                    while let Err(e) = remove_learned(dir, &name) {
                        assert_eq!(e.kind(), io::ErrorKind::WouldBlock, "{name}");
                    }
                }
            });
        }
    });
    assert!(dir.journals().unwrap().files.is_empty());
}

#[test]
fn what_is_not_ours_is_left_alone_and_stops_nothing() {
    let (directory, dir) = directory();
    drop(LearnedJournal::create(&dir, "1", 1).unwrap());
    let learned = directory.path().join("learned");
    fs::write(learned.join("notes.new"), "an operator's").unwrap();
    fs::create_dir(learned.join("x.new")).unwrap();
    fs::create_dir(learned.join("2.journal.new")).unwrap();
    std::os::unix::fs::symlink("notes.new", learned.join("3.journal.new")).unwrap();
    let before = names(&learned);
    let _fourth = LearnedJournal::create(&dir, "4", 1).unwrap();
    let mut after = names(&learned);
    after.retain(|name| name != "4.journal");
    assert_eq!(after, before);
}

#[test]
fn a_worker_sees_that_its_journal_is_gone() {
    let (directory, dir) = directory();
    let journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    assert!(journal.is_present(&dir));
    fs::remove_file(directory.path().join("learned/1.journal")).unwrap();
    assert!(!journal.is_present(&dir));
    fs::write(directory.path().join("learned/1.journal"), "").unwrap();
    assert!(!journal.is_present(&dir));
}

#[test]
fn a_worker_sees_that_its_journal_was_changed() {
    let (directory, dir) = directory();
    let path = directory.path().join("learned/1.journal");
    let journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    journal.append(2, &lesson()).unwrap();
    assert!(journal.is_untouched());
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(journal.len() + 1).unwrap();
    assert!(!journal.is_untouched());
    file.set_len(0).unwrap();
    assert!(!journal.is_untouched());
    journal.append(3, &lesson()).unwrap();
    assert!(journal.is_present(&dir) && !journal.is_untouched(), "nor once more was appended");
}

#[test]
fn what_other_threads_append_is_no_change() {
    let (_directory, dir) = directory();
    let journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    std::thread::scope(|scope| {
        let appends = || (0..2000).for_each(|stamp_us| journal.append(stamp_us, &lesson()).unwrap());
        let threads = [scope.spawn(appends), scope.spawn(appends)];
        while threads.iter().any(|thread| !thread.is_finished()) {
            assert!(journal.is_untouched());
        }
    });
    assert!(journal.is_untouched());
}

#[test]
fn what_cannot_be_read_is_not_appended() {
    let (_directory, dir) = directory();
    let journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    let before = journal.len();
    let bad =
        Rule { reason: "a\nb".into(), ..learned(Target::Client(List::Block, "192.0.2.1".parse().unwrap())) };
    let error = journal.append(1, &Operation::Put(bad)).unwrap_err();
    assert_eq!((error.kind(), journal.len()), (io::ErrorKind::InvalidData, before));
}

#[test]
fn a_record_that_the_disk_takes_half_is_taken_back() {
    // A limit on the size of files stops a write as a full disk does. It is the process's, so a shell sets it.
    const DIRECTORY: &str = "EDGE_JOURNAL_TEST_FULL_DIR";
    let name = FileName::learned("1").unwrap();
    let Some(path) = std::env::var_os(DIRECTORY) else {
        let (directory, dir) = directory();
        let test = "learned::a_record_that_the_disk_takes_half_is_taken_back";
        let status = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$1\" --exact --test-threads=1"])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(DIRECTORY, directory.path())
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let mut reader = Records::open(&dir, &name).unwrap();
        let mut last = 0;
        loop {
            match reader.next().unwrap() {
                Next::Record(Record::Change { stamp_us, .. }) => {
                    assert_ne!(stamp_us, 3);
                    last = stamp_us;
                }
                Next::Record(_) => {}
                Next::End { torn_bytes } => break assert_eq!((torn_bytes, last), (0, 1_000)),
            }
        }
        return;
    };
    let dir = StateDir::open(Path::new(&path)).unwrap();
    let journal = LearnedJournal::create(&dir, "1", 1).unwrap();
    let Operation::Put(rule) = lesson() else { panic!("not a rule") };
    let large = || Operation::Put(Rule { reason: "a".repeat(1000).into(), ..rule.clone() });
    journal.append(2, &large()).unwrap();
    let before = journal.len();
    let error = journal.append(3, &large()).unwrap_err();
    let cause = rustix::io::Errno::FBIG.raw_os_error();
    assert_eq!((error.raw_os_error(), journal.len()), (Some(cause), before), "what stopped it");
    assert!(journal.is_untouched());
    // A smaller one finds room.
    journal.append(1000, &lesson()).unwrap();
}
