use serde_json::{Value, json};

use crate::harness::{Answer, Manager};

const PATH: &str = "/api/rules/bulk";
const LINES: &str = "Content-Type: application/x-ndjson";

fn send(manager: &Manager, body: &Value) -> Answer {
    manager.send("POST", PATH, &body.to_string())
}

fn lines(manager: &Manager, body: &str) -> Answer {
    manager.ask("POST", PATH, &[LINES], body.as_bytes())
}

fn message(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["message"].as_str().unwrap().to_owned())
}

fn targets(manager: &Manager) -> Vec<String> {
    let page = manager.get("/api/rules?limit=1000").json();
    page["rules"].as_array().unwrap().iter().map(|rule| rule["target"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn thousands_of_rules_are_one_change() {
    let manager = Manager::start().with_haproxy();
    let rules: Vec<_> = (0..10_000).map(|n| json!({"ip": format!("10.0.{}.{}", n / 250, n % 250)})).collect();
    let answer = send(&manager, &json!(rules));
    let change = answer.json();
    assert_eq!((answer.status, &change["enforcement"]), (200, &json!("in_force")), "{:?}", answer.head);
    assert_eq!(change["rules"].as_array().unwrap().len(), 10_000);
    assert_eq!(
        (&change["rules"][9999]["id"], &change["rules"][9999]["target"]),
        (&json!(10_000), &json!("10.0.39.249"))
    );
    let remove: Vec<_> = (1..=10_000).map(|id| json!({"id": id})).collect();
    let answer = send(&manager, &json!({"rules": [{"ip": "::1"}], "remove": remove}));
    assert_eq!(answer.status, 200);
    assert_eq!(targets(&manager), ["::1"]);
    let noted = manager.get("/api/audit").json();
    let words = |at: usize| (noted["changes"][at]["action"].clone(), noted["changes"][at]["target"].clone());
    assert_eq!(words(0), (json!("rules.change"), json!("10001 rules, the first: rule 1")));
    assert_eq!(words(1), (json!("rules.put"), json!("10000 rules, the first: block 10.0.0.0")));
}

#[test]
fn all_changes_are_made_or_none() {
    let manager = Manager::start().with_haproxy();
    send(&manager, &json!([{"ip": "192.0.2.1"}]));
    let present = "block 192.0.2.1 is there already, as rule 1";
    let absent = "allow 192.0.2.9: no such rule in the record";
    for (body, status, expected) in [
        (json!([{"ip": "192.0.2.2"}, {"ip": "192.0.2.1"}]), 409, format!("rules[1]: {present}")),
        (
            json!([{"ip": "192.0.2.2"}, {"ip": "192.0.2.2"}]),
            409,
            "rules[1]: block 192.0.2.2 is there already, as rule ".to_owned(),
        ),
        (
            json!({"remove": [{"id": 1}, {"ip": "192.0.2.9", "kind": "allow"}]}),
            404,
            format!("remove[1]: {absent}"),
        ),
        (
            json!({"remove": [{"id": 1}], "rules": [{"ip": "x"}]}),
            400,
            "rules[0]: ip: \"x\": not an IPv4".to_owned(),
        ),
        (
            json!([{"ip": "192.0.2.2"}, {"ip": 7}]),
            400,
            "rules[1]: ip: invalid type: integer `7`, expected a string".to_owned(),
        ),
        (
            json!(7),
            400,
            "invalid type: integer `7`, expected an array of rules, or an object of rules and remove"
                .to_owned(),
        ),
    ] {
        let answer = send(&manager, &body);
        let (found, message) = message(&answer);
        assert!(found == status && message.starts_with(&expected), "{body} {answer:?}");
    }
    let more = lines(&manager, "{\"ip\":\"192.0.2.2\"}\n\n{\"remove\":{\"id\":7}}\n");
    assert_eq!(message(&more), (404, "line 3: rule 7: no such rule in the record".to_owned()));
    let broken = lines(&manager, "{\"ip\":\"192.0.2.2\"}\n{\"ip\":\"192.0.2.3\"\n");
    assert_eq!(message(&broken), (400, "line 2: EOF while parsing an object at column 17".to_owned()));
    assert_eq!(targets(&manager), ["192.0.2.1"], "nothing was made, nothing was removed");
}

#[test]
fn lines_are_changed_in_their_order() {
    let manager = Manager::start().with_haproxy();
    let body = "{\"ip\":\"192.0.2.1\"}\n{\"remove\":{\"ip\":\"192.0.2.1\"}}\n{\"ip\":\"192.0.2.1\",\"action\":\"drop\"}\n";
    let answer = lines(&manager, body);
    let ids: Vec<_> =
        answer.json()["rules"].as_array().unwrap().iter().map(|rule| rule["id"].clone()).collect();
    assert_eq!((answer.status, ids), (200, vec![json!(1), json!(1), json!(2)]));
}

#[test]
fn there_is_an_end_to_what_is_taken() {
    let manager = Manager::start().with_haproxy();
    let line = "{\"ip\":\"192.0.2.1\",\"replace\":true}\n";
    let many = lines(&manager, &line.repeat(100_001));
    assert_eq!(message(&many), (413, "more than 100000 changes at once".to_owned()));
    let long = lines(&manager, &" ".repeat((32 << 20) + 1));
    assert_eq!(message(&long), (413, "the body is too long".to_owned()));
    // Beyond what other routes take.
    let padded = lines(&manager, &format!("{line}{}", "\n".repeat(2 << 20)));
    assert_eq!(padded.status, 200, "{padded:?}");
    let other = manager.ask("POST", PATH, &["Content-Type: text/csv"], b"192.0.2.1");
    assert_eq!(other.status, 415, "{other:?}");
    assert_eq!(targets(&manager), ["192.0.2.1"]);
}
