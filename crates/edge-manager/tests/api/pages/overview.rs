use std::fs;

use edge_manager::certificates::{KeyKinds, Names, Proof};
use edge_manager::clock::{now_s, now_us};
use edge_manager::store::{CertificateRow, StoreError};

use super::Visitor;
use crate::harness::{Manager, answer_with};

fn block(visitor: &mut Visitor<'_>, target: &str) {
    assert_eq!(visitor.send("/clients", "/clients/add", &[("target", target)]).status, 303);
}

#[test]
fn changes_that_haproxy_cannot_find_are_told_until_it_can() {
    let manager = Manager::with_key(Some("secret")).with_haproxy();
    let mut visitor = Visitor::with_key(&manager, "secret");
    let lacks = "HAProxy lacks changes";
    let page = visitor.get("/").body;
    assert!(!page.contains(lacks) && page.contains(env!("CARGO_PKG_VERSION")), "{page}");
    // As after an append that failed; and no snapshot can be written.
    manager.app.store.write::<_, StoreError>(|record| record.set_revision(9, None)).unwrap();
    let obstacle = edge_e2e::obstruct_snapshot(&manager.state_dir());
    block(&mut visitor, "192.0.2.1");
    let page = visitor.get("/").body;
    assert!(page.contains(lacks) && page.contains("rules.snapshot.new"), "{page}");
    fs::remove_dir_all(&obstacle).unwrap();
    manager.app.rules.catch_up(now_us()).unwrap();
    assert!(!visitor.get("/").body.contains(lacks));
}

#[test]
fn a_worker_is_behind_when_it_has_not_followed_since_the_last_look() {
    let manager = Manager::with_key(Some("secret"));
    answer_with(&manager.socket(), |command| {
        let status = r#"{"version": "1", "native": true, "revision": 0, "rules":
            {"allow": 0, "block": 0, "resource": 0, "learned": 0}}"#;
        (command == "show edge status").then(|| status.to_owned())
    });
    let mut visitor = Visitor::with_key(&manager, "secret");
    let look = || {
        let recorded = manager.app.store.read(|view| view.revision()).unwrap().unwrap();
        manager.app.traffic.look(recorded, now_us());
        recorded
    };
    assert_eq!(look(), 0);
    block(&mut visitor, "192.0.2.1");
    let mut is_behind = || visitor.get("/").body.contains("record: 1");
    assert!(!is_behind(), "it was seen before the change");
    assert_eq!(look(), 1);
    assert!(!is_behind(), "it may be on its way");
    look();
    assert!(is_behind());
}

#[test]
fn certificates_that_end_soon_or_are_not_renewed_are_told() {
    const DAY_S: u64 = 86_400;
    let manager = Manager::with_key(Some("secret"));
    let mut visitor = Visitor::with_key(&manager, "secret");
    assert!(visitor.get("/").body.contains("None ends within 30 days"));
    let now_s = u64::from(now_s());
    let row = |name: &str, days: u64, proof, problem: Option<&str>| CertificateRow {
        names: Names::parse(&[name]).unwrap(),
        keys: KeyKinds::Ecdsa,
        proof,
        expires_at_s: now_s + days * DAY_S,
        renew_at_s: Some(now_s + DAY_S + 60),
        failures: 0,
        retry_at_s: None,
        problem: problem.map(str::to_owned),
        warned_days: None,
    };
    let rows = [
        row("late.example", 31, Some(Proof::Http), None),
        row("soon.example", 29, Some(Proof::Http), None),
        row("bought.example", 3, None, None),
        row("failed.example", 80, Some(Proof::Http), Some("<b>the server</b> said no")),
    ];
    let put = |row| manager.app.store.write::<_, StoreError>(|record| record.put_certificate(row));
    rows.iter().try_for_each(put).unwrap();
    let page = visitor.get("/").body;
    let card = page.split_once("id=\"ending\"").unwrap().1.split_once("</section>").unwrap().0;
    let names = card.split("data-name=\"Certificate\" class=\"target\">").skip(1);
    let names: Vec<_> = names.map(|cell| cell.split('<').next().unwrap()).collect();
    assert_eq!(names, ["bought.example", "soon.example", "failed.example"], "the first to end first");
    assert!(card.contains("not by itself") && card.contains("in 24 h"), "{card}");
    assert!(!card.contains("<b>the server"), "{card}");
}
