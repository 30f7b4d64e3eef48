use edge_manager::access::{Caller, Role};
use edge_manager::rules::{Change, IfPresent, Input};
use serde_json::{Value, json};

use crate::harness::Manager;

/// At these times, in turn: alice makes two rules, bob removes the first.
fn noted(manager: &Manager) {
    let change = |name: &str, change: Change, at_s: u64| {
        let caller = Caller { name: name.into(), role: Role::Operator, from: "192.0.2.9".parse().ok() };
        manager.app.rules.apply(&caller, [change], at_s * 1_000_000).unwrap();
    };
    let put =
        |target: &str| Change::Put(Input { target, ..Input::default() }.parse(1).unwrap(), IfPresent::Refuse);
    change("alice", put("192.0.2.1"), 1_000_000_000);
    change("alice", put("192.0.2.2"), 1_000_000_100);
    change("bob", Change::RemoveNumber(1), 1_000_000_200);
}

fn ids(page: &Value) -> Vec<i64> {
    page["changes"].as_array().unwrap().iter().map(|change| change["id"].as_i64().unwrap()).collect()
}

#[test]
fn changes_are_told_with_who_made_them() {
    let manager = Manager::start();
    noted(&manager);
    let page = manager.get("/api/audit?limit=1").json();
    let change = json!({
        "id": 3, "at_us": 1_000_000_200_000_000_u64, "who": "bob", "role": "operator", "from": "192.0.2.9",
        "action": "rules.remove", "target": "rule 1", "result": "done",
        "duration_us": page["changes"][0]["duration_us"],
    });
    assert_eq!(page, json!({"changes": [change], "next": 3}));
    assert_eq!(manager.get("/api/audit?after=2").json()["next"], Value::Null);
}

#[test]
fn changes_are_selected_and_come_in_pages() {
    let manager = Manager::start();
    noted(&manager);
    let found = |query: &str| ids(&manager.get(&format!("/api/audit?{query}")).json());
    assert_eq!(found(""), [3, 2, 1]);
    assert_eq!(found("who=alice"), [2, 1]);
    assert_eq!(found("action=rules.remove"), [3]);
    assert_eq!(found("since=1000000100"), [3, 2]);
    assert_eq!(found("until=1000000100"), [1]);
    assert_eq!(found("since=2001-09-09T01:48:20Z&until=2001-09-09T01:50:00Z"), [2]);
    assert_eq!(found("who=alice&since=1000000100&action=rules.put"), [2]);
    assert_eq!(found("limit=2"), [3, 2]);
    assert_eq!(found("limit=2&after=2"), [1]);
    for query in ["since=soon", "limit=0", "limit=1001", "after=x", "whom=alice"] {
        let answer = manager.get(&format!("/api/audit?{query}"));
        assert_eq!(answer.status, 400, "{query} {answer:?}");
    }
}

#[test]
fn all_of_it_comes_as_lines() {
    let manager = Manager::start();
    noted(&manager);
    for n in 0..1500 {
        let put = Input { target: &format!("10.0.{}.{}", n / 250, n % 250), ..Input::default() };
        let change = Change::Put(put.parse(1).unwrap(), IfPresent::Refuse);
        manager.app.rules.apply(&Caller::manager(), [change], 1).unwrap();
    }
    let lines = |query: &str| -> Vec<i64> {
        let answer =
            manager.ask("GET", &format!("/api/audit{query}"), &["Accept: application/x-ndjson"], b"");
        assert!(answer.head.contains("\r\ncontent-type: application/x-ndjson"), "{}", answer.head);
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap();
        answer.body.lines().map(line).collect()
    };
    assert_eq!(lines(""), (1..=1503).rev().collect::<Vec<_>>());
    assert_eq!(lines("?limit=1000"), (504..=1503).rev().collect::<Vec<_>>());
    assert_eq!(lines("?who=alice"), [2, 1]);
    assert_eq!(lines("?who=nobody"), [0; 0]);
}
