//! All rules at once, whatever the files said before.

use super::*;

/// The revision and the rules that a reader finds.
fn loaded(dir: &Path) -> (u64, Vec<Rule>) {
    let found = Follower::load(dir).unwrap();
    (found.revision, found.state.into_values().collect())
}

fn three() -> [Rule; 3] {
    ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| rule(address, "manager"))
}

/// A directory whose rules are the first two, at revision 2.
fn two(dir: &Path) -> RulesWriter {
    let mut writer = RulesWriter::open(dir, 1).unwrap();
    for rule in &three()[..2] {
        writer.append(&Operation::Put(rule.clone()), 1).unwrap();
    }
    writer
}

fn replace_all(writer: &mut RulesWriter, rules: impl IntoIterator<Item = Rule>) -> u64 {
    let rules = rules.into_iter().map(Ok::<_, WriteError>);
    writer.replace_all(rules, &["manager".into()], 0, 1).unwrap()
}

#[test]
fn they_are_the_next_revision_and_no_journal_leads_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = two(dir.path());
    let [_, _, third] = three();
    assert_eq!(replace_all(&mut writer, [third.clone()]), 3);
    assert_eq!(loaded(dir.path()), (3, vec![third.clone()]));
    assert!(!dir.path().join("rules.journal.0").exists(), "who follows it finds the snapshot");
    assert_eq!(replace_all(&mut writer, [third]), 4, "another revision even if nothing is new");
    assert_eq!(writer.append(&put("192.0.2.9"), 1).unwrap(), 5);
    assert_eq!(loaded(dir.path()).1.len(), 2);
}

#[test]
fn revisions_do_not_go_back_where_files_were_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    let rules = three().map(Ok::<_, WriteError>);
    assert_eq!(writer.replace_all(rules, &["manager".into()], 7, 1).unwrap(), 8);
    assert_eq!(loaded(dir.path()), (8, three().to_vec()));
    drop(writer);
    let writer = RulesWriter::open(dir.path(), 1).unwrap();
    assert_eq!((writer.revision(), writer.needs_rotation()), (8, false));
}

#[test]
fn damage_is_mended_too() {
    let dir = tempfile::tempdir().unwrap();
    drop(two(dir.path()));
    fs::write(dir.path().join("rules.journal.0"), "").unwrap();
    let mut writer = RulesWriter::open(dir.path(), 1).unwrap();
    assert!(writer.needs_rotation());
    let revision = replace_all(&mut writer, three());
    assert_eq!(loaded(dir.path()), (revision, three().to_vec()));
}

#[test]
fn a_rule_that_does_not_come_leaves_everything_as_it_was() {
    #[derive(Debug)]
    struct Lost;
    impl From<WriteError> for Lost {
        fn from(error: WriteError) -> Self {
            panic!("{error}")
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut writer = two(dir.path());
    let [first, second, third] = three();
    assert!(matches!(writer.replace_all([Ok(third.clone()), Err(Lost)], &[], 0, 1), Err(Lost)));
    assert!(matches!(writer.try_rotate([Ok(third), Err(Lost)], &[], 0, 1), Err(Lost)));
    assert_eq!((writer.revision(), loaded(dir.path())), (2, (2, vec![first, second])));
    assert_eq!(writer.append(&put("192.0.2.3"), 1).unwrap(), 3);
    assert_eq!(loaded(dir.path()).1.len(), 3);
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_ones_or_the_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = two(dir.path());
    let [first, second, third] = three();
    let (old, new) = ((2, vec![first, second]), (3, vec![third.clone()]));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (path, found) = (dir.path().to_owned(), seen.clone());
    *writer.files.after_step.borrow_mut() = Some(Box::new(move || {
        let copy = tempfile::tempdir().unwrap();
        for (path, bytes) in contents(&path) {
            fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        let before = loaded(copy.path());
        let writer = RulesWriter::open(copy.path(), 1).unwrap();
        assert_eq!((writer.revision(), writer.needs_rotation()), (before.0, false));
        assert_eq!(loaded(copy.path()), before);
        found.borrow_mut().push(before);
    }));
    replace_all(&mut writer, [third]);
    let seen = seen.take();
    let changes = seen.windows(2).filter(|two| two[0] != two[1]).count();
    assert_eq!((seen.first(), seen.last(), changes), (Some(&old), Some(&new), 1));
}
