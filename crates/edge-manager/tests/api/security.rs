use crate::harness::Manager;

const PATH: &str = "/api/security/temporary-block";

/// Whole minutes from when it was blocked to when it ends.
fn minutes_of(manager: &Manager, answer: &serde_json::Value) -> u64 {
    let parse = |text: &str| humantime::parse_rfc3339(&(text.to_owned() + "Z")).unwrap();
    let listed = manager.get("/api/blocked-ips").json();
    let from = parse(&listed[0]["blocked_at"].as_str().unwrap().replace(' ', "T"));
    let took = parse(answer["expires_at"].as_str().unwrap()).duration_since(from).unwrap();
    // A part of a second is never cut off its end; what comes on top is how long the machine took.
    took.as_secs() / 60
}

#[test]
fn a_temporary_block_says_when_it_ends() {
    let manager = Manager::start().with_haproxy();
    let answer = manager.send("POST", PATH, r#"{"ip_address":"192.0.2.1"}"#);
    let json = answer.json();
    let expires_at = json["expires_at"].as_str().unwrap();
    let expected = format!(
        r#"{{"status":"success","message":"IP 192.0.2.1 temporarily blocked for 60 minutes","blocked_ip_id":1,"expires_at":"{expires_at}"}}"#
    );
    assert_eq!(answer.said(), (200, expected.as_str()));
    assert_eq!(minutes_of(&manager, &json), 60);
    let listed = manager.get("/api/blocked-ips").json();
    assert_eq!(
        (&listed[0]["reason"], &listed[0]["blocked_by"]),
        (&"No reason provided".into(), &"API".into())
    );
}

#[test]
fn a_block_is_prolonged_and_never_cut_short() {
    let manager = Manager::start().with_haproxy();
    let block = |minutes: u64| {
        let body =
            format!(r#"{{"ip_address":"192.0.2.1","duration_minutes":{minutes},"reason":"r{minutes}"}}"#);
        manager.send("POST", PATH, &body)
    };
    assert_eq!(block(1).json()["message"], "IP 192.0.2.1 temporarily blocked for 1 minutes");
    let longer = block(120).json();
    assert_eq!((&longer["blocked_ip_id"], minutes_of(&manager, &longer)), (&1.into(), 120));
    let shorter = block(30);
    let until = longer["expires_at"].as_str().unwrap();
    let present = format!(
        r#"{{"status":"success","message":"IP 192.0.2.1 is already blocked until {until}","blocked_ip_id":1,"expires_at":"{until}"}}"#
    );
    assert_eq!(shorter.said(), (200, present.as_str()), "who repeats a call has what was asked for");
    assert_eq!(manager.get("/api/blocked-ips").json()[0]["reason"], "r120");
    manager.send("POST", "/api/blocked-ips", r#"{"ip_address":"192.0.2.2"}"#);
    let answer = manager.send("POST", PATH, r#"{"ip_address":"192.0.2.2"}"#);
    let present = r#"{"status":"success","message":"IP 192.0.2.2 is already blocked","blocked_ip_id":2,"expires_at":null}"#;
    assert_eq!(answer.said(), (200, present));
    let listed = manager.get("/api/blocked-ips").json();
    assert_eq!(listed[1]["reason"], "No reason provided", "{listed}");
    let unblocked = manager.send("DELETE", "/api/blocked-ips", r#"{"ip_address":"192.0.2.2"}"#);
    assert_eq!(unblocked.status, 200, "it did not get an end: {unblocked:?}");
}

#[test]
fn the_bounds_of_the_duration_are_named() {
    let manager = Manager::start();
    for minutes in ["0", "525601", "18446744073709551615"] {
        let answer = manager.send(
            "POST",
            PATH,
            &format!(r#"{{"ip_address":"192.0.2.1","duration_minutes":{minutes}}}"#),
        );
        let expected =
            format!(r#"{{"status":"error","message":"duration_minutes: {minutes}: 1 to 525600"}}"#);
        assert_eq!(answer.said(), (400, expected.as_str()));
    }
    for minutes in ["-1", "1.5", "\"soon\"", "\"\"", "\"+5\"", "true", "1e+99", "[]"] {
        let answer = manager.send(
            "POST",
            PATH,
            &format!(r#"{{"ip_address":"192.0.2.1","duration_minutes":{minutes}}}"#),
        );
        let message = format!("duration_minutes: {minutes}: 1 to 525600");
        assert_eq!((answer.status, &answer.json()["message"]), (400, &message.into()));
    }
    for body in ["{}", r#"{"ip_address":"x"}"#] {
        assert_eq!(manager.send("POST", PATH, body).status, 400, "{body}");
    }
    assert_eq!(manager.get("/api/blocked-ips").said(), (200, "[]"), "nothing was made");
    assert_eq!(
        manager.send("POST", PATH, r#"{"ip_address":"192.0.2.1","duration_minutes":525600}"#).status,
        200
    );
}

#[test]
fn the_duration_is_a_number_or_a_text_of_digits() {
    let manager = Manager::start().with_haproxy();
    for minutes in ["90", "\"90\"", "\"090\""] {
        let body = format!(r#"{{"ip_address":"192.0.2.1","duration_minutes":{minutes}}}"#);
        let answer = manager.send("POST", PATH, &body).json();
        assert_eq!(minutes_of(&manager, &answer), 90, "{minutes}: {answer}");
        manager.send("DELETE", "/api/blocked-ips", r#"{"ip_address":"192.0.2.1"}"#);
    }
}

#[test]
fn whatever_is_said_of_a_temporary_block_it_is_made() {
    let manager = Manager::start().with_haproxy();
    let reason = "login: root\n".to_owned() + &"x".repeat(2000);
    let body = serde_json::json!({"ip_address": "192.0.2.1", "reason": reason}).to_string();
    assert_eq!(manager.send("POST", PATH, &body).status, 200);
    let kept = format!("login: root {}", "x".repeat(1024 - 12));
    assert_eq!(manager.get("/api/blocked-ips").json()[0]["reason"], kept);
}

#[test]
fn addresses_whose_block_has_ended_are_named_when_cleared() {
    let manager = Manager::start().with_haproxy();
    ended(&manager, &["192.0.2.1", "2001:db8::/32", "/page"]);
    let answer = manager.send("POST", "/api/security/clear-expired", "");
    let expected = r#"{"status":"success","message":"Cleared 2 expired IP blocks","cleared":3,"cleared_ips":["192.0.2.1","2001:db8::/32"]}"#;
    assert_eq!(answer.said(), (200, expected));
}

/// Makes rules that have ended.
fn ended(manager: &Manager, targets: &[&str]) {
    use edge_manager::access::Caller;
    use edge_manager::rules::{Change, End, IfPresent, Input};
    let put = targets.iter().map(|target| {
        let input = Input { target, end: End::Ttl(1), ..Input::default() };
        Change::Put(input.parse(1_000_000).unwrap(), IfPresent::Refuse)
    });
    manager.app.rules.apply(&Caller::command_line(), put, 1_000_000).unwrap();
}

#[test]
fn rules_that_have_ended_are_cleared() {
    let manager = Manager::start().with_haproxy();
    let clear = || manager.send("POST", "/api/security/clear-expired", "").body;
    let done = |n: usize, ips: &str| {
        format!(
            r#"{{"status":"success","message":"Cleared {n} expired IP blocks","cleared":{n},"cleared_ips":[{ips}]}}"#
        )
    };
    assert_eq!(clear(), done(0, ""));
    for (targets, ips) in
        [(&["192.0.2.1"][..], r#""192.0.2.1""#), (&["192.0.2.1", "192.0.2.2"], r#""192.0.2.1","192.0.2.2""#)]
    {
        ended(&manager, targets);
        assert_eq!(clear(), done(targets.len(), ips));
    }
    let noted = manager.audit(1);
    assert_eq!(
        (&*noted[0].operation, &*noted[0].target, &*noted[0].caller),
        ("rules.clear_expired", "2 rules", "local")
    );
}
