//! `edge-manager journal`, as it is run.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use edge_filter::{Action, List, NEVER, Operation, Origin, Rule, Target};
use edge_journal::{LearnedJournal, RulesWriter, StateDir};

fn journal(command: &str, directory: &Path) -> Command {
    let mut manager = Command::new(env!("CARGO_BIN_EXE_edge-manager"));
    manager.args(["journal", command]).arg(directory);
    manager
}

fn run(command: &str, directory: &Path) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = journal(command, directory).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn rule(n: u32) -> Rule {
    Rule {
        target: Target::Client(List::Block, std::net::Ipv4Addr::from_bits(n).to_string().parse().unwrap()),
        action: Action::Drop,
        expires_at_s: NEVER,
        origin: Origin::List("spam".into()),
        reason: "".into(),
    }
}

/// A snapshot, a change, a list file, a living worker and a dead one.
fn directory() -> (tempfile::TempDir, LearnedJournal) {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(directory.path(), 1000).unwrap();
    writer.append(&Operation::Put(rule(1)), 1000).unwrap();
    writer.rotate([rule(1)], &["spam".into()], 0, 1000).unwrap();
    writer.replace_list("spam", (1..=3000).map(rule), 1000).unwrap();
    let dir = StateDir::open(directory.path()).unwrap();
    drop(LearnedJournal::create(&dir, "dead", 1).unwrap());
    let living = LearnedJournal::create(&dir, "living", 1).unwrap();
    living.append(2, &Operation::Forget(rule(9).target)).unwrap();
    (directory, living)
}

const SOUND: &str = "\
rules.snapshot: snapshot, format 1, revision 1, 4 records, 1 rule, 132 bytes, sound
rules.list.2: list file, format 1, revision 2, 5 records, 3000 rules, 36143 bytes, sound
rules.journal.0: rules journal, format 1, revisions 0 to 1, 3 records, 74 bytes, sound
rules.journal.1: rules journal, format 1, revisions 1 to 2, 2 records, 49 bytes, sound
learned/dead.journal: learned journal, format 1, 1 record, 29 bytes, its worker is dead, sound
learned/living.journal: learned journal, format 1, 2 records, 47 bytes, its worker lives, sound
";

#[test]
fn a_sound_directory_has_a_line_for_each_file() {
    let (directory, _living) = directory();
    let before = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(run("verify", directory.path()), (Some(0), SOUND.to_owned(), String::new()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), before);
}

#[test]
fn damage_is_told_with_its_place() {
    let (directory, _living) = directory();
    let path = directory.path().join("rules.journal.1");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(0));
    let torn = "revisions 1 to 1, 1 record, 48 bytes, sound, 17 bytes of an unfinished record at byte 31";
    assert!(out.contains(torn), "{out}");

    let mut flipped = whole.clone();
    flipped[28] ^= 1;
    fs::write(&path, &flipped).unwrap();
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(1));
    assert!(out.contains("49 bytes, damaged at byte 16: the checksum of a record is wrong\n"), "{out}");
    let (code, _, errors) = run("dump", directory.path());
    assert_eq!(code, Some(1));
    assert_eq!(errors, "rules.journal.1: damaged at byte 16: the checksum of a record is wrong\n");

    fs::write(&path, &whole).unwrap();
    fs::remove_file(directory.path().join("rules.list.2")).unwrap();
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(1));
    assert!(out.ends_with("rules.list.2: missing, and rules.journal.1 leads to it\n"), "{out}");
    fs::remove_file(&path).unwrap();
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(1));
    assert!(out.ends_with("rules.journal.1: missing, and rules.snapshot leads to it\n"), "{out}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let (directory, _living) = directory();
    fs::write(directory.path().join("rules.snapshot"), "a foreign file").unwrap();
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(2));
    assert!(out.starts_with("rules.snapshot: not a file of Edge Filter\n"), "{out}");
}

/// Both commands end with status 2, and this reason.
fn refused(directory: &Path, reason: &str) {
    for command in ["verify", "dump"] {
        let (code, out, errors) = run(command, directory);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{command}");
        assert_eq!(errors, format!("edge-manager: {}: {reason}\n", directory.display()), "{command}");
    }
}

#[test]
fn a_missing_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    refused(&directory.path().join("missing"), "No such file or directory (os error 2)");
}

#[test]
fn a_file_is_no_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    refused(file.path(), "Not a directory (os error 20)");
}

