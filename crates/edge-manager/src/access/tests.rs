use std::sync::Arc;

use super::*;
use crate::store::{AuditSelection, MAX_AUDIT_ROWS, Store, StoreError};

const NOW_US: u64 = 1_000_000_000;

fn record() -> (tempfile::TempDir, Arc<Store>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&dir.path().join("rules.db")).unwrap());
    (dir, store)
}

fn add(store: &Store, name: &str, role: Role) -> Result<NewKey, AccessError> {
    add_key(store, &Caller::command_line(), name, role, NOW_US)
}

fn admitted(keys: &Keys, key: &str) -> Option<(String, Role)> {
    match keys.admit(Some(key.as_bytes()), None).unwrap() {
        Admission::As(caller) => Some((caller.name.to_string(), caller.role)),
        Admission::Refused | Admission::Waits(_) => None,
        Admission::Open => panic!("everybody is let in"),
    }
}

#[test]
fn a_key_is_good_for_its_role_until_it_is_removed() {
    let (_dir, store) = record();
    let keys = Keys::new(store.clone(), None, true);
    assert!(keys.is_empty().unwrap());
    let panel = add(&store, "panel", Role::Operator).unwrap();
    let page = add(&store, "page", Role::Reader).unwrap();
    assert_eq!(admitted(&keys, panel.reveal()), Some(("panel".into(), Role::Operator)));
    assert_eq!(admitted(&keys, page.reveal()), Some(("page".into(), Role::Reader)));
    for wrong in ["", "edge_", "panel", &panel.reveal()[..68], &format!("{} ", panel.reveal())] {
        assert_eq!(admitted(&keys, wrong), None, "{wrong:?}");
    }
    remove_key(&store, &Caller::command_line(), "panel", NOW_US).unwrap();
    assert_eq!(admitted(&keys, panel.reveal()), None);
    assert_eq!(admitted(&keys, page.reveal()), Some(("page".into(), Role::Reader)));
}

#[test]
fn while_there_is_no_key_only_a_manager_of_this_machine_is_open() {
    let (_dir, store) = record();
    let (local, network) = (Keys::new(store.clone(), None, true), Keys::new(store.clone(), None, false));
    let with_environment = Keys::new(store.clone(), Some(KeyHash::of(b"secret")), true);
    assert_eq!(local.admit(None, None).unwrap(), Admission::Open);
    assert_eq!(local.admit(Some(b"any"), None).unwrap(), Admission::Open);
    assert_eq!(network.admit(None, None).unwrap(), Admission::Refused);
    assert_eq!(with_environment.admit(None, None).unwrap(), Admission::Refused);
    assert_eq!(admitted(&with_environment, "secret"), Some(("HAPROXY_API_KEY".into(), Role::Admin)));
    add(&store, "page", Role::Reader).unwrap();
    assert_eq!(local.admit(None, None).unwrap(), Admission::Refused);
}

#[test]
fn keys_are_random_long_and_never_shown_again() {
    let (dir, store) = record();
    let (one, other) = (NewKey::random().unwrap(), NewKey::random().unwrap());
    assert_ne!(one.reveal(), other.reveal());
    assert_eq!(one.reveal().len(), "edge_".len() + 64);
    let key = add(&store, "panel", Role::Admin).unwrap();
    let digits: String = key.hash().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let keys = Keys::new(store.clone(), Some(key.hash()), true);
    let shown = format!("{key:?} {:?} {keys:?} {:?}", key.hash(), store.read(|view| view.keys()).unwrap());
    let decimals = format!("{:?}", key.hash().as_bytes());
    for secret in [&key.reveal()[5..], &digits, &decimals] {
        assert!(!shown.contains(secret), "{shown}");
    }
    drop((keys, store));
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(
            !bytes.windows(64).any(|window| window == &key.reveal().as_bytes()[5..]),
            "it is in the record"
        );
    }
}

