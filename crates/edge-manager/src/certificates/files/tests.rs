use std::os::unix::fs::PermissionsExt;

use super::*;

fn bundle(kind: KeyKind, to_s: u64) -> Bundle {
    let key = PrivateKey::generate(kind).unwrap();
    let names = Names::parse(&["shop.example"]).unwrap();
    Bundle::parse(&[key.self_signed(&names, 0, to_s).unwrap(), key.pem()].concat()).unwrap()
}

/// Names and ends of what is in place, `.previous` too.
fn found(files: &Files) -> Vec<(String, u64)> {
    let mut found: Vec<_> = fs::read_dir(&files.dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let name = entry.file_name().into_string().unwrap();
            (name, Bundle::parse(&Files::read(&entry.path()).unwrap()).unwrap().leaf().not_after_s)
        })
        .collect();
    found.sort();
    found
}

fn expected(files: &[(&str, u64)]) -> Vec<(String, u64)> {
    files.iter().map(|(ending, end)| (format!("shop.example.pem{ending}"), *end)).collect()
}

#[test]
fn what_was_there_is_kept_and_can_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let install = |to_s| files.install("shop.example", &[bundle(KeyKind::Ecdsa, to_s)]).unwrap();
    install(100);
    install(200);
    assert_eq!(found(&files), expected(&[("", 200), (".previous", 100)]));
    files.put_back("shop.example", true).unwrap();
    assert_eq!(found(&files), expected(&[("", 100)]));
}

#[test]
fn the_same_once_more_is_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    files.install("shop.example", &[bundle(KeyKind::Ecdsa, 100)]).unwrap();
    let next = [bundle(KeyKind::Ecdsa, 200)];
    files.install("shop.example", &next).unwrap();
    files.install("shop.example", &next).unwrap();
    assert_eq!(found(&files), expected(&[("", 200), (".previous", 100)]));
}

#[test]
fn keys_of_both_kinds_take_the_place_of_one_and_give_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let path = files.path("shop.example");
    files.install("shop.example", &[bundle(KeyKind::Ecdsa, 100)]).unwrap();
    assert_eq!(Files::in_force(&path), std::slice::from_ref(&path));
    files.install("shop.example", &[bundle(KeyKind::Ecdsa, 200), bundle(KeyKind::Rsa, 300)]).unwrap();
    assert_eq!(found(&files), expected(&[(".ecdsa", 200), (".previous", 100), (".rsa", 300)]));
    assert_eq!(Files::in_force(&path), ["ecdsa", "rsa"].map(|ending| with_ending(&path, ending)));
    files.install("shop.example", &[bundle(KeyKind::Rsa, 400)]).unwrap();
    let all = [("", 400), (".ecdsa.previous", 200), (".rsa.previous", 300)];
    assert_eq!(found(&files), expected(&all));
    files.put_back("shop.example", true).unwrap();
    assert_eq!(found(&files), expected(&[(".ecdsa", 200), (".rsa", 300)]));
}

#[test]
fn a_kill_within_a_change_of_kinds_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    files.install("shop.example", &[bundle(KeyKind::Ecdsa, 100)]).unwrap();
    let both = [bundle(KeyKind::Ecdsa, 200), bundle(KeyKind::Rsa, 300)];
    let path = files.path("shop.example");
    // Killed after the first file, then after the last one.
    Files::put_secret(&with_ending(&path, "ecdsa"), &both[0].pem()).unwrap();
    for _ in 0..3 {
        let places = files.install("shop.example", &both).unwrap();
        assert_eq!(places, ["ecdsa", "rsa"].map(|ending| with_ending(&path, ending)));
        assert_eq!(found(&files), expected(&[(".ecdsa", 200), (".previous", 100), (".rsa", 300)]));
    }
    files.put_back("shop.example", false).unwrap();
    assert_eq!(found(&files), expected(&[("", 100)]));
}

#[test]
fn only_what_was_there_just_before_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let ecdsa = |to_s| bundle(KeyKind::Ecdsa, to_s);
    files.install("shop.example", &[ecdsa(100)]).unwrap();
    files.install("shop.example", &[ecdsa(200), bundle(KeyKind::Rsa, 201)]).unwrap();
    files.install("shop.example", &[ecdsa(300)]).unwrap();
    files.install("shop.example", &[ecdsa(400)]).unwrap();
    assert_eq!(found(&files), expected(&[("", 400), (".previous", 300)]));
}

#[test]
fn the_last_file_is_not_removed_while_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    files.install("shop.example", &[bundle(KeyKind::Ecdsa, 100)]).unwrap();
    files.put_back("shop.example", true).unwrap();
    assert_eq!(found(&files), expected(&[("", 100)]));
    files.put_back("shop.example", false).unwrap();
    assert_eq!(found(&files), []);
}

#[test]
fn what_was_begun_and_what_belongs_to_no_order_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    fs::write(dir.path().join(".begun-x"), "half").unwrap();
    fs::create_dir(dir.path().join("pending/.begun-y")).unwrap();
    files.order_key("shop.example", KeyKind::Ecdsa).unwrap();
    files.order_key("other.example", KeyKind::Rsa).unwrap();
    let files = Files::open(dir.path()).unwrap();
    files.tidy(&["shop.example"]).unwrap();
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(dir.path()), ["accounts", "pending"]);
    assert_eq!(names(&dir.path().join("pending")), ["shop.example.ecdsa.key"]);
}