#[test]
fn a_directory_without_permission_is_refused() {
    let (directory, _living) = directory();
    // Root may do everything: another user runs a copy of the program, which that user can reach.
    let reachable = tempfile::tempdir().unwrap();
    let program = reachable.path().join("edge-manager");
    fs::copy(env!("CARGO_BIN_EXE_edge-manager"), &program).unwrap();
    fs::set_permissions(reachable.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o000)).unwrap();
    let is_root = fs::metadata(&program).unwrap().uid() == 0;
    for command in ["verify", "dump"] {
        let mut manager = Command::new(&program);
        manager.args(["journal", command]).arg(directory.path()).current_dir("/");
        if is_root {
            manager.uid(65_534);
        }
        let Output { status, stdout, stderr } = manager.output().unwrap();
        let errors = String::from_utf8(stderr).unwrap();
        let wanted =
            format!("edge-manager: {}: Permission denied (os error 13)\n", directory.path().display());
        assert_eq!(
            (status.code(), stdout.as_slice(), errors),
            (Some(2), b"".as_slice(), wanted),
            "{command}"
        );
    }
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_of_other_things_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    refused(directory.path(), "no files of a state directory");
    fs::write(directory.path().join("haproxy.cfg"), "").unwrap();
    fs::create_dir(directory.path().join("learned")).unwrap();
    refused(directory.path(), "no files of a state directory");
}

const UNREACHED: &str = "nothing leads to it, a snapshot or journal before it is missing";

#[test]
fn what_goes_on_from_a_missing_file_is_told() {
    let (directory, _living) = directory();
    let remove = |name: &str| fs::remove_file(directory.path().join(name)).unwrap();
    remove("rules.snapshot");
    remove("rules.journal.0");
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(1));
    let told = format!("rules.list.2: {UNREACHED}\nrules.journal.1: {UNREACHED}\n");
    assert!(out.ends_with(&told), "{out}");
    remove("rules.journal.1");
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(1));
    assert!(out.ends_with(&format!("rules.list.2: {UNREACHED}\n")), "{out}");
}

#[test]
fn a_chain_that_ends_too_early_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = RulesWriter::open(directory.path(), 1000).unwrap();
    let first = fs::read(directory.path().join("rules.journal.0")).unwrap();
    writer.append(&Operation::Put(rule(1)), 1000).unwrap();
    let named = fs::read(directory.path().join("rules.journal.0")).unwrap();
    writer.rotate([rule(1)], &["spam".into()], 0, 1000).unwrap();
    fs::remove_file(directory.path().join("rules.snapshot")).unwrap();

    // Killed between the new journal and the snapshot: the next writer goes on from there.
    fs::write(directory.path().join("rules.journal.0"), named).unwrap();
    let (code, out, _) = run("verify", directory.path());
    assert_eq!((code, out.contains(UNREACHED)), (Some(0), false), "{out}");

    fs::write(directory.path().join("rules.journal.0"), first).unwrap();
    let (code, out, _) = run("verify", directory.path());
    assert_eq!(code, Some(1));
    assert!(out.ends_with(&format!("rules.journal.1: {UNREACHED}\n")), "{out}");
}

#[test]
fn every_record_and_rule_is_a_line_of_json() {
    let (directory, _living) = directory();
    let (code, out, errors) = run("dump", directory.path());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4 + 3003 + 3 + 2 + 1 + 2);
    assert_eq!(
        lines[1],
        r#"{"file":"rules.snapshot","offset":36,"record":"rule","target":{"block":"0.0.0.1"},"action":"drop","expires_at_s":null,"origin":{"list":"spam"},"reason":""}"#
    );
    assert_eq!(
        lines.last().unwrap(),
        &r#"{"file":"learned/living.journal","offset":29,"record":"change","revision":0,"stamp_us":2,"change":{"forget":{"block":"0.0.0.9"}}}"#
    );
    for line in lines {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object(), "{line}");
    }
}

#[test]
fn golden_files_are_sound() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../edge-journal/golden/v1");
    let (code, out, _) = run("verify", &golden);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(out.matches(", sound\n").count(), 5, "{out}");
    let (code, out, _) = run("dump", &golden);
    assert_eq!(code, Some(0));
    assert!(out.contains(r#""target":{"resource":{"host":"shop.example","path":"/a;v=1/%2F","match":"exact","method":"GET","query":"id=7","parameter":["id","7"],"anonymous":true,"client":"::ffff:192.0.2.7"}}"#));
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let (directory, _living) = directory();
    let mut child =
        journal("dump", directory.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}
