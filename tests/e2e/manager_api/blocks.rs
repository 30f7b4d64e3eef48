//! `/api/blocked-ips`, which the panels of today call.

use super::{Beside, Supervised, alone, blocked, is, refused};

/// Addresses that are none.
const BAD: [&str; 14] = [
    "{}",
    "[]",
    "null",
    "\"192.0.2.1\"",
    "{\"ip_address\":\"\"}",
    "{\"ip_address\":null}",
    "{\"ip_address\":192}",
    "{\"ip_address\":[\"192.0.2.1\"]}",
    "{\"ip_address\":\"no address\"}",
    "{\"ip_address\":\"999.1.1.1\"}",
    "{\"ip_address\":\"192.0.2\"}",
    "{\"ip_address\":\"192.0.2.1/33\"}",
    "{\"ip_address\":\"192.0.2.1\\n192.0.2.2\"}",
    "{\"ip_address\":\"192.0.2.1\"",
];

#[test]
fn an_address_is_blocked_listed_and_unblocked() {
    let served = Beside::start();
    let mut api = served.manager.api();
    is(&api.get("/api/blocked-ips"), 200, "[]");
    is(
        &api.post(
            "/api/blocked-ips",
            r#"{"ip_address":"192.168.1.100","reason":"scans","blocked_by":"panel"}"#,
        ),
        200,
        r#"{"status":"success","blocked_ip_id":1,"message":"IP 192.168.1.100 has been blocked"}"#,
    );
    is(
        &api.post("/api/blocked-ips", r#"{"ip_address":"2001:db8::7"}"#),
        200,
        r#"{"status":"success","blocked_ip_id":2,"message":"IP 2001:db8::7 has been blocked"}"#,
    );
    let listed = api.get("/api/blocked-ips");
    let rows = listed.json();
    let time = |row: usize| rows[row]["blocked_at"].as_str().unwrap_or_default().to_owned();
    let has_form = |time: &str| {
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        form == "0000-00-00 00:00:00"
    };
    assert!(has_form(&time(0)) && has_form(&time(1)), "{listed:?}");
    let row = |id: u32, ip: &str, reason: &str, at: String, by: &str| {
        format!(
            r#"{{"id":{id},"ip_address":"{ip}","reason":"{reason}","blocked_at":"{at}","blocked_by":"{by}"}}"#
        )
    };
    let first = row(1, "192.168.1.100", "scans", time(0), "panel");
    let second = row(2, "2001:db8::7", "No reason provided", time(1), "API");
    let (in_order, latest_first) = (format!("[{first},{second}]"), format!("[{second},{first}]"));
    assert!([in_order, latest_first].contains(&listed.body), "{listed:?}");
    assert!(served.is_refused("192.168.1.100") && served.is_refused("2001:db8::7"));

    is(
        &api.delete("/api/blocked-ips", r#"{"ip_address":"192.168.1.100"}"#),
        200,
        r#"{"status":"success","message":"IP 192.168.1.100 has been unblocked"}"#,
    );
    assert_eq!(blocked(&mut api), ["2001:db8::7"]);
    assert!(!served.is_refused("192.168.1.100") && served.is_refused("2001:db8::7"));
}

#[test]
fn what_is_no_address_is_refused_and_nothing_has_changed() {
    let manager = alone().start();
    let mut api = manager.api();
    for body in BAD {
        refused(&api.post("/api/blocked-ips", body), 400);
        refused(&api.delete("/api/blocked-ips", body), 400);
    }
    refused(&api.post("/api/blocked-ips", ""), 400);
    refused(&api.delete("/api/blocked-ips", ""), 400);
    assert_eq!(blocked(&mut api), Vec::<String>::new());
}

#[test]
fn what_is_blocked_already_conflicts_and_what_is_not_is_not_found() {
    let manager = alone().start();
    let mut api = manager.api();
    let body = r#"{"ip_address":"192.0.2.1"}"#;
    refused(&api.delete("/api/blocked-ips", body), 404);
    assert_eq!(api.post("/api/blocked-ips", body).status, 200);
    refused(&api.post("/api/blocked-ips", body), 409);
    // In another spelling.
    refused(&api.post("/api/blocked-ips", r#"{"ip_address":"::ffff:192.0.2.1"}"#), 409);
    assert_eq!(api.delete("/api/blocked-ips", body).status, 200);
    refused(&api.delete("/api/blocked-ips", body), 404);
    // Ids are not given twice.
    let again = api.post("/api/blocked-ips", body);
    assert!(again.json()["blocked_ip_id"].as_i64() > Some(1), "{again:?}");
}

#[test]
fn without_haproxy_a_block_is_stored_and_says_so() {
    let manager = alone().start();
    let answer = manager.api().post("/api/blocked-ips", r#"{"ip_address":"192.0.2.1"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    let said = "IP 192.0.2.1 has been blocked (stored, not yet enforced: ";
    assert!(message.starts_with(said) && message.ends_with(')'), "{message}");
    assert_eq!(blocked(&mut manager.api()), ["192.0.2.1"]);
}

#[test]
fn a_sync_says_how_many_are_in_force() {
    let served = Supervised::start();
    let mut api = served.manager.api();
    let said = |n: u32| {
        format!(
            r#"{{"status":"success","message":"Synced {n}/{n} IPs to runtime map","total_ips":{n},"synced_ips":{n}}}"#
        )
    };
    is(&api.post("/api/blocked-ips/sync", ""), 200, &said(0));
    for n in 1..=3 {
        assert_eq!(api.post("/api/blocked-ips", &format!(r#"{{"ip_address":"192.0.2.{n}"}}"#)).status, 200);
    }
    is(&api.post("/api/blocked-ips/sync", ""), 200, &said(3));
}
