use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use edge_e2e::eventually;
use edge_manager::access::Role;
use edge_manager::events::{MAX_LISTENERS_PER_KEY, Topic};
use serde_json::{Value, json};

use crate::harness::{Manager, request};
use crate::resources::teach;

/// Someone who listens.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    fn new(manager: &Manager, headers: &[&str]) -> Self {
        let mut stream = TcpStream::connect(manager.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(&request(manager.address, "GET", "/api/events", headers, b"")).unwrap();
        let mut listener = Self { stream, heard: String::new() };
        let head = listener.until("\r\n\r\n");
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/event-stream"),
            "{head}"
        );
        listener
    }

    /// What comes up to and with this.
    fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(end) {
                let rest = self.heard.split_off(at + end.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            let mut piece = [0; 4096];
            let bytes = self.stream.read(&mut piece).unwrap();
            assert!(bytes > 0, "it has ended: {:?}", self.heard);
            self.heard.push_str(str::from_utf8(&piece[..bytes]).unwrap());
        }
    }

    /// The next event: its id, its name and its data.
    fn next(&mut self) -> (u64, String, Value) {
        let text = self.until("\n\n");
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let id = field("id:").map_or(0, |id| id.parse().unwrap());
        let data = serde_json::from_str(field("data:").unwrap()).unwrap();
        (id, field("event:").unwrap().to_owned(), data)
    }
}

