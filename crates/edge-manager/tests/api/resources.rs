use std::path::Path;
use std::sync::Arc;

use edge_filter::{
    Action, CanonicalPath, Conditions, Host, Operation, Origin, ParameterSegments, Provenance, Resource,
    Rule, Status, Target,
};
use edge_journal::{LearnedJournal, StateDir};
use edge_manager::access::Role;
use edge_manager::clock::{now_s, now_us};

use crate::harness::{Manager, answer_with};

const PATH: &str = "/api/resources";

/// A worker's journal with lessons about these paths, which was read.
pub(crate) fn teach(manager: &Manager, paths: &[&str]) -> LearnedJournal {
    let dir = StateDir::open(&manager.socket().with_file_name("state")).unwrap();
    let journal = LearnedJournal::create(&dir, "worker", now_us()).unwrap();
    for path in paths {
        let learned_at_us = now_us();
        let from = Provenance {
            backend: "shop".into(),
            server: "s1".into(),
            unique_id: "id-7".into(),
            request: format!("GET shop.example{path}"),
            learned_at_us,
            client_network: None,
        };
        let path = CanonicalPath::parse(*path, ParameterSegments::Keep, 1024).unwrap();
        let resource = Resource::exact(Some(Host::parse("shop.example").unwrap()), path);
        let rule = Rule {
            target: Target::Resource(resource, Conditions { anonymous: true, ..Conditions::default() }),
            action: Action::Deny(Status::new(404).unwrap()),
            expires_at_s: now_s() + 3600,
            origin: Origin::Learned(Arc::new(from)),
            reason: "gone".into(),
        };
        journal.append(learned_at_us, &Operation::Put(rule)).unwrap();
    }
    manager.app.learned.round(now_us()).unwrap();
    journal
}

/// A worker that has every revision, and rules with hits.
fn answer(path: &Path) {
    answer_with(path, |command| {
        let told = "shop.example/a anon: deny 404, 9 s left, learned from shop/s1 by GET x, 12 hits\n";
        (command == "show edge rules resource").then(|| told.to_owned())
    });
}

