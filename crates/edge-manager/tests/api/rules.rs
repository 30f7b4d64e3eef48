use serde_json::{Value, json};

use crate::harness::Manager;

const PATH: &str = "/api/rules";

fn make(manager: &Manager, rule: Value) -> Value {
    let answer = manager.send("POST", PATH, &rule.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["rules"][0].clone()
}

fn ids(page: &Value) -> Vec<i64> {
    page["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_i64().unwrap()).collect()
}

fn error(message: impl std::fmt::Display) -> Value {
    json!({"status": "error", "message": message.to_string()})
}

#[test]
fn a_rule_is_made_read_replaced_and_removed() {
    let manager = Manager::start().with_haproxy();
    let new = json!({
        "url": "https://Shop.Example/adm/*", "conditions": "anon method=POST", "action": "deny 404",
        "expires_at": "2100-01-01T00:00:00Z", "list": "feed", "reason": "why", "by": "me",
    });
    let answer = manager.send("POST", PATH, &new.to_string());
    let rule = json!({
        "id": 1, "kind": "resource", "target": "shop.example/adm/*", "match": "prefix",
        "conditions": "method=POST anon", "action": "deny 404", "expires_at_s": 4_102_444_800_u32, "list": "feed",
        "reason": "why", "created_at_s": answer.json()["rules"][0]["created_at_s"], "created_by": "me",
    });
    let change = |revision: u64, rule: &Value| json!({"status": "success", "enforcement": "in_force", "revision": revision, "rules": [rule]});
    assert_eq!((answer.status, answer.json()), (200, change(1, &rule)));
    assert_eq!(manager.get("/api/rules/1").json(), rule);
    let twice = manager.send("POST", PATH, &new.to_string());
    let present = error("shop.example/adm/* method=POST anon is there already, as rule 1");
    assert_eq!((twice.status, twice.json()), (409, present));
    let mut replaced = rule.clone();
    (replaced["action"], replaced["expires_at_s"], replaced["reason"]) =
        ("drop".into(), Value::Null, "".into());
    let mut new = new;
    new["replace"] = true.into();
    new["action"] = "drop".into();
    (new["expires_at"], new["reason"]) = (Value::Null, Value::Null);
    let answer = manager.send("POST", PATH, &new.to_string());
    assert_eq!((answer.status, answer.json()), (200, change(2, &replaced)));
    let answer = manager.send("DELETE", "/api/rules/1", "");
    assert_eq!((answer.status, answer.json()), (200, change(3, &replaced)));
    for method in ["GET", "DELETE"] {
        let answer = manager.send(method, "/api/rules/1", "");
        assert_eq!(
            (answer.status, answer.json()),
            (404, error("rule 1: no such rule in the record")),
            "{method}"
        );
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let manager = Manager::start().with_haproxy();
    let rule = make(&manager, json!({"ip": "192.0.2.7"}));
    let expected = json!({
        "id": 1, "kind": "block", "target": "192.0.2.7", "action": "deny 403", "expires_at_s": null, "list": "manual",
        "reason": "", "created_at_s": rule["created_at_s"], "created_by": "local",
    });
    assert_eq!(rule, expected);
    assert_eq!(make(&manager, json!({"kind": "allow", "target": "192.0.2.7"}))["kind"], "allow");
}

#[test]
fn what_haproxy_has_not_confirmed_is_said_to_be_stored() {
    let manager = Manager::start();
    let answer = manager.send("POST", PATH, r#"{"ip":"192.0.2.7"}"#);
    let reason = format!("{}: No such file or directory (os error 2)", manager.socket().display());
    let answer = (answer.status, answer.json());
    let (_, json) = &answer;
    assert_eq!(json["enforcement"], "stored_not_enforced");
    assert_eq!((json["reason"].as_str(), &json["revision"]), (Some(&*reason), &json!(1)));
}

#[test]
fn what_cannot_be_taken_is_named_and_changes_nothing() {
    let manager = Manager::start().with_haproxy();
    for (body, message) in [
        (
            r#"{"target":"nonsense"}"#,
            r#"target: "nonsense": not an IPv4 or IPv6 address or CIDR, nor /path or host/path"#,
        ),
        (r#"{"ip":"::1","ttl":0}"#, r#"ttl: "0": 1 s at least, and to the year 2105 at most"#),
        (
            r#"{"ip":"::1","expires_at":"soon"}"#,
            "the body: expires_at: \"soon\": not a time such as 2026-01-31T08:00:00Z or 2026-01-31T08:00:00+01:00",
        ),
        (r#"{"ip":"::1","colour":"red"}"#, "the body: \"colour\": no field of a rule that is to be made"),
        ("[]", "the body: it must be an object, not an array"),
        ("", "the body: EOF while parsing a value"),
    ] {
        let answer = manager.send("POST", PATH, body);
        let told = answer.json()["message"].as_str().unwrap().to_owned();
        let place = told.strip_prefix(message).unwrap_or_else(|| panic!("{body}: {told}"));
        assert!(
            answer.status == 400 && (place.is_empty() || place.starts_with(" at line 1 column ")),
            "{answer:?}"
        );
    }
    for path in ["/api/rules/x", "/api/rules/1.5", "/api/rules/99999999999999999999"] {
        for method in ["GET", "DELETE"] {
            assert_eq!(manager.send(method, path, "").status, 400, "{method} {path}");
        }
    }
    for (query, message) in [
        (
            "kind=none",
            "the query: kind: unknown variant `none`, expected one of `allow`, `block`, `resource`",
        ),
        ("action=deny%20700", "action: \"deny 700\": not an action"),
        ("limit=0", "limit: 0: 1 to 1000"),
        ("limit=1001", "limit: 1001: 1 to 1000"),
        ("after=x", "the query: after: invalid digit found in string"),
        (
            "expired=yes",
            "the query: expired: unknown variant `yes`, expected one of `without`, `with`, `only`",
        ),
    ] {
        let answer = manager.get(&format!("{PATH}?{query}"));
        assert_eq!(answer.status, 400, "{query} {answer:?}");
        let told = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(told.starts_with(message.split(": not an").next().unwrap()), "{query}: {told}");
    }
    assert_eq!(manager.get(&format!("{PATH}?lists=feed")).status, 400, "a slip would select all");
    assert_eq!(manager.get(&format!("{PATH}?q={}", "x".repeat(4097))).status, 400);
    let plain = manager.ask("POST", PATH, &["Content-Type: text/plain"], br#"{"ip":"::1"}"#);
    assert_eq!(plain.status, 415, "{plain:?}");
    assert_eq!(ids(&manager.get("/api/rules?expired=with").json()), [0; 0]);
}

#[test]
fn rules_are_selected() {
    let manager = Manager::start().with_haproxy();
    for rule in [
        json!({"ip": "192.0.2.0/24"}),
        json!({"ip": "192.0.2.7", "action": "tarpit", "list": "feed"}),
        json!({"ip": "192.0.2.7", "kind": "allow", "list": "feed"}),
        json!({"url": "shop.example/adm/*", "ttl": 1}),
        json!({"url": "/adm", "expires_at": 4_102_444_800_u32}),
    ] {
        make(&manager, rule);
    }
    let found = |query: &str| ids(&manager.get(&format!("{PATH}?{query}")).json());
    assert_eq!(found("kind=block"), [1, 2]);
    assert_eq!(found("kind=allow"), [3]);
    assert_eq!(found("list=feed"), [2, 3]);
    assert_eq!(found("list=none"), [0; 0]);
    assert_eq!(found("action=tarpit"), [2]);
    assert_eq!(found("action=deny&kind=block"), [1]);
    assert_eq!(found("q=192.0.2.7"), [1, 2, 3]);
    assert_eq!(found("q=192.0.2.8"), [1]);
    assert_eq!(found("q=192.0."), [1, 2, 3]);
    assert_eq!(found("q=/adm"), [5]);
    edge_e2e::eventually("its end", || found("q=SHOP.").is_empty().then_some(()));
    assert_eq!(found(""), [1, 2, 3, 5]);
    assert_eq!(found("expired=without"), [1, 2, 3, 5]);
    assert_eq!(found("expired=with"), [1, 2, 3, 4, 5]);
    assert_eq!(found("expired=only"), [4]);
    assert_eq!(manager.get("/api/rules/4").status, 200, "it can be looked at");
    assert_eq!(manager.send("DELETE", "/api/rules/4", "").status, 404, "and counts as absent");
}

#[test]
fn pages_stay_in_place_while_rules_come_and_go() {
    let manager = Manager::start().with_haproxy();
    let rules: Vec<_> = (0..250).map(|n| json!({"ip": format!("10.0.0.{n}")})).collect();
    assert_eq!(manager.send("POST", "/api/rules/bulk", &json!(rules).to_string()).status, 200);
    let (mut seen, mut after) = (Vec::new(), 0);
    for turn in 0.. {
        let page = manager.get(&format!("{PATH}?limit=40&after={after}")).json();
        seen.extend(ids(&page));
        // One that was read goes, one that is to come goes, and one is added.
        for gone in [turn * 40 + 2, turn * 40 + 50] {
            manager.send("DELETE", &format!("/api/rules/{gone}"), "");
        }
        make(&manager, json!({"ip": format!("10.0.1.{turn}")}));
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => break,
        }
    }
    let first: Vec<_> = seen.iter().copied().filter(|id| *id <= 250).collect();
    let expected: Vec<i64> = (1..=250).filter(|id| *id < 50 || (id - 50) % 40 != 0).collect();
    assert_eq!(first, expected);
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    assert_eq!(manager.get(&format!("{PATH}?after=9999")).json(), json!({"rules": [], "next": null}));
    assert_eq!(ids(&manager.get(PATH).json()).len(), 100);
    assert_eq!(
        manager.get(&format!("{PATH}?limit=1000")).json()["next"],
        Value::Null,
        "there is no other page"
    );
}