#[test]
fn names_are_plain_and_given_once() {
    let (_dir, store) = record();
    let refused = |name: &str| add(&store, name, Role::Admin).unwrap_err().to_string();
    let shape = |name: &str| format!("name: {name:?}: 1 to 64 of a-z A-Z 0-9 . _ @ -");
    for bad in ["", "a b", "a\nb", "ä"] {
        assert_eq!(refused(bad), shape(bad));
    }
    assert_eq!(refused(&"a".repeat(65)), shape(&"a".repeat(64)));
    add(&store, "me@host-1.example", Role::Admin).unwrap();
    assert_eq!(refused("me@host-1.example"), "a key me@host-1.example is there already");
    assert_eq!(refused("HAPROXY_API_KEY"), "a key HAPROXY_API_KEY is there already");
    let absent = remove_key(&store, &Caller::command_line(), "you", NOW_US).unwrap_err();
    assert_eq!(absent.to_string(), "there is no key you");
}

#[test]
fn as_many_keys_as_are_compared_are_made() {
    let (_dir, store) = record();
    for n in 0..MAX_KEYS {
        add(&store, &format!("key{n}"), Role::Reader).unwrap();
    }
    assert!(matches!(add(&store, "more", Role::Reader), Err(AccessError::TooMany)));
}

#[test]
fn a_change_is_noted_with_who_made_it_or_not_made() {
    let (_dir, store) = record();
    let caller = Caller { name: "panel".into(), role: Role::Admin, from: "192.0.2.7".parse().ok() };
    add_key(&store, &caller, "page", Role::Reader, NOW_US).unwrap();
    add_key(&store, &caller, "page", Role::Reader, NOW_US).unwrap_err();
    remove_key(&store, &Caller::command_line(), "page", NOW_US + 1).unwrap();
    let noted = store.read(|view| view.audit(&AuditSelection::default(), 10)).unwrap();
    let short: Vec<_> = noted
        .iter()
        .map(|row| {
            (row.id, row.at_us, &*row.caller, &*row.role, row.from.as_deref(), &*row.operation, &*row.target)
        })
        .collect();
    let removed = (2, NOW_US + 1, "CLI", "admin", None, "key.remove", "page");
    let added = (1, NOW_US, "panel", "admin", Some("192.0.2.7"), "key.add", "page (read)");
    assert_eq!(short, [removed, added]);
    assert!(noted.iter().all(|row| row.result == "done"));
    assert_eq!(
        store
            .read(|view| view.audit(&AuditSelection { after: Some(2), ..AuditSelection::default() }, 10))
            .unwrap(),
        noted[1..]
    );
    assert_eq!(store.read(|view| view.audit(&AuditSelection::default(), 1)).unwrap(), noted[..1]);
}

#[test]
fn the_oldest_notes_give_way() {
    use crate::store::{Changes, DONE, Deed};
    let (_dir, store) = record();
    let caller = Caller::manager();
    let target = "x".repeat(5000);
    let note = |changes: &mut Changes<'_>| {
        let took = std::time::Duration::ZERO;
        let deed = Deed {
            caller: &caller,
            operation: "rules.put",
            target: &target,
            result: DONE,
            at_us: NOW_US,
            took,
        };
        (0..MAX_AUDIT_ROWS + 3).try_for_each(|_| changes.note(&deed))
    };
    store.write::<_, StoreError>(note).unwrap();
    let all = store.read(|view| view.audit(&AuditSelection::default(), u32::MAX)).unwrap();
    assert_eq!((all.len() as i64, all.last().unwrap().id), (MAX_AUDIT_ROWS, 4));
    assert_eq!(all[0].target.len(), 1024);
}

#[test]
fn roles_are_in_order_and_have_one_word_each() {
    assert!(Role::Reader < Role::Operator && Role::Operator < Role::Admin);
    for role in [Role::Reader, Role::Operator, Role::Admin] {
        assert_eq!(role.name().parse(), Ok(role));
    }
    assert!("Admin".parse::<Role>().is_err() && "".parse::<Role>().is_err());
}
