use serde_json::{Value, json};

use crate::harness::{Answer, Manager};

const FULL: &str =
    "shop.example/a: there are 64 rules on it already, which is as many as the filter has room for";

fn rule(n: usize) -> Value {
    json!({"url": "shop.example/a", "conditions": format!("param:n={n}")})
}

fn message(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_rule_that_the_filter_has_no_room_for_is_refused_whichever_way_it_comes() {
    let manager = Manager::start().with_haproxy();
    let bulk = |count: usize| {
        let rules: Vec<_> = (0..count).map(rule).collect();
        manager.send("POST", "/api/rules/bulk", &json!(rules).to_string())
    };
    assert_eq!(message(&bulk(65)), (409, format!("rules[64]: {FULL}")));
    assert_eq!(bulk(64).status, 200);
    let one = manager.send("POST", "/api/rules", &rule(64).to_string());
    assert_eq!(message(&one), (409, FULL.to_owned()));
    let line = format!("{}\n", rule(64));
    let lines =
        manager.ask("POST", "/api/rules/bulk", &["Content-Type: application/x-ndjson"], line.as_bytes());
    assert_eq!(message(&lines), (409, format!("line 1: {FULL}")));
    let foreign = |n: usize| {
        json!({"kind": "resource", "target": "shop.example/a", "conditions": format!("param:n={n}"), "action": "drop",
            "list": "feed"})
    };
    let import = json!({"rules": [foreign(0), foreign(64)]});
    let import = manager.send_as_admin("POST", "/api/import", &import.to_string());
    assert_eq!(message(&import), (409, format!("rules[1]: {FULL}")));
    let page = manager.get("/api/rules?limit=1000").json();
    assert_eq!(page["rules"].as_array().unwrap().len(), 64, "nothing was made, nothing displaced");
    assert_eq!(manager.send("DELETE", "/api/rules/1", "").status, 200);
    assert_eq!(manager.send("POST", "/api/rules", &rule(64).to_string()).status, 200);
}