#[test]
fn what_was_learned_is_listed_with_what_taught_it_and_its_hits() {
    let manager = Manager::start();
    answer(&manager.socket());
    assert_eq!(manager.get(PATH).said(), (200, r#"{"resources":[],"next":null}"#));
    let _worker = teach(&manager, &["/a", "/b"]);
    manager.send("POST", "/api/rules", r#"{"url":"shop.example/c/*","action":"tarpit"}"#);
    let found = manager.get(PATH).json();
    let first = &found["resources"][0];
    let (created_at_s, left_s) = (first["created_at_s"].as_u64().unwrap(), first["left_s"].as_u64().unwrap());
    assert!(created_at_s.abs_diff(now_s().into()) < 60 && (3500..=3600).contains(&left_s), "{first}");
    let mut expected = serde_json::json!({
        "id": "learned-1", "origin": "learned", "kind": "resource", "target": "shop.example/a",
        "match": "exact", "conditions": "anon", "action": "deny 404", "reason": "gone", "hits": 12,
        "last_hit_s": null,
        "taught_by": {"backend": "shop", "server": "s1", "unique_id": "id-7", "request": "GET shop.example/a"},
    });
    for field in ["created_at_s", "expires_at_s", "left_s"] {
        expected[field] = first[field].clone();
    }
    assert_eq!(first, &expected);
    assert_eq!(found["resources"][1]["hits"], serde_json::Value::Null, "no worker told of it");
    let third = &found["resources"][2];
    let of_rule = [&third["id"], &third["origin"], &third["match"], &third["list"], &third["expires_at_s"]];
    assert_eq!(serde_json::json!(of_rule), serde_json::json!(["rule-1", "manual", "prefix", "manual", null]));
    let ids = |query: &str| -> Vec<String> {
        let found = manager.get(&format!("{PATH}?{query}")).json();
        found["resources"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().into()).collect()
    };
    assert_eq!(ids("origin=learned&backend=shop&host=SHOP.example"), ["learned-1", "learned-2"]);
    assert_eq!(ids("origin=manual"), ["rule-1"]);
    assert_eq!(ids("after=learned-1"), ["learned-2", "rule-1"]);
    assert_eq!(ids("backend=other"), [""; 0]);
    let page = manager.get(&format!("{PATH}?limit=2")).json();
    assert_eq!(page["next"], "learned-2");
    assert_eq!(manager.get(&format!("{PATH}?limit=3")).json()["next"], serde_json::Value::Null);
}

#[test]
fn a_lesson_is_deleted_once() {
    let manager = Manager::start().with_haproxy();
    let _worker = teach(&manager, &["/a"]);
    let deleted = manager.send("DELETE", "/api/resources/learned-1", "");
    let said = deleted.json();
    assert_eq!(
        (deleted.status, &said["status"], &said["enforcement"]),
        (200, &"success".into(), &"in_force".into())
    );
    assert_eq!(said["resource"]["id"], "learned-1");
    let again = manager.send("DELETE", "/api/resources/learned-1", "");
    let absent = r#"{"status":"error","message":"learned-1: no such rule is in force"}"#;
    assert_eq!(again.said(), (404, absent));
    assert_eq!(manager.get(PATH).json()["resources"], serde_json::json!([]));
}

#[test]
fn a_lesson_is_pinned_and_unpinned() {
    let manager = Manager::start().with_haproxy();
    let _worker = teach(&manager, &["/a", "/b"]);
    let pinned = manager.ask("POST", "/api/resources/learned-1/pin", &[], b"").json();
    let resource = &pinned["resource"];
    assert_eq!((&resource["id"], &resource["list"]), (&"rule-1".into(), &"pinned".into()));
    assert_eq!(resource["expires_at_s"], serde_json::Value::Null);
    let reason = "learned from shop/s1 by GET shop.example/a id=id-7, reason: gone";
    assert_eq!(resource["reason"], reason);
    let with_ttl = manager.send("POST", "/api/resources/learned-2/pin", r#"{"ttl":60}"#).json();
    assert!((59..=61).contains(&with_ttl["resource"]["left_s"].as_u64().unwrap()), "{with_ttl}");
    assert_eq!(manager.send("DELETE", "/api/resources/rule-1", "").status, 200);
    assert_eq!(manager.get(PATH).json()["resources"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_done_is_refused_with_its_name() {
    let manager = Manager::start().with_haproxy();
    let _worker = teach(&manager, &["/a"]);
    manager.send("POST", "/api/rules", r#"{"url":"shop.example/a","conditions":"anon"}"#);
    manager.send("POST", "/api/rules", r#"{"ip":"192.0.2.1"}"#);
    for (method, path, body, status, words) in [
        ("GET", "?limit=0", "", 400, "limit: 0: 1 to 1000"),
        ("GET", "?after=7", "", 400, "after: \\\"7\\\": an id is learned- or rule- with a number"),
        ("GET", "?origin=x", "", 400, "the query: "),
        ("GET", "?host=a%20b", "", 400, "host: \\\"a b\\\": "),
        ("GET", "?what=x", "", 400, "the query: "),
        ("DELETE", "/7", "", 400, "id: \\\"7\\\": an id is"),
        ("DELETE", "/rule-2", "", 404, "rule-2: no such rule is in force"),
        ("DELETE", "/learned-9", "", 404, "learned-9: no such rule is in force"),
        ("POST", "/rule-1/pin", "", 400, "rule-1: only what was learned can be pinned"),
        ("POST", "/learned-1/pin", "{\"ttl\":0}", 400, "ttl: \\\"0\\\": "),
        ("POST", "/learned-1/pin", "{\"ttl\":\"x\"}", 400, "the body: "),
        ("POST", "/learned-1/pin", "{\"x\":1}", 400, "the body: "),
        ("POST", "/learned-1/pin", "", 409, "shop.example/a anon is there already, as rule 1"),
        ("POST", "/learned-9/pin", "", 404, "learned-9: no such rule is in force"),
    ] {
        let answer = manager.send(method, &format!("{PATH}{path}"), body);
        assert!(answer.status == status && answer.body.contains(words), "{method} {path} {body}: {answer:?}");
    }
}

#[test]
fn who_may_only_read_changes_nothing() {
    let manager = Manager::start().with_haproxy();
    let _worker = teach(&manager, &["/a"]);
    let key = manager.add_key("reader", Role::Reader);
    let header = format!("Authorization: Bearer {key}");
    let ask = |method: &str, path: &str| manager.ask(method, path, &[&header], b"").status;
    assert_eq!(ask("GET", PATH), 200);
    assert_eq!(ask("DELETE", "/api/resources/learned-1"), 403);
    assert_eq!(ask("POST", "/api/resources/learned-1/pin"), 403);
    assert_eq!(manager.get(PATH).status, 401);
}
