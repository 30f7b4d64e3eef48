use serde_json::{Value, json};

use crate::harness::Manager;

fn manager() -> Manager {
    let manager = Manager::start().with_haproxy();
    let rules = json!([
        {"ip": "192.0.2.0/24", "action": "drop"},
        {"ip": "192.0.2.7", "kind": "allow", "expires_at": 4_102_444_800_u32},
        {"url": "/adm", "conditions": "method=POST anon", "action": "deny 404"},
        {"url": "/adm", "conditions": "query=id=7", "action": "tarpit"},
        {"url": "/adm", "conditions": "src=192.0.2.7", "action": "observe"},
        {"url": "/*", "action": "deny 410"},
    ]);
    assert_eq!(manager.send("POST", "/api/rules/bulk", &rules.to_string()).status, 200);
    manager
}

fn short(explanation: &Value) -> (String, Vec<(i64, String)>) {
    let rules = explanation["rules"].as_array().unwrap().iter();
    let parts = rules.map(|rule| (rule["id"].as_i64().unwrap(), rule["part"].as_str().unwrap().to_owned()));
    (explanation["verdict"].as_str().unwrap().to_owned(), parts.collect())
}

fn parts<const N: usize>(verdict: &str, parts: [(i64, &str); N]) -> (String, Vec<(i64, String)>) {
    (verdict.to_owned(), parts.map(|(id, part)| (id, part.to_owned())).into())
}

#[test]
fn the_entry_that_wins_is_told_with_those_it_overrides_and_the_time_left() {
    let manager = manager();
    let explained = manager.get("/api/explain?ip=192.0.2.7").json();
    assert_eq!((&explained["subject"], &explained["code"]), (&json!("192.0.2.7"), &json!(0)));
    assert_eq!(short(&explained), parts("pass", [(2, "decides"), (1, "overridden")]));
    let left_s = explained["rules"][0]["left_s"].as_u64().unwrap();
    let now_s = u64::from(edge_manager::clock::now_s());
    assert!((0..600).contains(&(4_102_444_800 - now_s).abs_diff(left_s)), "{explained}");
    assert_eq!(explained["rules"][1]["left_s"], Value::Null);
    assert_eq!(explained["rules"][1]["target"], "192.0.2.0/24");
}

#[test]
fn conditions_are_decided_where_the_request_is_known() {
    let manager = manager();
    let explain = |query: &str| short(&manager.get(&format!("/api/explain?{query}")).json());
    let of = |first, second, third, rest| [(3, first), (4, second), (5, third), (6, rest)];
    let mut undecided = explain("url=https://a.example/adm");
    undecided.1.sort();
    let conditional = "conditional";
    assert_eq!(
        undecided,
        parts("depends on the request", of(conditional, conditional, conditional, "decides"))
    );
    let decided = |query: &str| {
        let (verdict, rules) = explain(&format!("url=/adm{query}"));
        let deciding: Vec<_> =
            rules.iter().filter(|(_, part)| part == "decides").map(|(id, _)| *id).collect();
        (verdict, deciding)
    };
    assert_eq!(decided("&method=POST&anonymous=true"), ("deny 404".to_owned(), vec![3]));
    assert_eq!(decided("&method=POST"), ("deny 410".to_owned(), vec![6]));
    assert_eq!(decided("%3Fid=7&method=GET"), ("tarpit".to_owned(), vec![4]));
    assert_eq!(decided("%3Fid=7%23top&method=GET"), ("tarpit".to_owned(), vec![4]));
    assert_eq!(decided("&method=GET&client=192.0.2.7"), ("observe".to_owned(), vec![5]));
    assert_eq!(decided("&method=GET&anonymous=true&client=192.0.2.8"), ("deny 410".to_owned(), vec![6]));
}

#[test]
fn what_is_no_question_is_told() {
    let manager = manager();
    for query in [
        "",
        "ip=192.0.2.0/24",
        "ip=x",
        "ip=::1&url=/a",
        "ip=::1&method=GET",
        "url=nonsense",
        "url=192.0.2.1",
        "url=/a&anonymous=true",
        "url=/a&client=::1",
        "url=/a&method=GET&client=x",
        "url=/a&method=GET&anonymous=2",
        "path=/a",
    ] {
        let answer = manager.get(&format!("/api/explain?{query}"));
        assert_eq!(answer.status, 400, "{query} {answer:?}");
    }
    let answer = manager.get(&format!("/api/explain?url=h{}", "/a".repeat(14 << 10)));
    assert_eq!(answer.status, 400, "{answer:?}");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("url: ") && message.ends_with(": its path is longer than 16384 bytes"),
        "{message}"
    );
}