#[test]
fn listeners_hear_of_changes_of_the_rules() {
    let manager = Manager::start().with_haproxy();
    let mut listeners = [0, 1].map(|_| Listener::new(&manager, &[]));
    manager.send("POST", "/api/rules", r#"{"ip":"192.0.2.1","reason":"a\nb"}"#);
    manager.send("POST", "/api/rules", r#"{"ip":"192.0.2.1","reason":"why"}"#);
    manager.send("DELETE", "/api/blocked-ips", r#"{"ip_address":"192.0.2.1"}"#);
    let rules: Vec<_> = (0..100).map(|n| json!({"ip": format!("10.0.0.{n}")})).collect();
    manager.send("POST", "/api/rules/bulk", &json!(rules).to_string());
    for listener in &mut listeners {
        let (first, name, made) = listener.next();
        let of =
            |data: &Value| ["by", "made", "removed", "enforcement", "revision"].map(|key| data[key].clone());
        assert_eq!(name, "rules");
        assert_eq!(of(&made), [json!("local"), json!(1), json!(0), json!("in_force"), json!(1)]);
        let rule = &made["rules"][0];
        assert_eq!(
            (&rule["change"], &rule["target"], &rule["id"]),
            (&json!("made"), &json!("192.0.2.1"), &json!(1))
        );
        let (second, _, removed) = listener.next();
        assert_eq!(
            (second > first, &removed["removed"], &removed["rules"][0]["change"]),
            (true, &json!(1), &json!("removed"))
        );
        let (_, _, many) = listener.next();
        assert_eq!((&many["made"], many["rules"].as_array().unwrap().len()), (&json!(100), 20));
    }
}

#[test]
fn listeners_hear_what_becomes_of_lessons_and_it_is_counted() {
    let manager = Manager::start().with_haproxy();
    let _worker = teach(&manager, &["/a", "/b"]);
    let mut listener = Listener::new(&manager, &[]);
    manager.send("POST", "/api/resources/learned-1/pin", "");
    manager.send("DELETE", "/api/resources/learned-2", "");
    assert_eq!(manager.send("DELETE", "/api/resources/learned-2", "").status, 404);
    let of = |data: &Value, keys: &[&str]| json!(keys.iter().map(|key| &data[key]).collect::<Vec<_>>());
    let (_, name, made) = listener.next();
    assert_eq!(name, "rules");
    let keys = ["by", "made", "removed", "enforcement", "revision"];
    assert_eq!(of(&made, &keys), json!(["local", 1, 0, "in_force", 1]));
    let rule = of(&made["rules"][0], &["change", "id", "target", "list"]);
    assert_eq!(rule, json!(["made", 1, "shop.example/a", "pinned"]));
    for (change, id) in [("pinned", "rule-1"), ("deleted", "learned-2")] {
        let (_, name, data) = listener.next();
        let said = of(&data, &["change", "by", "enforcement"]);
        assert_eq!((&*name, said), ("learned", json!([change, "local", "in_force"])));
        assert_eq!(data["resource"]["id"], id);
    }
    let figures = manager.get("/metrics").body;
    for line in [
        r#"edge_manager_rule_changes_total{change="made"} 1"#,
        r#"edge_manager_rule_changes_total{change="removed"} 0"#,
        "edge_manager_enforcement_seconds_count 2",
    ] {
        assert!(figures.lines().any(|found| found == line), "{line} in {figures}");
    }
}

#[test]
fn listeners_hear_of_rules_that_were_cleared() {
    let manager = Manager::start().with_haproxy();
    for client in ["192.0.2.1", "192.0.2.2"] {
        manager.send("POST", "/api/rules", &json!({"ip": client}).to_string());
    }
    let record = rusqlite::Connection::open(manager.socket().with_file_name("rules.db")).unwrap();
    record.busy_timeout(Duration::from_secs(60)).unwrap();
    record.execute("UPDATE rules SET expires_at_s = 1 WHERE id = 1", ()).unwrap();
    let mut listener = Listener::new(&manager, &[]);
    for cleared in [1, 0] {
        let answer = manager.send("POST", "/api/security/clear-expired", "");
        assert_eq!(answer.json()["cleared"], cleared);
    }
    manager.send("DELETE", "/api/rules/2", "");
    let (_, name, cleared) = listener.next();
    let of = ["by", "made", "removed", "enforcement", "rules"].map(|key| cleared[key].clone());
    assert_eq!((&*name, json!(of)), ("rules", json!(["local", 0, 1, "in_force", []])));
    assert_eq!(listener.next().2["rules"][0]["id"], 2, "what changed nothing is not told");
    let figures = manager.get("/metrics").body;
    let removed = r#"edge_manager_rule_changes_total{change="removed"} 2"#;
    assert!(figures.lines().any(|found| found == removed), "{figures}");
    let noted = manager.audit(2);
    let words: Vec<_> = noted.iter().map(|row| (&*row.caller, &*row.operation, &*row.target)).collect();
    let removed = ("local", "rules.remove", "rule 2");
    assert_eq!(words, [removed, ("local", "rules.clear_expired", "1 rule")]);
}

#[test]
fn listeners_hear_of_publications_done_and_refused() {
    let manager = Manager::start();
    let mut listener = Listener::new(&manager, &[]);
    let shop = r#"{"domain": "shop.example", "backend_name": "shop"}"#;
    assert_eq!(manager.send("POST", "/api/domain", shop).status, 200);
    // Not taken by the manager itself: no publication.
    assert_eq!(
        manager.send("POST", "/api/domain", r#"{"domain": "a b", "backend_name": "shop"}"#).status,
        400
    );
    assert_eq!(manager.send_as_admin("POST", "/api/configuration/rollback", r#"{"set": 999}"#).status, 404);
    let of = |data: &Value| {
        ["by", "result", "set", "is_changed", "enforcement", "error"].map(|key| data[key].clone())
    };
    let (_, name, published) = listener.next();
    assert_eq!(name, "configuration");
    let done = json!(["local", "done", 1, true, "stored_not_enforced", null]);
    assert_eq!(json!(of(&published)), done);
    let (_, name, refused) = listener.next();
    assert_eq!(name, "configuration");
    assert_eq!(json!(of(&refused)[1..]), json!(["failed", null, null, null, "there is no set 999"]));
    let figures = manager.get("/metrics").body;
    for line in
        [r#"edge_manager_reloads_total{result="done"} 1"#, r#"edge_manager_reloads_total{result="failed"} 1"#]
    {
        assert!(figures.lines().any(|found| found == line), "{line} in {figures}");
    }
}

#[test]
fn who_has_missed_some_is_told() {
    let manager = Manager::start().with_haproxy();
    let mut first = Listener::new(&manager, &[]);
    manager.send("POST", "/api/rules", r#"{"ip":"192.0.2.1"}"#);
    let (id, _, _) = first.next();
    let header = format!("Last-Event-ID: {id}");
    let mut timely = Listener::new(&manager, &[&header]);
    manager.app.events.tell(Topic::Haproxy, &json!({"state": "up"}), 7_000_000);
    let (next, name, data) = timely.next();
    assert_eq!((next > id, &*name, data), (true, "haproxy", json!({"at_s": 7, "state": "up"})));
    for header in [&*header, "Last-Event-ID: of another manager"] {
        let mut late = Listener::new(&manager, &[header]);
        assert_eq!(late.next(), (0, "lagged".to_owned(), json!({})));
    }
}

#[test]
fn listening_ends_with_the_manager_and_one_key_has_so_many_places() {
    let manager = Manager::start();
    let listeners: Vec<_> = (0..MAX_LISTENERS_PER_KEY).map(|_| Listener::new(&manager, &[])).collect();
    let refused = manager.get("/api/events");
    assert_eq!((refused.status, refused.head.contains("\r\nretry-after: 10")), (429, true), "{refused:?}");
    assert_eq!(refused.json()["message"], "the key local has 16 listeners already");
    // Others hear still.
    let key = format!("Authorization: Bearer {}", manager.add_key("page", Role::Reader));
    let mut other = Listener::new(&manager, &[&key]);
    drop(listeners);
    // The connections are looked at when something is sent.
    let has_places = || {
        manager.app.events.tell(Topic::Haproxy, &json!({}), 0);
        (manager.app.events.listeners() == 1).then_some(())
    };
    eventually("places are given free", has_places);
    drop(manager);
    let mut rest = Vec::new();
    other.stream.read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8(rest).unwrap().ends_with("0\r\n\r\n"), "the answer has an end");
}
