use std::time::{SystemTime, UNIX_EPOCH};

use edge_manager::access::Caller;
use edge_manager::rules::{Change, IfPresent, Input};

use crate::harness::Manager;

const PATH: &str = "/api/blocked-ips";

/// Makes these rules, created at this time.
fn put(manager: &Manager, inputs: &[Input<'_>], at_s: u64) {
    let at_us = at_s * 1_000_000;
    let changes: Vec<_> =
        inputs.iter().map(|input| Change::Put(input.parse(at_us).unwrap(), IfPresent::Refuse)).collect();
    manager.app.rules.apply(&Caller::command_line(), changes, at_us).unwrap();
}

fn block(target: &str) -> Input<'_> {
    Input { target, reason: "why", by: "me", ..Input::default() }
}

#[test]
fn an_address_is_blocked_and_unblocked() {
    let manager = Manager::start().with_haproxy();
    let blocked = manager.send("POST", PATH, r#"{"ip_address":"192.168.1.100"}"#);
    let success = r#"{"status":"success","blocked_ip_id":1,"message":"IP 192.168.1.100 has been blocked"}"#;
    assert_eq!(blocked.said(), (200, success));
    assert!(blocked.head.contains("\r\ncontent-type: application/json"));
    let twice = manager.send("POST", PATH, r#"{"ip_address":"192.168.1.100"}"#);
    let present = r#"{"status":"error","message":"IP address is already blocked: 192.168.1.100"}"#;
    assert_eq!(twice.said(), (409, present));
    let unblocked = manager.send("DELETE", PATH, r#"{"ip_address":"192.168.1.100"}"#);
    let success = r#"{"status":"success","message":"IP 192.168.1.100 has been unblocked"}"#;
    assert_eq!(unblocked.said(), (200, success));
    let again = manager.send("DELETE", PATH, r#"{"ip_address":"192.168.1.100"}"#);
    let absent = r#"{"status":"error","message":"IP address not found in blocked list: 192.168.1.100"}"#;
    assert_eq!(again.said(), (404, absent));
    let next = manager.send("POST", PATH, r#"{"ip_address":"192.168.1.100"}"#);
    assert_eq!(next.json()["blocked_ip_id"], 2, "a number is never given twice");
}

#[test]
fn blocked_addresses_and_networks_are_listed_in_the_words_of_old() {
    let manager = Manager::start().with_haproxy();
    assert_eq!(manager.get(PATH).said(), (200, "[]"));
    let ends_s = 1_705_314_600 + 60;
    let rules = [
        block("192.0.2.0/24"),
        Input { end: edge_manager::rules::End::Ttl(60), ..block("192.0.2.1") },
        Input { allows: true, ..block("192.0.2.2") },
        block("/page"),
        Input { reason: "a \"b\" ä", ..block("2001:DB8::1") },
    ];
    put(&manager, &rules, ends_s - 60);
    let expected = "[{\"id\":1,\"ip_address\":\"192.0.2.0/24\",\"reason\":\"why\",\"blocked_at\":\"2024-01-15 10:30:00\",\
                    \"blocked_by\":\"me\"},{\"id\":5,\"ip_address\":\"2001:db8::1\",\"reason\":\"a \\\"b\\\" ä\",\
                    \"blocked_at\":\"2024-01-15 10:30:00\",\"blocked_by\":\"me\"}]";
    assert_eq!(manager.get(PATH).said(), (200, expected));
}

#[test]
fn what_is_not_said_has_the_defaults_of_old() {
    let manager = Manager::start().with_haproxy();
    for body in [
        r#"{"ip_address":"192.0.2.1"}"#,
        r#"{"ip_address":"192.0.2.2","reason":null,"blocked_by":null}"#,
        r#"{"ip_address":"192.0.2.3","reason":"scans","blocked_by":"panel","more":[1,{}]}"#,
    ] {
        assert_eq!(manager.send("POST", PATH, body).status, 200, "{body}");
    }
    let listed = manager.get(PATH).json();
    let words =
        |at: usize| (listed[at]["reason"].as_str().unwrap(), listed[at]["blocked_by"].as_str().unwrap());
    assert_eq!(
        [words(0), words(1), words(2)],
        [("No reason provided", "API"), ("No reason provided", "API"), ("scans", "panel")]
    );
    let at = listed[0]["blocked_at"].as_str().unwrap().replace(' ', "T") + "Z";
    let age = SystemTime::now().duration_since(humantime::parse_rfc3339(&at).unwrap()).unwrap();
    assert!(age.as_secs() < 600, "{at}");
    assert!(SystemTime::now() > UNIX_EPOCH);
}

#[test]
fn what_cannot_be_taken_is_named() {
    let manager = Manager::start().with_haproxy();
    let required = "IP address is required";
    let form = "not an IPv4 or IPv6 address or CIDR";
    for (body, message) in [
        ("{}", required.to_owned()),
        (r#"{"ip_address":null}"#, required.to_owned()),
        (r#"{"ip_address":""}"#, required.to_owned()),
        (r#"{"ip":"192.0.2.1"}"#, required.to_owned()),
        (r#"{"ip_address":"nonsense"}"#, format!(r#"ip_address: "nonsense": {form}"#)),
        (r#"{"ip_address":"192.0.2.1/33"}"#, format!(r#"ip_address: "192.0.2.1/33": {form}"#)),
        (r#"{"ip_address":"/admin"}"#, format!(r#"ip_address: "/admin": {form}"#)),
        (r#"{"ip_address":"shop.example/x"}"#, format!(r#"ip_address: "shop.example/x": {form}"#)),
        (r#"{"ip_address":" 192.0.2.1"}"#, format!(r#"ip_address: " 192.0.2.1": {form}"#)),
        (r#"{"ip_address":"1\n2"}"#, format!(r#"ip_address: "1\n2": {form}"#)),
    ] {
        for method in ["POST", "DELETE"] {
            let answer = manager.send(method, PATH, body);
            let expected = serde_json::json!({ "status": "error", "message": message });
            assert_eq!((answer.status, answer.json()), (400, expected), "{method} {body}");
        }
    }
    assert_eq!(manager.get(PATH).said(), (200, "[]"), "nothing was made");
}

#[test]
fn whatever_is_said_of_a_block_it_is_made() {
    let manager = Manager::start().with_haproxy();
    // 1024 and 128 are in the midst of the last character that begins before them.
    let (long, long_by) = ("x".repeat(1023) + "äöü", "y".repeat(127) + "äöü");
    let cases = [
        (1, "login: root\n\u{1b}[2J\t\u{85}x", "a\r\nb", "login: root  [2J  x".to_owned(), "a  b".to_owned()),
        (2, &*long, &*long_by, "x".repeat(1023), "y".repeat(127)),
    ];
    for (at, (last, reason, by, kept_reason, kept_by)) in cases.into_iter().enumerate() {
        let ip = format!("192.0.2.{last}");
        let body = serde_json::json!({"ip_address": ip, "reason": reason, "blocked_by": by}).to_string();
        let answer = manager.send("POST", PATH, &body);
        assert_eq!(answer.json()["message"], format!("IP {ip} has been blocked"));
        let listed = manager.get(PATH).json();
        let words = ["reason", "blocked_by"].map(|field| listed[at][field].as_str().unwrap());
        assert_eq!(words, [kept_reason, kept_by]);
    }
    // PHP sends numbers.
    let answer = manager.send("POST", PATH, r#"{"ip_address":"192.0.2.3","reason":404,"blocked_by":["a"]}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    let listed = manager.get(PATH).json();
    assert_eq!((&listed[2]["reason"], &listed[2]["blocked_by"]), (&"404".into(), &r#"["a"]"#.into()));
}

#[test]
fn networks_and_ipv6_are_taken_too() {
    let manager = Manager::start().with_haproxy();
    for (given, canonical) in [
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
    ] {
        let answer = manager.send("POST", PATH, &format!(r#"{{"ip_address":"{given}"}}"#));
        assert_eq!(answer.json()["message"], format!("IP {canonical} has been blocked"));
        let answer = manager.send("DELETE", PATH, &format!(r#"{{"ip_address":"{given}"}}"#));
        assert_eq!(answer.json()["message"], format!("IP {canonical} has been unblocked"));
    }
}

#[test]
fn without_haproxy_a_change_is_stored_and_said_to_be() {
    let manager = Manager::start();
    let note = manager.not_enforced();
    let expect = |message: &str| format!("{message}{note}");
    let answer = manager.send("POST", PATH, r#"{"ip_address":"192.0.2.1"}"#);
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"success".into()));
    assert_eq!(answer.json()["message"], expect("IP 192.0.2.1 has been blocked"));
    let answer = manager.send("POST", "/api/blocked-ips/sync", "");
    let synced = format!(
        r#"{{"status":"success","message":"Synced 0/1 IPs to runtime map{note}","total_ips":1,"synced_ips":0}}"#
    );
    assert_eq!(answer.said(), (200, synced.as_str()));
    let answer = manager.send("DELETE", PATH, r#"{"ip_address":"192.0.2.1"}"#);
    assert_eq!(answer.json()["message"], expect("IP 192.0.2.1 has been unblocked"));
}

#[test]
fn all_that_is_blocked_is_synced() {
    let manager = Manager::start().with_haproxy();
    let targets: Vec<String> = (0..150).map(|n| format!("192.0.2.{n}")).collect();
    let rules: Vec<_> = targets.iter().map(|target| block(target)).collect();
    put(&manager, &rules, 1_705_314_600);
    put(
        &manager,
        &[Input { end: edge_manager::rules::End::Ttl(1), ..block("192.0.3.1") }, block("/page")],
        1_705_314_600,
    );
    let expected = r#"{"status":"success","message":"Synced 150/150 IPs to runtime map","total_ips":150,"synced_ips":150}"#;
    assert_eq!(manager.send("POST", "/api/blocked-ips/sync", "").said(), (200, expected));
    let noted = manager.audit(10);
    assert_eq!(noted.len(), 2, "it changes nothing: {noted:?}");
}

#[test]
fn a_list_of_any_length_is_whole_and_comes_in_pages_to_who_wants_them() {
    let manager = Manager::start();
    let targets: Vec<String> = (0..2500).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    let rules: Vec<_> = targets.iter().map(|target| block(target)).collect();
    put(&manager, &rules, 1_705_314_600);
    let ids = |path: &str| -> Vec<i64> {
        let listed = manager.get(path).json();
        listed.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(PATH), (1..=2500).collect::<Vec<_>>());
    assert_eq!(ids("/api/blocked-ips?limit=1000"), (1..=1000).collect::<Vec<_>>());
    assert_eq!(ids("/api/blocked-ips?limit=2000&after=499"), (500..=2499).collect::<Vec<_>>());
    assert_eq!(ids("/api/blocked-ips?after=1500"), (1501..=2500).collect::<Vec<_>>());
    assert_eq!(ids("/api/blocked-ips?limit=0"), Vec::<i64>::new());
    assert_eq!(ids("/api/blocked-ips?after=2500"), Vec::<i64>::new());
    let bad = manager.get("/api/blocked-ips?limit=many");
    assert_eq!(
        bad.said(),
        (400, r#"{"status":"error","message":"the query: limit: invalid digit found in string"}"#)
    );
}
